"""Few at a time: whoever holds a customer's lock while Stripe is asked holds a connection, and pages need some, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from sigma_app.gateways.payments import PaymentsUnavailable

AT_ONCE = 3
PATIENCE = 20.0  # seconds

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """Wait for one's turn, which lasts for the block.

    Raises:
        PaymentsUnavailable: it did not come within `PATIENCE`, since Stripe is slow.
    """
    turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    try:
        await asyncio.wait_for(turns.acquire(), PATIENCE)
    except TimeoutError:
        raise PaymentsUnavailable from None
    try:
        yield
    finally:
        turns.release()
