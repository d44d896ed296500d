"""The transactions of this service: as whoever asks, so that row level security decides, or as the service itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from psycopg import AsyncCursor

from sigma_app.core.database import Actor, get_database

Cursor = AsyncCursor[dict[str, Any]]


@asynccontextmanager
async def acting(actor: Actor, operation: str) -> AsyncIterator[Cursor]:
    """A cursor in a transaction of `actor`; leaving commits, an exception rolls back.

    Args:
        actor: on whose behalf.
        operation: what the request is about, for policies that ask `storage.operation()`.
    """
    async with get_database().cursor(actor) as cursor:
        await cursor.execute(
            "select set_config('storage.operation', %s, true), set_config('storage.allow_delete_query', 'true', true)",
            [operation],
        )
        yield cursor


@asynccontextmanager
async def trying(actor: Actor, operation: str) -> AsyncIterator[Cursor]:
    """The same, but leaving undoes everything: to learn what `actor` may do, before the work is done."""
    with suppress(_Undone):
        async with acting(actor, operation) as cursor:
            yield cursor
            raise _Undone


class _Undone(Exception):
    """Nothing is wrong."""
