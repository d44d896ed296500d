"""Few at a time ask Stripe while they hold a connection; the others wait, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sigma_app.features.billing import turns
from sigma_app.features.billing.turns import Line, turn
from sigma_app.gateways.payments import PaymentsUnavailable
from tests.conftest import settings_for
from tests.settled import settled

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def settings_of_the_pool(tmp_path: Path) -> Iterator[None]:
    with settled(settings_for(tmp_path, DATABASE_POOL_SIZE="9")):
        yield


def test_both_lines_together_leave_connections_to_others():
    assert turns.at_once() == 3


@asynccontextmanager
async def held(line: Line, *whose: str) -> AsyncIterator[None]:
    """Turns of these are under way in the block."""
    over = asyncio.Event()
    begun: asyncio.Queue[None] = asyncio.Queue()

    async def hold(one: str) -> None:
        async with turn(line, one):
            begun.put_nowait(None)
            await over.wait()

    holding = [asyncio.create_task(hold(one)) for one in whose]
    for _ in whose:
        await begun.get()
    yield
    over.set()
    await asyncio.gather(*holding)


def all_turns() -> list[str]:
    return [f"cus_{one}" for one in range(turns.at_once())]


async def most_at_once(line: Line, whose: list[str]) -> tuple[int, int]:
    """How many of these had a turn at the same time, at most, and how many had one at all."""
    at_work, most, done = 0, 0, 0

    async def work(one: str) -> None:
        nonlocal at_work, most, done
        async with turn(line, one):
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0)
            at_work -= 1
            done += 1

    await asyncio.gather(*map(work, whose))
    return most, done


async def test_no_more_at_once_than_have_a_turn_and_everybody_gets_one():
    assert await most_at_once(Line.WORKER, [f"cus_{one}" for one in range(20)]) == (turns.at_once(), 20)


async def test_of_one_customer_only_one_has_a_turn():
    assert await most_at_once(Line.WORKER, ["cus_1"] * 20) == (1, 20)


async def test_who_waits_for_their_own_keeps_nobody_else_from_a_turn():
    async with held(Line.WORKER, "cus_busy"):
        waiting = [asyncio.create_task(most_at_once(Line.WORKER, ["cus_busy"])) for _ in range(turns.at_once())]
        for _ in range(10):  # until each of them waits
            await asyncio.sleep(0)
        async with turn(Line.WORKER, "cus_other"):
            assert not any(one.done() for one in waiting)
    assert await asyncio.gather(*waiting) == [(1, 1)] * turns.at_once()


async def test_the_worker_keeps_no_visitor_from_a_turn():
    async with held(Line.WORKER, *all_turns()), turn(Line.VISITORS, "cus_0"):
        pass


async def test_who_waits_too_long_is_told_so_and_takes_nobodys_turn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(turns.PATIENCE, Line.WORKER, 0.05)
    async with held(Line.WORKER, *all_turns()):
        for whose in ("cus_0", "cus_other"):
            with pytest.raises(PaymentsUnavailable):
                async with turn(Line.WORKER, whose):
                    pytest.fail("a turn beyond the last one")
    async with held(Line.WORKER, *all_turns()):
        pass


async def test_a_turn_ends_with_an_error_as_well():
    for _ in range(turns.at_once() + 1):
        with pytest.raises(ZeroDivisionError):
            async with turn(Line.WORKER, "cus_1"):
                _ = 1 / 0
