"""Whoever is no operator any more sees nothing any more, on whichever page is open, whatever it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from sigma_app.core.database import SERVICE, get_database
from sigma_app.features.console.leads_page import LeadsState
from sigma_app.features.console.runs import RunsState
from sigma_app.features.console.service import tell_of_operators
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.console.users import UsersState
from sigma_app.session import store
from sigma_app.session.guard import CONSOLE
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from tests.features.console.conftest import set_role
from tests.features.console.pages import PAGES, opened
from tests.waiting import until

pytestmark = pytest.mark.anyio

SHOWN = "what only operators see"


@pytest.fixture
async def open_page(
    request: pytest.FixtureRequest,
    operator: Session,
    cookie: str,
    owner: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Any]:
    """A page of an operator's that is open, with something in each Var that is a text."""
    async with opened(request.param, cookie, owner, monkeypatch) as page:
        for name in texts_of(request.param):
            setattr(page, name, SHOWN)
        yield page


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
        assert (open_page.ready, open_page.revoked, shows(open_page)) == (False, True, False)

    async def test_by_the_table_of_accounts(self, open_page: Any, operator: Session, owner: psycopg.Connection):
        set_role(owner, operator.user_id, None)
        await until(lambda: open_page.trouble)
        assert (open_page.ready, shows(open_page)) == (False, False)

    async def test_with_the_session(self, open_page: Any, operator: Session):
        await store.end_all(operator.user_id)
        await until(lambda: open_page.phase == "out")
        assert (open_page.ready, open_page.revoked, shows(open_page)) == (False, False, False)


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
    await (await open_page.get_state(RunsState))._show()  # a part of the same page, which hears of it later
    assert ("none of theirs" in open_page.trouble, open_page.revoked) == (True, True)


@pytest.mark.parametrize("open_page", [LeadsState], indirect=True)
async def test_whoever_still_operates_keeps_what_they_look_at(
    open_page: Any, operator: Session, stranger: Session, owner, monkeypatch: pytest.MonkeyPatch
):
    asked: list[bool] = []
    show = ConsolePage._show

    async def counted(self: Any, changed: frozenset[str] | None = None) -> None:
        await show(self, changed)
        asked.append(changed == frozenset())

    monkeypatch.setattr(LeadsState, "_show", counted)
    set_role(owner, stranger.user_id, "admin")
    await until(lambda: asked)
    assert all(asked)
    assert (open_page.ready, open_page.trouble, shows(open_page)) == (True, "", True)
