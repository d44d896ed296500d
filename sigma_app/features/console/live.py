"""Keeps the console's open pages true: what changed is told by the database, in whichever process it was done.

Whatever a page shows, when accounts changed it asks again whether it is an operator's, and is empty if it is not. That
of a session that ended is emptied as every page is (session/tabs.py).

A busy list changes a hundred times a second, and nobody reads as fast: what comes in within `PACE` is one reading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import reflex as rx

from sigma_app.core.database import get_database
from sigma_app.core.errors import without_message
from sigma_app.features.console.service import CHANNEL, OPERATORS
from sigma_app.session.tabs import TABS

PACE = 1.0  # seconds
WHO_MAY_LOOK = frozenset({OPERATORS, "users"})
"""The topics by which somebody may have lost the role: by our own command, or in the table of accounts."""

logger = logging.getLogger(__name__)


class Watcher(NamedTuple):
    """A part of a page of the console, in some tab."""

    path: str
    session_id: UUID
    state: type[Any]
    topics: frozenset[str]


class Watching:
    """The tabs of this process that show a page of the console, each the one that it loaded last."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._tabs: dict[str, dict[type[Any], Watcher]] = {}

    def add(self, tab: str, watcher: Watcher) -> None:
        """Note what a tab shows; nothing of the page that it showed before."""
        parts = self._tabs.setdefault(tab, {})
        for state in [known.state for known in parts.values() if known.path != watcher.path]:
            del parts[state]
        parts[watcher.state] = watcher

    def drop(self, tab: str) -> None:
        """Forget a tab that is gone."""
        self._tabs.pop(tab, None)

    def of(self, changed: set[str]) -> list[tuple[str, Watcher, bool]]:
        """The parts that something of what changed is for, each with its tab, and whether it is what they show."""
        return [
            (tab, one, "" in changed or bool(one.topics & changed))
            for tab, parts in self._tabs.items()
            for one in parts.values()
            if "" in changed or (one.topics | WHO_MAY_LOOK) & changed
        ]


WATCHING = Watching()


@asynccontextmanager
async def kept_true(app: rx.App) -> AsyncIterator[None]:
    """Read the pages of `app` again, inside the block, when what they show has changed."""
    changed: set[str] = set()
    news = asyncio.Event()

    def heard(topic: str) -> None:
        changed.add(topic)
        news.set()

    async def refresh() -> None:
        while True:
            await news.wait()
            news.clear()
            now = set(changed)
            changed.clear()
            for tab, watcher, shown in WATCHING.of(now):
                await _refresh(app, tab, watcher, now if shown else set())
            await asyncio.sleep(PACE)

    get_database().listen(CHANNEL, heard)
    task = asyncio.create_task(refresh(), name="console")
    try:
        yield
    finally:
        task.cancel()


async def _refresh(app: rx.App, tab: str, watcher: Watcher, changed: set[str]) -> None:
    connected = app.event_namespace and tab in app.event_namespace.token_to_sid
    if not connected or tab not in TABS.of(watcher.session_id):
        WATCHING.drop(tab)  # one that comes back loads its page anew
        return
    try:
        async with app.modify_state(rx.BaseStateToken(ident=tab, cls=watcher.state)) as root:
            await (await root.get_state(watcher.state)).refresh(frozenset(changed))
    except Exception as error:  # one that cannot be told must not keep the others from it
        logger.error("A tab of the console was not told what changed: %s", without_message(error))
