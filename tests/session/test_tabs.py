"""However and wherever a session ends, the process that shows its tabs hears of it and empties them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import psycopg
import pytest

from sigma_app.core.database import Database
from sigma_app.session import store
from sigma_app.session.tabs import CHANNEL, Tabs
from tests.portal import SignIn
from tests.waiting import until

pytestmark = pytest.mark.anyio

LISTENING = f"select pid from pg_stat_activity where datname = current_database() and query like 'listen %{CHANNEL}%'"


class Emptied(list[str]):
    """Which tabs were emptied, in turn; one called "broken" cannot be."""

    async def empty(self, tab: str, _: UUID) -> None:
        if tab == "broken":
            raise ZeroDivisionError(tab.upper())
        self.append(tab)


@pytest.fixture
def emptied() -> Emptied:
    return Emptied()


@pytest.fixture
async def tabs(serving, owner: psycopg.Connection, emptied: Emptied) -> AsyncIterator[Tabs]:
    tabs = Tabs()
    async with tabs.watched(emptied.empty):
        await until(lambda: owner.execute(LISTENING).fetchone())
        yield tabs


async def test_every_process_hears_which_session_ended(cookie: str, login_url: str, owner: psycopg.Connection):
    session = await store.find(cookie)
    assert session
    heard: list[str] = []
    async with Database(login_url, pool_size=1) as other:
        other.listen(CHANNEL, heard.append)
        await until(lambda: heard == [""])
        await store.end(cookie)
        await until(lambda: heard[1:])
    assert heard == ["", str(session.id)]


@pytest.mark.parametrize("how", ["end", "end_one", "end_all", "end_expired", "the account", "by hand"])
async def test_its_tabs_are_emptied_and_no_others(
    tabs: Tabs, emptied: Emptied, cookie: str, sign_in: SignIn, owner: psycopg.Connection, how: str
):
    mine = await store.find(cookie)
    bobs = await store.find(await store.open_session(await sign_in("bob")))
    assert mine
    assert bobs
    for tab in ("first", "second", "first"):
        tabs.add(mine.id, tab)
    tabs.add(bobs.id, "bob's")
    match how:
        case "end":
            await store.end(cookie)
        case "end_one":
            await store.end_one(mine, mine.id)
        case "end_all":
            await store.end_all(mine.user_id)
        case "end_expired":
            owner.execute("update sigma.sessions set created_at = now() - interval '1 year' where id = %s", [mine.id])
            await store.end_expired()
        case "the account":
            owner.execute("delete from auth.users where id = %s", [mine.user_id])
        case _:
            owner.execute("delete from sigma.sessions where user_id = %s", [mine.user_id])
    await until(lambda: len(emptied) == 2)
    assert set(emptied) == {"first", "second"}
    await store.end_all(bobs.user_id)
    await until(lambda: "bob's" in emptied)
    assert len(emptied) == 3  # each once


async def test_what_ended_while_nobody_listened_is_found_out(
    tabs: Tabs, emptied: Emptied, cookie: str, sign_in: SignIn, owner: psycopg.Connection
):
    mine, bobs = await store.find(cookie), await store.find(await store.open_session(await sign_in("bob")))
    assert mine
    assert bobs
    tabs.add(mine.id, "mine")
    tabs.add(bobs.id, "bob's")
    (listener,) = owner.execute(LISTENING).fetchone() or (None,)
    owner.execute("select pg_terminate_backend(%s, 5000)", [listener])  # returns when it is gone
    owner.execute("delete from sigma.sessions where id = %s", [mine.id])
    assert owner.execute(LISTENING).fetchone() is None, "It listened again before the session ended."
    await until(lambda: emptied)
    assert emptied == ["mine"]


async def test_one_that_comes_while_it_is_asked_who_ended_stays_open(
    tabs: Tabs, emptied: Emptied, cookie: str, monkeypatch: pytest.MonkeyPatch
):
    session = await store.find(cookie)
    assert session
    tabs.add(uuid4(), "of long ago")

    async def are_open(ids: Sequence[UUID]) -> set[UUID]:
        found = await store.are_open(ids)
        tabs.add(session.id, "new")
        return found

    monkeypatch.setattr("sigma_app.session.tabs.are_open", are_open)
    await tabs._end("", emptied.empty)
    assert emptied == ["of long ago"]
    assert tabs.of(session.id) == {"new"}


async def test_one_that_cannot_be_emptied_keeps_no_other_open_and_says_nothing_of_what_it_shows(
    tabs: Tabs, emptied: Emptied, cookie: str, caplog: pytest.LogCaptureFixture
):
    session = await store.find(cookie)
    assert session
    for tab in ("broken", *"abcdef"):
        tabs.add(session.id, tab)
    await store.end(cookie)
    await until(lambda: len(emptied) == 6)
    await until(lambda: "was not told" in caplog.text)
    assert "BROKEN" not in caplog.text
