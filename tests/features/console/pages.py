"""Every page of the console, and one that is open in a tab, for the tests of what keeps it true."""

from __future__ import annotations

import asyncio
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import reflex as rx

from sigma_app.core.database import get_database
from sigma_app.features import console
from sigma_app.features.console import live
from sigma_app.features.console.live import WATCHING, kept_true
from sigma_app.features.console.service import CHANNEL
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import emptying
from sigma_app.session.tabs import CHANNEL as SESSIONS
from sigma_app.session.tabs import TABS
from tests.session.test_state import Tab
from tests.waiting import until

for _, module, _ in pkgutil.iter_modules(console.__path__):
    import_module(f"{console.__name__}.{module}")
PAGES = sorted(ConsolePage.__subclasses__(), key=lambda page: page.__name__)
LISTENING = "select count(*) from pg_stat_activity where datname = current_database() and query like 'listen %'"

_APPS: dict[str, App] = {}
"""Of each tab that is open."""


class App:
    """A served application with one tab, as far as what keeps tabs true and empties them knows of it."""

    def __init__(self, tab: Tab) -> None:
        self.event_namespace = SimpleNamespace(token_to_sid={tab.name: "1"})
        self._tab = tab
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def modify_state(self, token: Any) -> AsyncIterator[rx.State]:
        """The tab's state, for one at a time."""
        assert token.ident == self._tab.name
        async with self._turn:
            yield self._tab.root


@asynccontextmanager
async def opened(
    state: type[Any], cookie: str, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    """A page that is open in the browser with a cookie, and is told what changes."""
    monkeypatch.setattr(live, "PACE", 0.01)
    tab = Tab(cookie, "a tab of the console")
    app: Any = App(tab)
    _APPS[tab.name] = app
    async with kept_true(app), TABS.watched(emptying(app)):
        await until(lambda: (owner.execute(LISTENING).fetchone() or (0,))[0] > 0)
        await _until_heard()
        page = await tab.root.get_state(state)
        await does(page, state._show)
        assert (page.ready, page.trouble) == (True, "")
        yield page
    WATCHING.drop(tab.name)
    del _APPS[tab.name]


async def does(page: Any, event: Callable[..., Awaitable[None]], *given: Any) -> None:
    """Send an event of an open page, which has the state to itself meanwhile."""
    tab = page.router.session.client_token
    async with _APPS[tab].modify_state(rx.BaseStateToken(ident=tab, cls=type(page))):
        await event(page, *given)


async def _until_heard() -> None:
    """Until this process listens: it hears itself."""
    heard: list[str] = []
    for channel in (CHANNEL, SESSIONS):
        get_database().listen(channel, heard.append)
    await until(lambda: len(heard) >= 2)  # each begins with what may have been missed
