"""How a websocket is read, by a clock that the tests turn: what at once, what slowly, and when it is cut off."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
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
PATIENCE = 10  # seconds


class Clock:
    """Stands still, but while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sockets, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(sockets, "asyncio", SimpleNamespace(sleep=clock.sleep, timeout=asyncio.timeout))
    return clock


async def read_all(stopwatch: Clock, pauses: list[float]) -> tuple[int, list[Message]]:
    """A page joins and then sends an event after each of these pauses, for as long as it is read.

    Returns:
        How many events the application read, and what went out; it says something after each, and once it is over.
    """
    told = iter([(0.0, JOIN), *((pause, EVENT) for pause in pauses)])
    sent: list[Message] = []
    read = 0

    async def receive() -> Message:
        pause, message = next(told, (0.0, GONE))
        stopwatch.now += pause
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


async def test_what_five_seconds_bring_is_read_at_once_and_then_so_many_a_second(stopwatch: Clock):
    read, _ = await read_all(stopwatch, [0.0] * (AT_ONCE + 20 - 1))  # joining was the first
    assert read == AT_ONCE + 20 - 1
    assert stopwatch.slept == pytest.approx([1 / PACE] * 20)


async def test_who_is_a_little_too_fast_waits_for_what_is_missing(stopwatch: Clock):
    await read_all(stopwatch, [*[0.0] * (AT_ONCE - 1), *[0.5 / PACE] * 20])
    assert stopwatch.slept == pytest.approx([0.5 / PACE] * 20)


async def test_whoever_goes_on_is_cut_off_and_hears_no_more(stopwatch: Clock):
    before = counted("sigma_refusals_total", reason="events")
    read, sent = await read_all(stopwatch, [0.0] * 1000)
    assert read == AT_ONCE + SLOWLY - 1
    assert sum(stopwatch.slept) == pytest.approx(10)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": sockets._TOO_FAST}]
    assert counted("sigma_refusals_total", reason="events") == before + 1


async def test_after_a_pause_it_begins_anew(stopwatch: Clock):
    burst = [6.0, *[0.0] * (AT_ONCE + SLOWLY - 2)]
    read, sent = await read_all(stopwatch, burst * 3)
    assert read == len(burst) * 3
    assert sent == [{"type": "websocket.send", "text": "goodbye"}]


async def test_a_shorter_pause_is_none(stopwatch: Clock):
    burst = [4.0, *[0.0] * (AT_ONCE + SLOWLY - 2)]
    read, sent = await read_all(stopwatch, burst * 3)
    assert read < len(burst) * 3
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_long_pause_lets_no_more_through_at_once_than_a_short_one(stopwatch: Clock):
    await read_all(stopwatch, [3600.0, *[0.0] * (AT_ONCE + 20 - 1)])
    assert stopwatch.slept == pytest.approx([1 / PACE] * 20)


async def test_whoever_says_all_kinds_of_things_but_not_what_for_is_cut_off(stopwatch: Clock):
    sent: list[Message] = []
    told: list[Message] = [{"type": "websocket.receive", "text": "3"}]

    async def receive() -> Message:
        stopwatch.now += sockets.JOIN_SECONDS + 1
        if not told:
            await asyncio.wait_for(asyncio.Event().wait(), PATIENCE)
        return told.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        while (await receive())["type"] == "websocket.receive":
            pass

    scope = {"type": "websocket", "path": "/_event/", "headers": [], "client": ("192.0.2.1", 1)}
    await paced(app, settings_for(Path("unused")))(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": sockets._SILENT}]


async def test_at_its_pace_nobody_is_slowed(stopwatch: Clock):
    read, _ = await read_all(stopwatch, [1 / PACE] * 1000)
    assert (read, stopwatch.slept) == (1000, [])


class Door:
    """A few websockets of each network, which stay open until they are let go."""

    def __init__(self, most: int):
        self._let_go = asyncio.Event()
        settings = settings_for(Path("unused"), SOCKET_LIMIT_PER_NETWORK=str(most))
        self._app = paced(self._stay, settings)
        self._open: list[asyncio.Future[None]] = []

    async def _stay(self, _: Scope, __: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await self._let_go.wait()
        raise ConnectionError

    async def knock(self, network: str, headers: list[tuple[bytes, bytes]] | None = None) -> Message:
        """What a handshake hears first."""
        heard: asyncio.Queue[Message] = asyncio.Queue()

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        scope = {"type": "websocket", "path": "/_event/", "headers": headers or [], "client": (network, 1)}
        self._open.append(asyncio.ensure_future(self._app(scope, receive, heard.put)))
        return await heard.get()

    @property
    def known(self) -> dict[str, int]:
        """The networks that are counted."""
        return inspect.getclosurevars(self._app).nonlocals["open_now"]

    async def let_go(self) -> None:
        self._let_go.set()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._open.clear()
        self._let_go.clear()


async def test_a_network_has_its_places_and_gets_them_back_however_a_page_ends():
    door = Door(2)
    for network in ("192.0.2.1", "192.0.2.1", "198.51.100.1"):
        assert (await door.knock(network))["type"] == "websocket.accept"
    refused = await door.knock("192.0.2.1")
    assert (refused["status"], dict(refused["headers"])[b"retry-after"]) == (429, b"60")
    await door.let_go()
    assert (await door.knock("192.0.2.1"))["type"] == "websocket.accept"
    await door.let_go()
    assert door.known == {}  # nor does memory grow with every network that was ever here


@pytest.mark.parametrize(
    ("headers", "variable"),
    [([], "SOCKET_LIMIT_PER_NETWORK"), ([(b"x-forwarded-for", b"198.51.100.1")], "TRUSTED_PROXIES")],
)
async def test_the_operator_reads_which_setting_helps(
    caplog: pytest.LogCaptureFixture, headers: list[tuple[bytes, bytes]], variable: str
):
    door = Door(1)
    for status in (None, 429):
        assert (await door.knock("192.0.2.1", headers)).get("status") == status
    await door.let_go()
    (said,) = [one.getMessage() for one in caplog.records if "too many websockets" in one.getMessage()]
    assert [name for name in ("SOCKET_LIMIT_PER_NETWORK", "TRUSTED_PROXIES") if name in said] == [variable]


async def test_a_page_that_connects_again_and_again_may_do_so_three_times_a_minute(clock: Callable[[float], None]):
    door = Door(2)

    async def one() -> object:
        answer = await door.knock("192.0.2.1")
        await door.let_go()
        return answer.get("status", "open")

    assert [await one() for _ in range(7)] == ["open"] * 6 + [429]
    clock(61)
    assert await one() == "open"
