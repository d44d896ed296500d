"""The ASGI application that production serves: finished pages from memory, then the features' routes, then Reflex.

The portal's pages are served to those who are signed in (session/guard.py)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core.origin import is_same_site
from sigma_app.frontend import templates
from sigma_app.frontend.static import MemoryFile, MemoryFiles, respond
from sigma_app.session import guard


class Site:
    """Pages and assets from memory; every other request goes to the backend, and its bare 404 becomes our page."""

    def __init__(self, pages: MemoryFiles, routes: Sequence[BaseRoute], backend: ASGIApp, base_url: str):
        """Join the parts.

        Args:
            pages: the finished frontend.
            routes: the features' own; asked before the backend, so that a plain request passes none of its layers.
            backend: Reflex's ASGI application.
            base_url: the public address, without a slash at the end.
        """
        self._pages = pages
        self._routes = Router(routes, default=backend, redirect_slashes=False)
        self._backend = backend
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        else:
            await self._backend(scope, receive, send)

    def apologize(self, identity: str) -> Response:
        """The page for a request that failed, with the id that finds the log line."""
        return templates.respond(self._pages, "/templates/sorry", {"request": identity}, 500)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["method"] in ("GET", "HEAD"):
            if file := self._pages.find(path):
                if guard.is_protected(path):
                    await self._serve_protected(file, scope, receive, send)
                else:
                    await respond(file, scope, send, 404 if path == "/404" else 200)
                return
            if path.endswith("/") and self._pages.find(path.rstrip("/")):
                await _redirect(path.rstrip("/"), scope["query_string"], send)
                return
        scope["sigma.pages"] = self._pages
        not_found = self._pages.find("/404")
        if not_found and _wants_page(scope):
            send = _with_designed_404(not_found, scope, send)
        await self._routes(scope, receive, send)

    async def _serve_protected(self, file: MemoryFile, scope: Scope, receive: Receive, send: Send) -> None:
        if refusal := await guard.refusal(scope):
            not_found = self._pages.find("/404")
            await refusal(scope, receive, _with_designed_404(not_found, scope, send) if not_found else send)
            return
        headers = [pair for pair in scope["headers"] if pair[0] != b"if-none-match"]  # nobody has a copy
        await respond(file, {**scope, "headers": headers}, guard.unstored(send))

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_same_site(scope["headers"], self._base_url):
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "Another site may not connect here."})
            return
        # Engine.IO compares with one configured origin, while people come by localhost, 127.0.0.1 or a name: the
        # check above is the wider and the real one, so it is told the origin it expects.
        origin = self._base_url.encode()
        headers = [(name, origin if name == b"origin" else value) for name, value in scope["headers"]]
        await self._backend({**scope, "headers": headers}, receive, send)


def _wants_page(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def _redirect(path: str, query: bytes, send: Send) -> None:
    location = path.encode() + (b"?" + query if query else b"")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _with_designed_404(page: MemoryFile, scope: Scope, send: Send) -> Send:
    """A `send` that replaces the framework's bare "Not Found" by our page, and lets every other answer through."""
    replaced = False

    async def sender(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start" and _is_bare_404(message):
            replaced = True
            await respond(page, scope, send, 404)
        elif not replaced:
            await send(message)

    return sender


def _is_bare_404(message: Message) -> bool:
    return message["status"] == 404 and any(
        name.lower() == b"content-type" and value.startswith(b"text/plain") for name, value in message["headers"]
    )
