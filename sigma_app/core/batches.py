"""Group commit: what comes in while a write is under way is written together, in the next one.

A transaction costs much the same with one row as with twenty. So under load each write is shared, and a quiet service
waits for nobody: the first to come is written at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sigma_app.core.errors import DatabaseUnavailable

Item = TypeVar("Item")


class Batches(Generic[Item]):
    """Collects items and writes them in their order, one batch at a time."""

    def __init__(self, write: Callable[[Sequence[Item]], Awaitable[object]], most: int = 100):
        """Nothing is written yet.

        Args:
            write: stores all items it is given, or none of them and raises.
            most: how many items a batch has at most.
        """
        self._write = write
        self._most = most
        self._waiting: deque[tuple[Item, asyncio.Future[None]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> None:
        """Return when `item` is stored.

        Raises:
            Exception: what `write` raised for a batch of this item alone, or DatabaseUnavailable, for any batch.
        """
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((item, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting())
        await stored

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            if await self._settle(batch, alone=len(batch) == 1):
                continue
            for one in batch:  # an item that cannot be stored takes no other with it
                await self._settle([one], alone=True)

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[None]]], alone: bool) -> bool:
        """Write a batch and tell those who wait for it; False where each has to be tried alone."""
        error = None
        try:
            await self._write([item for item, _ in batch])
        except Exception as raised:
            if not alone and not isinstance(raised, DatabaseUnavailable):
                return False
            error = raised
        for _, stored in batch:
            if stored.done():  # who waited has gone; the item was written all the same
                continue
            if error:
                stored.set_exception(error)
            else:
                stored.set_result(None)
        return True
