"""A page's websocket without a page: what it sends, and what it is told (see tests/bench/sockets.py)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from reflex_base.constants import Reflex
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Origin, Subprotocol

ROOT = "reflex___state____state"


class Tab:
    """One that is connected."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, event: str, path: str = "/profile", payload: object = None) -> None:
        """Send an event, as of a page at this path, which may have a query."""
        page = {"pathname": path.partition("?")[0], "asPath": path}
        said = {"name": event, "payload": payload or {}, "router_data": page}
        self._connection.send(f"42/_event,{json.dumps(['event', said])}")

    def told_until(self, word: str) -> str:
        """All that the server says, up to what has this word in it."""
        told = ""
        while word not in told:
            packet = self._connection.recv(timeout=15)
            if packet == "2":
                self._connection.send("3")
            told += str(packet)
        return told


@contextmanager
def tab(url: str, name: str, headers: dict[str, str] | None = None, port: int | None = None) -> Iterator[Tab]:
    """A tab.

    Args:
        url: where people come.
        name: the tab's own.
        headers: what else the handshake says: cookies, say.
        port: of the backend that takes it, where that is not the one of `url`.
    """
    address = f"ws://{url.partition('//')[2]}/_event/?token={name}&EIO=4&transport=websocket"
    with connect(
        address,
        sock=socket.create_connection(("127.0.0.1", port)) if port else None,
        origin=Origin(url),
        subprotocols=[Subprotocol(Reflex.VERSION)],
        additional_headers=headers,
    ) as connection:
        connection.send("40/_event,")
        opened = Tab(connection)
        opened.told_until("40/_event,")
        yield opened
