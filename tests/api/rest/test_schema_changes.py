"""Tables that come and go while we serve, with and without being told."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from sigma_app.core import login
from sigma_app.core.database import Database
from sigma_app.embedded.supabase.rest import catalog

pytestmark = pytest.mark.anyio


@pytest.fixture
async def asked_before(rest, owner):
    """Something was asked before anything changes."""
    owner.execute("drop table if exists public.later, public.renamed; drop function if exists public.later_on")
    assert (await rest.get("/things?limit=1")).status_code == 200


@pytest.fixture
def nobody_tells(owner):
    """As on a database whose owner is no superuser."""
    owner.execute("drop event trigger tell_of_changed_tables; drop event trigger tell_of_dropped_tables")
    yield
    owner.execute(
        """
        create event trigger tell_of_changed_tables on ddl_command_end execute function sigma.tell_of_changed_tables();
        create event trigger tell_of_dropped_tables on sql_drop execute function sigma.tell_of_changed_tables();
        """
    )


@pytest.fixture
def often(monkeypatch):
    """The catalog is read again whenever something is not found."""
    monkeypatch.setattr(catalog, "PAUSE_SECONDS", 0)


@pytest.fixture
def only_told(monkeypatch):
    """The catalog is read again only when we are told."""
    monkeypatch.setattr(catalog, "PAUSE_SECONDS", 1e9)


async def until(ask, status: int, code: str | None = None):
    """Ask until the answer has `status` and the error `code`: a notice takes a moment."""
    async with asyncio.timeout(10):
        answer = await ask()
        while answer.status_code != status or (code and answer.json()["code"] != code):
            await asyncio.sleep(0.01)  # an answer from memory waits for nothing, and the notice needs its turn
            answer = await ask()
    return answer


async def listening(rest, owner) -> None:
    """Wait until the connection that would be told of changes is there, and has nothing more to do."""
    there = (
        "select from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
        " and state = 'idle' and state_change < now() - interval '0.1 s'"
    )
    async with asyncio.timeout(10):
        while owner.execute(there).fetchone() is None:
            await rest.get("/things?limit=1")


def make_later(owner) -> None:
    owner.execute(
        "create table public.later (id integer primary key, word text); grant all on public.later to service_role"
    )


@pytest.mark.usefixtures("asked_before", "only_told")
async def test_we_are_told_of_a_new_table_of_a_changed_and_of_a_dropped_one(rest, owner):
    make_later(owner)
    await until(lambda: rest.get("/later"), 200)
    owner.execute("alter table public.later add column more integer default 5")
    await until(lambda: rest.post("/later", json={"id": 1, "more": 6}), 201)
    assert (await rest.get("/later?select=more")).json() == [{"more": 6}]
    owner.execute("alter table public.later drop column more")
    await until(lambda: rest.post("/later", json={"id": 2, "more": 6}), 400, "PGRST204")
    owner.execute("alter table public.later rename to renamed")
    await until(lambda: rest.get("/renamed"), 200)
    owner.execute("drop table public.renamed")
    await until(lambda: rest.get("/renamed"), 404, "PGRST205")


@pytest.mark.usefixtures("asked_before", "only_told")
async def test_all_who_ask_at_once_see_what_we_were_told_of(owner, owner_url):
    async with Database(login.login_url(owner_url), pool_size=2) as database:
        catalogs = catalog.Catalogs(database)
        await catalogs.current()
        make_later(owner)
        catalogs._heard("reload schema")
        seen = await asyncio.gather(*(catalogs.current() for _ in range(5)))
    assert all("later" in each.tables for each in seen)


@pytest.mark.usefixtures("asked_before", "nobody_tells")
async def test_all_who_ask_at_once_see_a_new_table_that_nobody_told_of(rest, owner, monkeypatch):
    monkeypatch.setattr(catalog, "PAUSE_SECONDS", 0.001)
    make_later(owner)
    await asyncio.sleep(0.01)
    answers = await asyncio.gather(*(rest.get("/later") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.usefixtures("asked_before", "only_told")
async def test_we_are_told_of_functions(rest, owner):
    owner.execute("create function public.later_on() returns integer language sql immutable as 'select 1'")
    assert (await until(lambda: rest.get("/rpc/later_on"), 200)).json() == 1
    owner.execute("drop function public.later_on")
    await until(lambda: rest.get("/rpc/later_on"), 404)


@pytest.mark.usefixtures("asked_before", "nobody_tells", "often")
async def test_where_nobody_tells_a_new_table_is_found_at_once(rest, owner):
    make_later(owner)
    assert (await rest.get("/later")).json() == []
    owner.execute("alter table public.later add column more integer")
    assert (await rest.post("/later", json={"id": 1, "more": 6})).status_code == 201
    assert (await rest.get("/later?more=eq.6&select=id")).json() == [{"id": 1}]
    owner.execute("alter table public.later drop column more")
    assert (await rest.get("/later?select=more")).json()["code"] == "42703"
    assert (await rest.post("/later", json={"id": 2, "more": 6})).json()["code"] == "PGRST204"
    owner.execute("drop table public.later")
    assert (await rest.get("/later")).status_code == 404


@pytest.mark.usefixtures("asked_before", "nobody_tells", "often")
async def test_a_column_may_change_its_type_under_a_prepared_statement(rest, owner):
    make_later(owner)
    owner.execute("insert into public.later values (1, '5')")
    for _ in range(30):  # on every connection often enough to be prepared
        assert (await rest.get("/later?word=eq.5&select=id")).json() == [{"id": 1}]
    owner.execute("alter table public.later alter column word type integer using word::integer")
    for _ in range(30):
        assert (await rest.get("/later?word=eq.5&select=word")).json() == [{"word": 5}]
        assert (await rest.get("/later?select=*")).json() == [{"id": 1, "word": 5}]


@pytest.mark.usefixtures("asked_before", "only_told")
async def test_a_prepared_statement_does_not_outlive_the_type_of_its_value(rest, owner):
    owner.execute("create table public.later (id integer, at date); grant all on public.later to service_role")
    owner.execute("insert into public.later values (1, '2024-01-01')")
    await until(lambda: rest.get("/later"), 200)
    wanted = "/later?at=eq.2024-01-01T10:00:00&select=id"
    for _ in range(30):  # the value is a date, and its time of day is cut off
        assert (await rest.get(wanted)).json() == [{"id": 1}]
    owner.execute("alter table public.later alter column at type timestamp, add column more integer")
    owner.execute("update public.later set at = '2024-01-01T10:00:00'")
    await until(lambda: rest.get("/later?select=more"), 200)
    for _ in range(30):  # were it one still, no row would be at midnight
        assert (await rest.get(wanted)).json() == [{"id": 1}]


@pytest.mark.usefixtures("asked_before", "nobody_tells", "only_told")
async def test_somebody_may_tell_by_hand(rest, owner):
    owner.execute("notify pgrst, 'reload schema'")
    make_later(owner)
    owner.execute("notify pgrst, 'reload config'")
    owner.execute("notify pgrst, 'reload schema'")
    await until(lambda: rest.get("/later"), 200)


@pytest.mark.usefixtures("asked_before", "only_told")
async def test_we_listen_again_when_the_connection_is_lost(rest, owner):
    ended = owner.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where query ilike 'listen%' and datname = current_database() and pid <> pg_backend_pid()"
    ).fetchall()
    assert ended == [(True,)]
    make_later(owner)
    await until(lambda: rest.get("/later"), 200)
    owner.execute("alter table public.later add column more integer")
    await until(lambda: rest.get("/later?select=more"), 200)


async def test_one_who_asks_for_nonsense_does_not_keep_us_reading_the_catalog(rest, owner, monkeypatch):
    await rest.get("/nope")
    reads = []
    original = catalog.Catalogs._read

    async def counted(self):
        reads.append(self)
        return await original(self)

    monkeypatch.setattr(catalog.Catalogs, "_read", counted)
    answers = [await rest.get("/nope") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {404}
    assert len(reads) <= 2


def test_without_the_right_to_make_event_triggers_the_migration_passes(server):
    """The statements of the revision, as somebody who owns the database and is no superuser."""
    from sigma_app.core.migrations import VERSIONS

    name = server.create()
    try:
        server.run("create role plain_owner login", f"alter database {name} owner to plain_owner")
        with psycopg.connect(server.address(name), autocommit=True) as connection:
            connection.execute("set role plain_owner")
            connection.execute("create schema sigma")
            connection.execute((VERSIONS / "0006_rest.up.sql").read_text().encode())
            assert connection.execute("select count(*) from pg_event_trigger").fetchone() == (0,)
            connection.execute((VERSIONS / "0006_rest.down.sql").read_text().encode())
    finally:
        server.drop(name)
        server.run("drop role plain_owner")


@pytest.mark.usefixtures("asked_before", "nobody_tells", "often")
async def test_untold_of_another_type_and_another_key_we_notice_by_what_fails(rest, owner):
    make_later(owner)
    await listening(rest, owner)  # which begins with reading the catalog
    await until(lambda: rest.post("/later", json={"id": 1, "word": "1"}), 201)
    owner.execute("alter table public.later alter column word type integer using word::integer")
    await until(lambda: rest.post("/later", json={"id": 2, "word": 2}), 201)
    owner.execute(
        "alter table public.later drop constraint later_pkey; alter table public.later add primary key (word)"
    )
    merge = {"Prefer": "resolution=merge-duplicates"}
    await until(lambda: rest.post("/later", json={"id": 7, "word": 2}, headers=merge), 200)
    assert owner.execute("select id from public.later where word = 2").fetchall() == [(7,)]
