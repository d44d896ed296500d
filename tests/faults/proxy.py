"""Stands in front of an outside service, on loopback, and spoils its answers as it is told."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from urllib.parse import urlsplit

from tests.faults.processes import beside
from tests.sigma import free_port

DRIP_SECONDS = 0.5  # for each byte: less than any client waits for the next one
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_GARBAGE = b"<!doctype html><title>Welcome to nginx!</title><h1>It works</h1>"


class Fault(Enum):
    """What goes wrong with an answer."""

    NONE = "nothing"
    REFUSED = "the connection is refused"
    HANG = "the request is taken, and nothing is ever said"
    DRIP = "the answer comes byte by byte"
    ERROR = "500, with a page of whatever stands in front"
    BUSY = "429, with Retry-After"
    GARBAGE = "200, with a page that is no answer"
    TRUNCATED = "half of the JSON, as if that were all"
    RESET = "the connection is reset in the middle of the answer"


class Proxy:
    """An address of its own; every request to it is a connection of its own to the service behind it."""

    def __init__(self, upstream: str):
        """Nothing listens yet.

        Args:
            upstream: the service's address.
        """
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self.port = free_port()
        self.fault = Fault.NONE
        self.asked = 0
        """Requests that arrived, whatever became of them."""
        self._answering: set[asyncio.Task] = set()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def wrong(self, fault: Fault) -> Iterator[None]:
        """Spoil all answers inside the block."""
        self.fault = fault
        try:
            yield
        finally:
            self.fault = Fault.NONE

    @contextmanager
    def listening(self) -> Iterator[Proxy]:
        """Listen inside the block, in a thread of its own."""
        with beside(self._serve):
            yield self

    async def _serve(self) -> None:
        server = None
        try:
            while True:
                if (self.fault is Fault.REFUSED) != (server is None):
                    if server:
                        server.close()
                        server = None
                    else:
                        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
                await asyncio.sleep(0.02)
        finally:
            if server:
                server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._answering.add(task)  # or a hung one would be collected as garbage
        try:
            request = await _message(reader)
            self.asked += 1
            await self._say(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._answering.discard(task)
            writer.close()

    async def _say(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self.fault
        if fault is Fault.HANG:
            await asyncio.Event().wait()  # until the proxy ends
        if fault is Fault.ERROR:
            writer.write(_answer(b"500 Internal Server Error", b"text/html", _GARBAGE))
        elif fault is Fault.BUSY:
            writer.write(_answer(b"429 Too Many Requests", b"application/json", b"{}", b"Retry-After: 1\r\n"))
        elif fault is Fault.GARBAGE:
            writer.write(_answer(b"200 OK", b"text/html", _GARBAGE))
        else:
            head, body = await self._ask(request)
            if fault is Fault.TRUNCATED:
                body = body[: len(body) // 2]
                head = _LENGTH.sub(b"Content-Length: %d" % len(body), head)
            if fault is Fault.RESET:
                _reset_at_the_end(writer)
                body = body[: len(body) // 2]
            if fault is Fault.DRIP:
                await _drip(writer, head + body)
            else:
                writer.write(head + body)
        await writer.drain()
        if fault is Fault.RESET:
            await asyncio.sleep(0.05)  # what was said arrives before the end of it
            writer.transport.abort()

    async def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection(*self._upstream)
        first, _, rest = request.partition(b"\r\n")
        writer.write(first + b"\r\nConnection: close\r\n" + re.sub(rb"(?i)connection: [^\r]*\r\n", b"", rest, count=1))
        try:
            said = await reader.read()
        finally:
            writer.close()
        head, _, body = said.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n", body


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A request, with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


def _answer(status: bytes, kind: bytes, body: bytes, headers: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (status, kind, len(body))
    return head + headers + b"Connection: close\r\n\r\n" + body


async def _drip(writer: asyncio.StreamWriter, said: bytes) -> None:
    for byte in said:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)


def _reset_at_the_end(writer: asyncio.StreamWriter) -> None:
    """Have the connection end with RST instead of FIN."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
