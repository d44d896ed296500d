"""The headers that every answer carries, whoever gives it: what a browser may do with it, and what it may not.

An answer that says one of them itself keeps its own word. Pages name their scripts (frontend/policy.py); everything
else is data, and whatever it looks like, a browser neither runs nor frames it.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING_RUNS = "default-src 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of what is no page."""

_COMMON = {
    "x-content-type-options": "nosniff",
    "content-security-policy": NOTHING_RUNS,
    # Other sites learn where a visitor came from, and no more; our own learn by which campaign, also without a script.
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "cross-origin-opener-policy": "same-origin",
}
_A_YEAR = "max-age=31536000"


def hardened(app: ASGIApp, base_url: str) -> ASGIApp:
    """`app`, each of whose answers over HTTP has these headers.

    Args:
        app: answers.
        base_url: the public address; behind https a browser is told to come by nothing else for a year (RFC 6797).
    """
    common = _COMMON | ({"strict-transport-security": _A_YEAR} if base_url.startswith("https:") else {})
    added = [(name.encode(), value.encode()) for name, value in common.items()]

    async def hardening(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            # Not of what a browser has already: it would put these in the place of those that came with it.
            if message["type"] == "http.response.start" and message["status"] != HTTPStatus.NOT_MODIFIED:
                said = {name.lower() for name, _ in message["headers"]}
                missing = [pair for pair in added if pair[0] not in said]
                message = {**message, "headers": [*message["headers"], *missing]}
            await send(message)

        await app(scope, receive, with_headers)

    return hardening
