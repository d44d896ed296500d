"""A visitor on Sigma's websocket, speaking as the page's own client does (.web/utils/state.js).

Engine.IO 4 carries Socket.IO 5 carries Reflex's events. The CONNECT packet brings the event that hydrates the page
along; a join is an `event` message, and its answer the update that names the same attempt.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reflex_base.constants import Reflex
from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

if TYPE_CHECKING:
    from tests.bench.load import Job, Tally

# The first character is Engine.IO's packet type, the second Socket.IO's.
_OPEN, _PING, _PONG = "0", "2", "3"
_CONNECT, _CONNECTED, _EVENT = "40", "40", "42"
_NAMESPACE = "/_event,"
_ROUTER_DATA = {"pathname": "/", "asPath": "/"}
_ROOT = "reflex___state____state"
_HYDRATE = f"{_ROOT}.hydrate_and_load"


class SocketVisitor:
    """One page that stays open and joins again and again, each time with another address."""

    def __init__(self, job: Job, number: int, tally: Tally):
        self._job = job
        self._number = number
        self._tally = tally
        self._attempts = 0
        self.headers: dict[str, str] = {}  # of the handshake, beside the origin

    async def arrive(self) -> None:
        origin = f"http://127.0.0.1:{self._job.port}"
        address = f"ws://127.0.0.1:{self._job.port}/_event/?token={uuid4()}&EIO=4&transport=websocket"
        self._socket = await connect(
            address,
            origin=Origin(origin),
            additional_headers=self.headers,
            subprotocols=[Subprotocol(Reflex.VERSION)],
            compression=None,
        )
        await self._expect(_OPEN)
        boot = {"event": _event(_HYDRATE, {}), "state_schema": self._job.schema or None}
        await self._socket.send(f"{_CONNECT}{_NAMESPACE}{json.dumps(boot)}")
        await self._expect(_CONNECTED + _NAMESPACE)
        while not (await self._changes(_ROOT)).get("is_hydrated"):
            pass

    async def ask_until_late(self) -> None:
        from tests.bench.load import join_form

        state = self._job.event.rpartition(".")[0]
        while time.perf_counter() < self._tally.deadline:
            self._attempts += 1
            address = f"{self._job.marker}-{self._number}-{self._attempts}@example.com"
            form = join_form(self._job.port, address) | {"attempt": str(self._attempts)}
            asked_at = time.perf_counter()
            await self._send(self._job.event, form)
            outcome = await self._outcome(state)
            self._tally.note(time.perf_counter() - asked_at, outcome)
        await self._socket.close()

    async def stay(self) -> None:
        """Keep the page open: answer pings, and read whatever the server says."""
        async for packet in self._socket:
            if packet == _PING:
                await self._socket.send(_PONG)

    async def _send(self, handler: str, form: dict[str, str]) -> None:
        """Send a form to an event handler, named in full."""
        payload = {"form_data": {"__reflex_form_data__": [list(field) for field in form.items()]}}
        await self._socket.send(f"{_EVENT}{_NAMESPACE}{json.dumps(['event', _event(handler, payload)])}")

    async def _outcome(self, state: str) -> str:
        """What the update says that answers the latest attempt."""
        while True:
            values = await self._changes(state)
            if values.get("attempt") == str(self._attempts):
                return values.get("outcome", "joined as before" if self._attempts > 1 else "no outcome")

    async def _changes(self, state: str) -> dict[str, Any]:
        """The fields of `state` that the next update changes."""
        name, update = json.loads(await self._expect(_EVENT + _NAMESPACE))
        if name != "event":
            raise RuntimeError(f"The server sent {name}: {update}")
        changes = update.get("delta", {}).get(state, {})
        return {field.removesuffix("_rx_state_"): value for field, value in changes.items()}

    async def _expect(self, start: str) -> str:
        """The next packet, without `start`; a ping on the way is answered."""
        while True:
            packet = await self._socket.recv()
            if not isinstance(packet, str):
                raise RuntimeError("The server sent a binary packet.")
            self._tally.received += len(packet)
            if packet == _PING:
                await self._socket.send(_PONG)
            elif packet.startswith(start):
                return packet.removeprefix(start)
            else:
                raise RuntimeError(f"Expected {start}, and the server sent {packet[:500]}")


def _event(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "payload": payload, "router_data": dict(_ROUTER_DATA)}
