"""What stands before all three services: the API key, and the answers that browsers of other origins may read.

The key only opens the gate; who somebody is says their bearer token, and where there is none, the service key itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_app.embedded.supabase.keys import Keys

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NO_KEY = {
    "message": "No API key found in request",
    "hint": "No `apikey` request header or url param was found.",
}
_OTHER_KEY = {
    "message": "Invalid API key",
    "hint": "Double check your Supabase `anon` or `service_role` API key.",
}


@dataclass(frozen=True)
class Service:
    """One of the three, as the gate needs to know it."""

    app: ASGIApp
    open_paths: Sequence[str] = ()
    """The beginnings of paths, below where it is mounted, that need no key."""
    exposed_headers: Sequence[str] = ()
    """What scripts of other origins may read of an answer's headers."""


class Gate:
    """Lets requests with a known API key through, and those to open paths."""

    def __init__(self, service: Service, keys: Keys):
        """Stand before `service`."""
        self._app = service.app
        self._open = tuple(service.open_paths)
        self._known = frozenset((keys.anon, keys.service_role))
        self._speaks = keys.service_role

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._open and path.startswith(self._open):
            await self._app(scope, receive, send)
            return
        key = _key(scope)
        if key not in self._known:
            refusal = JSONResponse(_OTHER_KEY if key else _NO_KEY, 401)
            await refusal(scope, receive, send)
            return
        # Without a token REST and storage take the anon key for `anon` themselves; auth asks for one, with 401.
        if key == self._speaks and not any(name == b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {key}".encode())]}
        await self._app(scope, receive, send)


def guarded(service: Service, keys: Keys) -> ASGIApp:
    """`service` behind the gate, answering pages of every origin. No cookie of ours is involved."""
    return CORSMiddleware(
        Gate(service, keys),
        allow_origins=["*"],
        allow_methods=_METHODS,
        allow_headers=["*"],
        expose_headers=tuple(service.exposed_headers),
    )


def _key(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"apikey":
            return value.decode("latin-1")
    if b"apikey=" in scope["query_string"]:
        return parse_qs(scope["query_string"].decode("latin-1")).get("apikey", [""])[0]
    return ""
