"""The door for whoever writes a transaction's first statement: one message, bound values, a commit that can wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import psycopg
import pytest

from sigma_app.core.database import Database
from sigma_app.core.exchange import Bound
from sigma_app.embedded.supabase.rest.catalog import Catalogs

pytestmark = pytest.mark.anyio

BECOME = Bound("select set_config('role', $1, true)", ["service_role"])


@pytest.fixture
def table(owner):
    owner.execute(
        "create table public.notes (id integer primary key, other integer references public.notes initially deferred);"
        "grant all on public.notes to service_role"
    )


def insert(id_: int, other: int | None = None) -> Bound:
    if other is None:
        return Bound("insert into public.notes (id) values ($1)", [str(id_)])
    return Bound("insert into public.notes values ($1, $2)", [str(id_), str(other)])


def ids(owner) -> list[int]:
    return [found for (found,) in owner.execute("select id from public.notes order by id")]


@pytest.mark.usefixtures("table")
async def test_values_are_bound_and_results_are_bytes(database, owner):
    for number in range(10):  # also once it is prepared
        _, result = await database.exchange(BECOME, Bound("select $1::text, current_user", [f"'; drop {number}"]))
        assert (result.get_value(0, 0), result.get_value(0, 1)) == (f"'; drop {number}".encode(), b"service_role")
    await database.exchange(BECOME, insert(1), insert(2))
    assert ids(owner) == [1, 2]
    _, result = await database.exchange(Bound("select 1"), Bound("select current_user::text"))
    assert result.get_value(0, 0) != b"service_role"


@pytest.mark.usefixtures("table")
async def test_it_is_all_or_nothing(database, owner):
    with pytest.raises(psycopg.errors.UniqueViolation):
        await database.exchange(BECOME, insert(1), insert(1))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):  # at the commit
        await database.exchange(BECOME, insert(1, 77))
    with pytest.raises(psycopg.errors.UndefinedTable):
        await database.exchange(BECOME, insert(1), Bound("select * from public.nothing"), insert(2))
    with pytest.raises(psycopg.DataError):
        await database.exchange(BECOME, insert(1), Bound("select $1", ["\0"]))
    assert ids(owner) == []
    await database.exchange(BECOME, insert(1, 1))
    assert ids(owner) == [1]


@pytest.mark.usefixtures("table")
async def test_results_can_be_looked_at_before_they_are_saved(database, owner):
    def refuse(results):
        assert results[1].command_tuples == 1
        raise RuntimeError("not these")

    with pytest.raises(RuntimeError, match="not these"):
        await database.exchange(BECOME, insert(1), approve=refuse)
    assert ids(owner) == []
    await database.exchange(BECOME, insert(1), approve=lambda results: None)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await database.exchange(BECOME, insert(2, 77), approve=lambda results: None)
    assert ids(owner) == [1]


async def test_many_statements_are_prepared_and_forgotten(login_url):
    async with Database(login_url, pool_size=1) as database:
        for number in range(250):
            for _ in range(4):
                (result,) = await database.exchange(Bound(f"select $1::integer + {number}", ["1"]))
                assert result.get_value(0, 0) == str(number + 1).encode()
        (result,) = await database.exchange(Bound("select count(*) from pg_prepared_statements"))
        assert 50 < int(result.get_value(0, 0) or 0) < 130


async def test_who_listens_is_told_and_told_again_after_a_break(login_url, owner):
    heard: list[str] = []

    async def until(count: int) -> None:
        async with asyncio.timeout(10):
            while len(heard) < count:  # noqa: ASYNC110 (what is heard comes from the database)
                await asyncio.sleep(0.01)

    async with Database(login_url, pool_size=1) as database:
        database.listen("news", heard.append)
        await until(1)
        owner.execute("notify news, 'first'")
        await until(2)
        owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where query ilike 'listen%' and datname = current_database()"
        )
        await until(3)
        owner.execute("notify news, 'second'; notify other, 'third'")
        await until(4)
    assert heard == ["", "first", "", "second"]


async def test_the_catalog_is_read_on_every_version(database):
    catalog = await Catalogs(database).current()
    profiles = catalog.tables["profiles"]
    assert list(profiles.columns)[:3] == ["id", "name", "email"]
    assert profiles.keys == ["id"]
    assert "founder_count" in catalog.functions
    assert catalog.type("INT") == "integer"
    assert catalog.type("double  precision") == "double precision"


async def test_failures_leave_no_more_statements_behind_than_successes(login_url):
    async with Database(login_url, pool_size=1) as database:
        for number in range(150):
            for value in ("1", "1", "no number"):
                with suppress(psycopg.DataError):
                    await database.exchange(Bound(f"select $1::integer + {number}", [value]))
        (result,) = await database.exchange(Bound("select count(*) from pg_prepared_statements"))
        assert int(result.get_value(0, 0) or 0) < 110


async def test_long_statements_are_never_kept(login_url):
    async with Database(login_url, pool_size=1) as database:
        for _ in range(6):
            await database.exchange(Bound("select 1 /* " + "x" * 10_000 + " */"))
        long = Bound("select count(*) from pg_prepared_statements where length(statement) > 5000")
        (result,) = await database.exchange(long)
        assert result.get_value(0, 0) == b"0"


@pytest.mark.parametrize("approve", [None, lambda results: None])
async def test_who_gives_up_waiting_leaves_a_connection_that_works(login_url, approve):
    async with Database(login_url, pool_size=1) as database:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await database.exchange(Bound("select pg_sleep(30)"), approve=approve)
            (result,) = await database.exchange(Bound("select 'here'"))
            assert result.get_value(0, 0) == b"here"
