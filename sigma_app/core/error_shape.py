"""The shape of an error, whichever route refuses: `{"message", "error", "details", "hint", "code"}`, as documented.

Routes say what is wrong in a line of plain text, or in JSON with what their own script needs; frameworks say "Method
Not Allowed". Who reads HTML gets the line as it is, everybody else the shape. Supabase's API has shapes of its own,
which its clients know (embedded/supabase), and a page is a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core.logs import request_id

_OF_SUPABASE = ("/auth/v1", "/rest/v1", "/storage/v1")
_LARGEST = 64 * 1024  # bytes; what has more is no line of ours, and is passed on as it comes


def in_shape(status: int, message: str) -> dict[str, Any]:
    """An error in the documented shape; `details` names the request, by which its log lines are found.

    Args:
        status: of the answer; it is the `code` as well.
        message: one sentence for a person.
    """
    details = f"Request {request_id.get()}" if request_id.get() else None
    return {"message": message, "error": message, "details": details, "hint": None, "code": str(status)}


def shaped(app: ASGIApp) -> ASGIApp:
    """`app`, whose refusals have the documented shape."""

    async def shaping(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OF_SUPABASE):
            await app(scope, receive, send)
        else:
            await app(scope, receive, _Shaping(scope, send))

    return shaping


class _Shaping:
    """A `send` that holds a refusal back until it is whole."""

    def __init__(self, scope: Scope, send: Send):
        self._send = send
        self._reads_html = any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
        self._start: Message | None = None
        self._kind = b""
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._is_refusal(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            await self._go_on(self._start, message)

    def _is_refusal(self, start: Message) -> bool:
        headers = {name.lower(): value for name, value in start["headers"]}
        self._kind = headers.get(b"content-type", b"").partition(b";")[0]
        if start["status"] < 400 or b"content-encoding" in headers:
            return False
        return self._kind == b"application/json" or (self._kind == b"text/plain" and not self._reads_html)

    async def _go_on(self, start: Message, message: Message) -> None:
        self._body += message.get("body", b"")
        more = message.get("more_body", False)
        if more and len(self._body) <= _LARGEST:
            return
        said = self._said(start["status"]) if len(self._body) <= _LARGEST else None
        if said is not None:
            self._body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
            own = [pair for pair in start["headers"] if pair[0].lower() not in (b"content-type", b"content-length")]
            length = (b"content-length", str(len(self._body)).encode())
            start = {**start, "headers": [*own, (b"content-type", b"application/json"), length]}
        self._start = None
        await self._send(start)
        await self._send({**message, "body": self._body})

    def _said(self, status: int) -> Mapping[str, Any] | None:
        """What was refused, in the shape; None where it is something else, or, after HEAD, nothing."""
        if not self._body:
            return None
        if self._kind == b"text/plain":
            return in_shape(status, self._body.decode("utf-8", "replace"))
        try:
            known = json.loads(self._body)
        except ValueError:
            return None
        message = known.get("message") or known.get("error") if isinstance(known, dict) else None
        return in_shape(status, message) | known if isinstance(message, str) else None
