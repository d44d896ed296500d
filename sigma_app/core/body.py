"""Reading a request's body, which is held in memory and therefore bounded.

Doors that read one have limits of their own, in words of their own (`read_body`). `bounded` stands before all of them,
so that a route that forgets has one, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core.refusals import refusal

LARGEST = 1024 * 1024  # bytes of a body, unless a door is known to take more
_ROOM = 64 * 1024  # bytes by which `bounded` lets more through than a door takes, which then says so in its own words
_OWN_LIMITS = ("/auth/v1/", "/rest/v1/", "/storage/v1/")  # Supabase's, in Supabase's own words


class BodyTooLarge(Exception):
    """The body is larger than what this door takes; the rest was not read."""


async def read_body(request: Request, most: int) -> bytes:
    """The raw body, byte for byte.

    Args:
        request: whose body was not read yet.
        most: bytes.

    Raises:
        BodyTooLarge: it has more.
        starlette.requests.ClientDisconnect: the client left before its end.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise BodyTooLarge
    return bytes(body)


def bounded(app: ASGIApp, larger: Mapping[str, int]) -> ASGIApp:
    """`app`, which sees no more of a body than it may have: then the answer is 413, and to `app` the client is gone.

    Nothing is held here: a body that says its length is refused unread, another one as soon as it has grown too large.

    Args:
        app: answers.
        larger: by path, the bytes that a door takes if it is more than `LARGEST`.
    """

    async def bounding(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OWN_LIMITS):
            await app(scope, receive, send)
            return
        most = larger.get(scope["path"], LARGEST) + _ROOM
        if _said_length(scope) > most:
            await _too_large(scope)(scope, receive, send)
            return
        seen, begun, refused = 0, False, False

        async def counted() -> Message:
            nonlocal seen, refused
            if refused:
                return {"type": "http.disconnect"}
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= most:
                return message
            refused = True
            if not begun:
                await _too_large(scope)(scope, receive, send)
            return {"type": "http.disconnect"}

        async def answered(message: Message) -> None:
            nonlocal begun
            begun = True
            if not refused:
                await send(message)

        await app(scope, counted, answered)

    return bounding


def _said_length(scope: Scope) -> int:
    """What Content-Length says, 0 without one; the server refused what is no number."""
    return next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)


def _too_large(scope: Scope):
    return refusal(scope, "body", 413, "That is more than is taken here. Nothing of it was kept.")
