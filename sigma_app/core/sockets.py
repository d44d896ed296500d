"""How many websockets a network may have open, and how fast each may send.

A page sends an event when somebody does something, so a few in a second are many. Whoever sends more is read more
slowly, by which TCP slows the sender down and everybody else keeps their pace; whoever goes on is cut off. A page that
is cut off connects again by itself, and meanwhile says what it says when there is no network.

Counted in this process alone: several each let in as many.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core.limits import Limiter
from sigma_app.core.metrics import REFUSALS
from sigma_app.core.origin import client_address, network_of
from sigma_app.core.refusals import refusal
from sigma_app.settings import Settings

PAUSE_SECONDS = 5  # without an event, after which the events of as many seconds are read without waiting
SLOWED_SECONDS = 10  # of events read slowly one after the other, without such a pause, until the websocket is cut off
JOIN_SECONDS = 10  # until a websocket says what it is for
_HANDSHAKES = 3  # in a minute, for each websocket that a network may have

_JOINS = "40"  # Socket.IO's CONNECT, in a message of Engine.IO's
_FULL = "Too many pages are open from your network. Close some, or try again in a minute."
_TOO_FAST = "Too many events. Please wait a moment."  # a close frame has 123 bytes for it
_SILENT = "Nothing was asked for."

logger = logging.getLogger(__name__)


def paced(app: ASGIApp, settings: Settings) -> ASGIApp:
    """`app`, whose websockets are so many and so fast."""
    most = settings.socket_limit_per_network
    handshakes = Limiter("sockets", f"{_HANDSHAKES * most}/minute")
    open_now: Counter[str] = Counter()

    async def pacing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await app(scope, receive, send)
            return
        network = network_of(client_address(scope, settings.trusted_proxies))
        wait = 60 if open_now[network] >= most else await handshakes.wait(network)
        if wait:
            _tell_operator(scope, settings)
            await refusal(scope, "sockets", 429, _FULL, {"retry-after": str(wait)})(scope, receive, send)
            return
        open_now[network] += 1
        try:
            socket = _Paced(receive, send, settings.socket_events_per_second)
            await app(scope, socket.receive, socket.send)
        finally:
            open_now[network] -= 1
            if not open_now[network]:
                del open_now[network]

    return pacing


class _Paced:
    """One websocket, between the server and the application."""

    def __init__(self, receive: Receive, send: Send, events_per_second: int):
        self._receive = receive
        self._send = send
        self._pace = events_per_second
        self._join_by = time.monotonic() + JOIN_SECONDS
        self._joined = False
        self._closed = False
        self._tokens: float = PAUSE_SECONDS * events_per_second
        self._counted_at = time.monotonic()
        self._slowed = 0

    async def receive(self) -> Message:
        if self._joined:
            message = await self._receive()
        else:
            try:
                async with asyncio.timeout(self._join_by - time.monotonic()):
                    message = await self._receive()
            except TimeoutError:
                return await self._cut_off("silent", _SILENT)
        if message["type"] != "websocket.receive":
            return message
        self._joined = self._joined or (message.get("text") or "").startswith(_JOINS)
        wait = self._count()
        if self._slowed > SLOWED_SECONDS * self._pace:
            return await self._cut_off("events", _TOO_FAST)
        if wait:
            await asyncio.sleep(wait)
        return message

    async def send(self, message: Message) -> None:
        if not self._closed:  # the application has not heard of it yet
            await self._send(message)

    def _count(self) -> float:
        """Take a message into account; the seconds until it may be read."""
        now = time.monotonic()
        self._tokens += (now - self._counted_at) * self._pace
        self._counted_at = now
        if self._tokens >= PAUSE_SECONDS * self._pace:
            self._tokens, self._slowed = PAUSE_SECONDS * self._pace, 0
        self._tokens -= 1
        if self._tokens >= 0:
            return 0
        self._slowed += 1
        return -self._tokens / self._pace

    async def _cut_off(self, reason: str, words: str) -> Message:
        REFUSALS.labels(reason).inc()
        self._closed = True
        await self._send({"type": "websocket.close", "code": 1008, "reason": words})
        return {"type": "websocket.disconnect", "code": 1008, "reason": words}


def _tell_operator(scope: Scope, settings: Settings) -> None:
    hidden = not settings.trusted_proxies and any(name == b"x-forwarded-for" for name, _ in scope["headers"])
    way_out = (
        "They come through a proxy that Sigma does not know of, so all of them count as one: set TRUSTED_PROXIES."
        if hidden
        else "SOCKET_LIMIT_PER_NETWORK is how many it may have."
    )
    logger.warning("A network opens too many websockets. %s", way_out)
