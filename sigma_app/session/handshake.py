"""What Reflex learns of a websocket's handshake: in the place of its cookies the session's, sealed for our processes.

Reflex copies a handshake's headers into every event and into the state of its tab, which may lie in Redis, and writes
an event that it cannot place into the log. Sealed with a key that is in neither, none opens a session. The key is the
same in every process of one Sigma (gateways/keys.py): a tab that lost its backend comes back at another, while the one
before, if it lives, may still be told to show it what changed.
"""

from __future__ import annotations

from cryptography.fernet import InvalidToken
from starlette.types import ASGIApp, Receive, Scope, Send

from sigma_app.gateways.keys import sealer
from sigma_app.session.cookie import cookie_of

_PURPOSE = "handshake"


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
    return sealer(_PURPOSE).encrypt(cookie.encode())


def sealed_cookie(header: str) -> str | None:
    """The session's cookie in what Reflex knows of a handshake; None where there was none."""
    try:
        return sealer(_PURPOSE).decrypt(header).decode()
    except InvalidToken:
        return None
