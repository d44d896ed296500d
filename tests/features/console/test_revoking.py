"""Whoever is no operator any more sees nothing any more, on whichever page is open, whatever it shows."""

from __future__ import annotations

import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import reflex as rx

from sigma_app.core.database import SERVICE, get_database
from sigma_app.features import console
from sigma_app.features.console import live
from sigma_app.features.console.leads_page import LeadsState
from sigma_app.features.console.live import WATCHING, kept_true
from sigma_app.features.console.service import CHANNEL, tell_of_operators
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.console.users import UsersState
from sigma_app.session import store
from sigma_app.session.guard import CONSOLE
from sigma_app.session.state import SessionState, emptying
from sigma_app.session.store import Session
from sigma_app.session.tabs import CHANNEL as SESSIONS
from sigma_app.session.tabs import TABS
from tests.features.console.conftest import set_role
from tests.session.test_state import Tab
from tests.waiting import until

pytestmark = pytest.mark.anyio

for _, module, _ in pkgutil.iter_modules(console.__path__):
    import_module(f"{console.__name__}.{module}")
PAGES = sorted(ConsolePage.__subclasses__(), key=lambda page: page.__name__)
LISTENING = "select count(*) from pg_stat_activity where datname = current_database() and query like 'listen %'"
SHOWN = "what only operators see"


class App:
    """A served application with one tab, as far as what empties tabs knows of it."""

    def __init__(self, tab: Tab) -> None:
        self.event_namespace = SimpleNamespace(token_to_sid={tab.name: "1"})
        self._tab = tab

    @asynccontextmanager
    async def modify_state(self, token: Any) -> AsyncIterator[rx.State]:
        assert token.ident == self._tab.name
        yield self._tab.root


@pytest.fixture
async def open_page(
    request: pytest.FixtureRequest,
    operator: Session,
    cookie: str,
    owner: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Any]:
    """A page of an operator's that is open, with something in each Var that is a text."""
    monkeypatch.setattr(live, "PACE", 0.01)
    tab = Tab(cookie, "a tab of the console")
    app: Any = App(tab)
    state: type[Any] = request.param
    async with kept_true(app), TABS.watched(emptying(app)):
        await until(lambda: (owner.execute(LISTENING).fetchone() or (0,))[0] > 0)
        await until_heard()
        page = await tab.root.get_state(state)
        await page._show()
        assert (page.ready, page.trouble) == (True, "")
        for name in texts_of(state):
            setattr(page, name, SHOWN)
        yield page
    WATCHING.drop(tab.name)


async def until_heard() -> None:
    """Until this process listens: it hears itself."""
    heard: list[str] = []
    for channel in (CHANNEL, SESSIONS):
        get_database().listen(channel, heard.append)
    await until(lambda: len(heard) >= 2)  # each begins with what may have been missed


def texts_of(state: type[Any]) -> list[str]:
    """The Vars of a page that are texts, but for the one that says what is wrong."""
    return [
        name for name, var in state.base_vars.items() if var._var_type is str and name not in ("trouble", "read_for")
    ]


def shows(page: Any) -> bool:
    return SHOWN in [getattr(page, name) for name in texts_of(type(page))]


def test_every_page_is_among_them():
    assert len(PAGES) == 16


@pytest.mark.parametrize("open_page", PAGES, indirect=True, ids=lambda page: page.__name__)
class TestEmptied:
    async def test_by_the_command_line(self, open_page: Any, operator: Session, owner: psycopg.Connection):
        owner.execute("alter table auth.users disable trigger tell_console")  # as where that table is not ours
        set_role(owner, operator.user_id, None)
        async with get_database().transaction(SERVICE) as transaction:
            await tell_of_operators(transaction)
        await until(lambda: open_page.trouble)
        assert "none of theirs" in open_page.trouble
        assert (open_page.ready, shows(open_page)) == (False, False)

    async def test_by_the_table_of_accounts(self, open_page: Any, operator: Session, owner: psycopg.Connection):
        set_role(owner, operator.user_id, None)
        await until(lambda: open_page.trouble)
        assert (open_page.ready, shows(open_page)) == (False, False)

    async def test_with_the_session(self, open_page: Any, operator: Session):
        await store.end_all(operator.user_id)
        await until(lambda: open_page.phase == "out")
        assert (open_page.ready, shows(open_page)) == (False, False)


@pytest.mark.parametrize("open_page", [LeadsState], indirect=True)
@pytest.mark.parametrize(
    "how",
    [
        "update auth.users set banned_until = now() + interval '1 day' where id = %s",
        "delete from auth.users where id = %s",
    ],
)
async def test_an_account_that_is_disabled_or_deleted_sees_nothing_more(
    open_page: Any, operator: Session, owner: psycopg.Connection, how: str
):
    owner.execute(how.encode(), [operator.user_id])
    await until(lambda: not open_page.ready)
    assert not shows(open_page)


@pytest.mark.parametrize("open_page", [LeadsState], indirect=True)
async def test_nothing_stays_of_the_pages_that_the_tab_showed_before(
    open_page: Any, operator: Session, owner: psycopg.Connection
):
    before = await open_page.get_state(UsersState)
    shared = await open_page.get_state(SessionState)
    before.email, shared.console = SHOWN, CONSOLE
    set_role(owner, operator.user_id, None)
    await until(lambda: open_page.trouble)
    assert (before.email, shared.console, shared.phase) == ("", "", "in")


@pytest.mark.parametrize("open_page", [LeadsState], indirect=True)
async def test_whoever_still_operates_keeps_what_they_look_at(
    open_page: Any, operator: Session, stranger: Session, owner, monkeypatch: pytest.MonkeyPatch
):
    asked: list[bool] = []
    show = ConsolePage._show

    async def counted(self: Any, *, again: bool = False, only_ask: bool = False) -> None:
        await show(self, again=again, only_ask=only_ask)
        asked.append(only_ask)

    monkeypatch.setattr(LeadsState, "_show", counted)
    set_role(owner, stranger.user_id, "admin")
    await until(lambda: asked)
    assert all(asked)
    assert (open_page.ready, open_page.trouble, shows(open_page)) == (True, "", True)
