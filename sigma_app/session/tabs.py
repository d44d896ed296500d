"""The tabs that show what is somebody's, by session: when it ends, in whichever process, they are emptied and told.

The database says which session ended, over LISTEN and NOTIFY (alembic/versions/0007_sessions.up.sql); this process
knows which of its tabs were its. A tab is Reflex's client token. One that was closed is kept until its session ends,
since its state may be in memory as long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from sigma_app.core.database import get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.session.store import are_open

CHANNEL = "sigma_sessions"

logger = logging.getLogger(__name__)

Empty = Callable[[str, UUID], Awaitable[None]]
"""Empties a tab, named by its client token, if what it shows is still that session's."""


class Tabs:
    """The tabs of this process."""

    def __init__(self) -> None:
        """None yet."""
        self._tabs: defaultdict[UUID, set[str]] = defaultdict(set)
        self._at_work: set[asyncio.Task[None]] = set()

    def add(self, session_id: UUID, tab: str) -> bool:
        """Note that a tab shows what is the session's; whether that is news to this process."""
        tabs = self._tabs[session_id]
        known = tab in tabs
        tabs.add(tab)
        return not known

    def of(self, session_id: UUID) -> set[str]:
        """The tabs of this process that show what is the session's."""
        return set(self._tabs.get(session_id, ()))

    def sessions(self) -> list[UUID]:
        """Every session that has tabs here."""
        return list(self._tabs)

    @asynccontextmanager
    async def watched(self, empty: Empty) -> AsyncIterator[None]:
        """Have `empty` called, inside the block, with each tab whose session ended."""

        def heard(payload: str) -> None:
            task = asyncio.get_running_loop().create_task(self._end(payload, empty))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

        get_database().listen(CHANNEL, heard)
        yield

    async def _end(self, payload: str, empty: Empty) -> None:
        """Empty the tabs of the session that ended; without a name, of all that ended while nobody listened."""
        for session_id in [UUID(payload)] if payload else await self._ended():
            for tab in self._tabs.pop(session_id, ()):
                try:
                    await empty(tab, session_id)
                except Exception as error:  # one that cannot be emptied must not keep the others open
                    logger.error("A tab was not told that its session ended: %s", without_message(error))

    async def _ended(self) -> set[UUID]:
        known = set(self._tabs)  # those that come while the database is asked are not asked about
        try:
            return known - await are_open(list(known)) if known else set()
        except DatabaseUnavailable:  # then it is asked again, when the connection that listens is
            return set()


TABS = Tabs()
