"""Few at a time ask Stripe while they hold a connection; the others wait, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from sigma_app.features.billing import turns
from sigma_app.gateways.payments import PaymentsUnavailable

pytestmark = pytest.mark.anyio


async def test_no_more_at_once_than_have_a_turn_and_everybody_gets_one():
    at_work, most, done = 0, 0, 0

    async def work() -> None:
        nonlocal at_work, most, done
        async with turns.turn():
            at_work += 1
            most = max(most, at_work)
            await asyncio.sleep(0)
            at_work -= 1
            done += 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert (most, done) == (turns.AT_ONCE, 20)


async def test_who_waits_too_long_is_told_so_and_takes_nobodys_turn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    over = asyncio.Event()

    async def hold() -> None:
        async with turns.turn():
            await over.wait()

    holding = [asyncio.create_task(hold()) for _ in range(turns.AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(PaymentsUnavailable):
        async with turns.turn():
            pytest.fail("a turn beyond the last one")
    over.set()
    await asyncio.gather(*holding)
    async with turns.turn(), turns.turn(), turns.turn():
        pass


async def test_a_turn_ends_with_an_error_as_well():
    for _ in range(turns.AT_ONCE + 1):
        with pytest.raises(ZeroDivisionError):
            async with turns.turn():
                _ = 1 / 0
