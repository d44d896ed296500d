"""Few at a time: whoever holds a customer's lock while Stripe is asked holds a connection, and pages need some, too.

Visitors and the worker wait in lines of their own, so that a burst of events keeps nobody from paying; and of one
user only one at a time is in a line at all, since the others would wait for their lock there, in everybody's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum
from weakref import WeakKeyDictionary, WeakValueDictionary

from sigma_app.gateways.payments import PaymentsUnavailable
from sigma_app.settings import get_settings


class Line(Enum):
    """Who waits."""

    VISITORS = "visitors"
    WORKER = "worker"


PATIENCE = {Line.VISITORS: 20.0, Line.WORKER: 300.0}
"""Seconds: a visitor stands at a button, and a job may take ten minutes."""


class _Turns:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self.lines = {line: asyncio.Semaphore(at_once()) for line in Line}
        self.of_one: WeakValueDictionary[tuple[Line, str], asyncio.Lock] = WeakValueDictionary()


def at_once() -> int:
    """How many have a turn in each line; both together leave a third of the pool's connections to others."""
    return max(1, get_settings().database_pool_size // 3)


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


@asynccontextmanager
async def turn(line: Line, whose: str) -> AsyncIterator[None]:
    """Wait for one's turn, which lasts for the block.

    Args:
        line: where to wait.
        whose: for which user; another one of theirs waits until this one's is over.

    Raises:
        PaymentsUnavailable: it did not come within `PATIENCE`, since Stripe is slow.
    """
    turns = _turns.setdefault(asyncio.get_running_loop(), _Turns())
    one_of_theirs = turns.of_one.setdefault((line, whose), asyncio.Lock())
    async with AsyncExitStack() as held:
        try:
            async with asyncio.timeout(PATIENCE[line]):
                await held.enter_async_context(one_of_theirs)
                await held.enter_async_context(turns.lines[line])
        except TimeoutError:
            raise PaymentsUnavailable from None
        yield
