"""Waiting for what another process or thread does: for a condition, never for a number of seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Return once the condition holds.

    Raises:
        TimeoutError: it does not, after so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - of another process or thread
            await asyncio.sleep(0.005)


async def until_said(ask: Callable[[], Awaitable[object]], seconds: float = 30) -> None:
    """Return once what is asked for is so.

    Raises:
        TimeoutError: it is not, after so many seconds.
    """
    async with asyncio.timeout(seconds):
        while not await ask():  # noqa: ASYNC110 - of another process or thread
            await asyncio.sleep(0.02)
