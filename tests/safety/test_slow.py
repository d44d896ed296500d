"""Slowloris at the real server, all at once: each is hung up on, and meanwhile everybody else is served."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

from tests.safety.raw import connect, post, status_of
from tests.sigma import Sigma

pytestmark = pytest.mark.usefixtures("unharmed")

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
SLOW = {
    "head": (GET + b"X: ", b"a"),
    "headers": (GET, b"X: a\r\n"),
    "body": (post("/join", "Content-Length: 1000"), b"a"),
    "chunks": (post("/webhooks/stripe", "Transfer-Encoding: chunked"), b"1\r\na\r\n"),
    "silence": (post("/sign-in", "Content-Length: 1000"), b""),
    "upload": (post("/storage/v1/object/avatars/a", "apikey: x", "Authorization: Bearer x", "Content-Length: 9"), b""),
}


PATIENCE = 120  # seconds, several times what the server has


def dribble(port: int, head: bytes, part: bytes) -> bytes:
    """Send `part` twice a second; what the server says until it hangs up."""
    heard, deadline = b"", time.monotonic() + PATIENCE
    with connect(port) as connection:
        connection.settimeout(0.5)
        connection.sendall(head)
        with suppress(ConnectionError):
            while True:
                assert time.monotonic() < deadline, "Nobody hung up."
                with suppress(TimeoutError):
                    if not (said := connection.recv(65536)):
                        break
                    heard += said
                connection.sendall(part)
    return heard


def test_slow_clients_are_told_so_and_hung_up_on_while_others_are_served(sigma: Sigma):
    with ThreadPoolExecutor(60) as pool:
        each = {name: [pool.submit(dribble, sigma.port, *slow) for _ in range(10)] for name, slow in SLOW.items()}
        assert httpx.get(sigma.base_url).status_code == 200
        heard = {name: [attack.result() for attack in attacks] for name, attacks in each.items()}
    for name in ("head", "headers", "body", "chunks", "silence"):
        assert {status_of(answer) for answer in heard[name]} == {408}, name
    assert all(heard["upload"])
