"""Speaking to a server as no client library would: bytes on a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

PATIENCE = 120  # seconds, for a server that should have answered or hung up long before


def connect(port: int) -> socket.socket:
    """A connection to the server on this port of this machine."""
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def talk(port: int, *parts: bytes) -> bytes:
    """Send `parts` for as long as the server takes them; what it says until it hangs up."""
    with connect(port) as connection:
        send(connection, parts)
        return hear(connection)


def send(connection: socket.socket, parts: Iterable[bytes]) -> int:
    """Send `parts`, one after the other; how many bytes the server took before it hung up."""
    sent = 0
    with suppress(ConnectionError, BrokenPipeError):
        for part in parts:
            connection.sendall(part)
            sent += len(part)
    return sent


def hear(connection: socket.socket) -> bytes:
    """All that the server says until it hangs up."""
    heard = bytearray()
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            heard += chunk
    return bytes(heard)


def hear_one(connection: socket.socket) -> bytes:
    """One answer, which says its length, from a server that may keep the connection."""
    heard = bytearray()
    while True:
        head, end, body = bytes(heard).partition(b"\r\n\r\n")
        lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
        if end and len(body) >= lengths[0]:
            return bytes(heard)
        chunk = connection.recv(65536)
        if not chunk:
            return bytes(heard)
        heard += chunk


def status_of(answer: bytes) -> int:
    """The status of the first answer; 0 where there is none."""
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/1.") else 0


def body_of(answer: bytes) -> bytes:
    """What follows the head of the first answer."""
    return answer.partition(b"\r\n\r\n")[2]


def post(path: str, *headers: str) -> bytes:
    """The head of a request that posts a form."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/x-www-form-urlencoded", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """A piece of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)
