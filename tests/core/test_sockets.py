"""How a websocket is read, by a clock that the tests turn: what at once, what slowly, and when it is cut off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.types import Message, Receive, Scope, Send

from sigma_app.core import sockets
from sigma_app.core.sockets import paced
from tests.conftest import settings_for
from tests.counted import counted

pytestmark = pytest.mark.anyio

PACE = 10  # events a second
AT_ONCE, SLOWLY = 5 * PACE, 10 * PACE  # what five seconds bring, and ten
JOIN: Message = {"type": "websocket.receive", "text": "40/_event,"}
EVENT: Message = {"type": "websocket.receive", "text": "42/_event,[]"}
GONE: Message = {"type": "websocket.disconnect", "code": 1000}


class Clock:
    """Stands still, but while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sockets, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(sockets, "asyncio", SimpleNamespace(sleep=clock.sleep, timeout=asyncio.timeout))
    return clock


async def read_all(clock: Clock, pauses: list[float]) -> tuple[int, list[Message]]:
    """A page joins and then sends an event after each of these pauses, for as long as it is read.

    Returns:
        How many events the application read, and what went out; it says something after each, and once it is over.
    """
    told = iter([(0.0, JOIN), *((pause, EVENT) for pause in pauses)])
    sent: list[Message] = []
    read = 0

    async def receive() -> Message:
        pause, message = next(told, (0.0, GONE))
        clock.now += pause
        return message

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        nonlocal read
        await receive()
        while (await receive())["type"] == "websocket.receive":
            read += 1
        await send({"type": "websocket.send", "text": "goodbye"})

    settings = settings_for(Path("unused"), SOCKET_EVENTS_PER_SECOND=str(PACE))
    scope = {"type": "websocket", "path": "/_event/", "headers": [], "client": ("192.0.2.1", 1)}
    await paced(app, settings)(scope, receive, send)
    return read, sent


async def test_what_five_seconds_bring_is_read_at_once_and_then_so_many_a_second(clock: Clock):
    read, _ = await read_all(clock, [0.0] * (AT_ONCE + 20 - 1))  # joining was the first
    assert read == AT_ONCE + 20 - 1
    assert clock.slept == pytest.approx([1 / PACE] * 20)


async def test_who_is_a_little_too_fast_waits_for_what_is_missing(clock: Clock):
    await read_all(clock, [*[0.0] * (AT_ONCE - 1), *[0.5 / PACE] * 20])
    assert clock.slept == pytest.approx([0.5 / PACE] * 20)


async def test_whoever_goes_on_is_cut_off_and_hears_no_more(clock: Clock):
    before = counted("sigma_refusals_total", reason="events")
    read, sent = await read_all(clock, [0.0] * 1000)
    assert read == AT_ONCE + SLOWLY - 1
    assert sum(clock.slept) == pytest.approx(10)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": sockets._TOO_FAST}]
    assert counted("sigma_refusals_total", reason="events") == before + 1


async def test_after_a_pause_it_begins_anew(clock: Clock):
    burst = [6.0, *[0.0] * (AT_ONCE + SLOWLY - 2)]
    read, sent = await read_all(clock, burst * 3)
    assert read == len(burst) * 3
    assert sent == [{"type": "websocket.send", "text": "goodbye"}]


async def test_a_shorter_pause_is_none(clock: Clock):
    burst = [4.0, *[0.0] * (AT_ONCE + SLOWLY - 2)]
    read, sent = await read_all(clock, burst * 3)
    assert read < len(burst) * 3
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_at_its_pace_nobody_is_slowed(clock: Clock):
    read, _ = await read_all(clock, [1 / PACE] * 1000)
    assert (read, clock.slept) == (1000, [])
