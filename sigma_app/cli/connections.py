"""What one connection may take of the server: bytes before it says anything, and time for saying and for listening.

Uvicorn answers whoever is polite; these are its two protocols with what it has no limits for. The head of a request
has ten seconds and 32 KiB. A body, and an answer, may take as long as their size allows at a pace that the slowest
telephone keeps, counted only while it is the client's turn. Whoever is over is told so where a word can still be read,
and cut off. Each holds for the last hop: behind a proxy that is the proxy, which needs limits of its own
(docs/operating.md).
"""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import TimerHandle
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from sigma_app.core.metrics import REFUSALS

LONGEST_ADDRESS = 8 * 1024  # bytes of path and query; what browsers and proxies agree on
LARGEST_HEAD = 32 * 1024  # bytes of all headers
MOST_HEADERS = 100
MOST_FRAMES = 64  # that one message of a websocket may come in
_MOST_SILENT = 64 * 1024  # bytes in which a parser finds nothing to report, such as a header that does not end
_MOST_PIPELINED = 32  # requests that are sent ahead of their answers

HEAD_SECONDS = 10  # from the first byte of a request to the end of its headers
BODY_SECONDS = 15  # for a body to begin with, and then a second for each …
BODY_PACE = 1024  # … so many bytes of it
ANSWER_SECONDS = 20  # for an answer to leave, and then a second for each …
ANSWER_PACE = 4096  # … so many bytes of it that wait
_LINGER_SECONDS = 5  # in which a client that was answered may still send, to read the answer then
_LOOK_SECONDS = 2  # between two looks at a connection

_WORDS = {
    400: "This is no HTTP request.",
    408: "The request did not arrive in time.",
    414: "The address is too long.",
    431: "The headers are too large.",
}


class _Refused(Exception):
    """Raised out of the parser's callbacks, to be answered with `status`."""

    def __init__(self, status: int):
        super().__init__()
        self.status = status


class _BoundedHttp(HttpToolsProtocol):
    """Uvicorn's HTTP, for so many bytes and so much time.

    `_turn` says what the client is at: "" between two requests, then "head", then "body".
    """

    _turn = ""
    _waited = 0.0  # seconds that we have waited in this turn
    _body_bytes = 0
    _silent_bytes = 0
    _head_bytes = 0
    _sent_by: float | None = None  # when what waits to be sent must have left
    _looking: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self._looking = self.loop.call_later(_LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_looking()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.parser is None:  # the connection is lost
            return
        self._silent_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._silent_bytes > _MOST_SILENT:
                raise _Refused(431)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            return
        except _Refused as refused:
            self._refuse(refused.status)
        except httptools.HttpParserError as error:
            reason = error.__context__
            self._refuse(reason.status if isinstance(reason, _Refused) else 400)

    def handle_websocket_upgrade(self) -> None:
        self._stop_looking()
        self._unset_keepalive_if_required()
        super().handle_websocket_upgrade()

    def resume_writing(self) -> None:
        self._sent_by = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        if self.transport.get_write_buffer_size():  # it would wait for a client that does not read
            _drop(self.transport)

    # What the parser reports

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unset_keepalive_if_required()
        self._begin("head")
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > LONGEST_ADDRESS:
            raise _Refused(414)

    def on_header(self, name: bytes, value: bytes) -> None:  # of the head, and of what may follow a chunked body
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > LARGEST_HEAD or len(self.headers) > MOST_HEADERS:
            raise _Refused(431)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise _Refused(400)
        super().on_headers_complete()
        self._begin("body")
        self._body_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._silent_bytes = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._begin("")
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._waited = 0.0

    # What is looked at from time to time

    def _begin(self, turn: str) -> None:
        self._turn = turn
        self._waited = 0.0
        self._silent_bytes = 0

    def _look(self) -> None:
        self._looking = self.loop.call_later(_LOOK_SECONDS, self._look)
        self._look_at_what_waits()
        if self.transport.is_closing() or self.flow.read_paused or not self._turn:
            return
        self._waited += _LOOK_SECONDS
        if self._waited > self._allowed():
            self._refuse(408)

    def _allowed(self) -> float:
        if self._turn == "head":
            return HEAD_SECONDS
        if self.cycle.response_complete:
            return _LINGER_SECONDS
        return BODY_SECONDS + self._body_bytes / BODY_PACE

    def _look_at_what_waits(self) -> None:
        waits, now = self.transport.get_write_buffer_size(), self.loop.time()
        if not waits:
            self._sent_by = None
        elif self._sent_by is None:
            self._sent_by = now + ANSWER_SECONDS + waits / ANSWER_PACE
        elif now > self._sent_by:
            REFUSALS.labels("slow").inc()
            _drop(self.transport)

    def _stop_looking(self) -> None:
        if self._looking:
            self._looking.cancel()
            self._looking = None

    def _refuse(self, status: int) -> None:
        """Say why, unless that would stand in another answer or after its own, and end the connection."""
        REFUSALS.labels("slow" if status == 408 else "head").inc()
        if self._turn == "body":
            unanswered = not self.cycle.response_started
        else:
            unanswered = self.cycle is None or self.cycle.response_complete
        if unanswered:
            self._say(status)
        self.transport.close()

    def _say(self, status: int) -> None:
        words = f"{_WORDS[status]}\n".encode()
        head = (
            b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(words)
        )
        self.transport.write(STATUS_LINE[HTTPStatus(status)] + head + words)


class _BoundedWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's websockets, whose messages have an end and whose clients read."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # by a whole head, which HTTP let pass and this parser does not
            REFUSALS.labels("head").inc()
            self.transport.write(STATUS_LINE[400] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MOST_FRAMES:
            REFUSALS.labels("frames").inc()
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many frames")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._abort_later()

    def shutdown(self) -> None:
        super().shutdown()
        self._abort_later()

    def _abort_later(self) -> None:
        """Closing waits until everything was read; whoever reads nothing would never be gone."""
        self.loop.call_later(_LINGER_SECONDS, _drop, self.transport)


def _drop(transport: asyncio.Transport) -> None:
    """End a connection at once, also for the system, which else goes on to offer what was not read."""
    connected = transport.get_extra_info("socket")
    if connected and connected.fileno() >= 0:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def bounded_protocols() -> dict[str, Any]:
    """What makes a uvicorn configuration use them."""
    return {"http": _BoundedHttp, "ws": _BoundedWebSocket}
