"""Reading a request's body, which is held in memory and therefore bounded."""

from __future__ import annotations

from starlette.requests import Request


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
