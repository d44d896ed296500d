"""What Reflex learns of a websocket's handshake: in the place of its cookies the session's, sealed for this process.

Reflex copies a handshake's headers into every event and into the state of its tab, which may lie in Redis, and writes
an event that it cannot place into the log. Sealed with a key that never leaves this process, none opens a session.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_app.session.cookie import cookie_of

_seal = Fernet(Fernet.generate_key())


def sealing_cookies(app: ASGIApp) -> ASGIApp:
    """`app` as it is, but for the cookies of websockets."""

    async def sealed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            cookie = cookie_of(scope["headers"])
            headers = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
            scope = {**scope, "headers": [*headers, *([(b"cookie", seal_cookie(cookie))] if cookie else [])]}
        await app(scope, receive, send)

    return sealed


def seal_cookie(cookie: str) -> bytes:
    """The session's cookie as Reflex gets to know it."""
    return _seal.encrypt(cookie.encode())


def sealed_cookie(header: str) -> str | None:
    """The session's cookie in what Reflex knows of a handshake; None where there was none."""
    try:
        return _seal.decrypt(header).decode()
    except InvalidToken:
        return None
