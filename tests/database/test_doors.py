"""The two doors to the database: what runs under which role, and that nothing is carried over."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from anyio import create_task_group
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, insert, text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from sigma_app.core.database import ANONYMOUS, SERVICE, Database, Step, user_actor
from sigma_app.core.errors import DatabaseBusy, DatabaseUnavailable
from sigma_app.core.exchange import Bound
from sigma_app.models import Lead, Profile

pytestmark = pytest.mark.anyio

WHO = (
    "select pg_backend_pid(), current_user::text, session_user::text,"
    " coalesce(current_setting('request.jwt.claims', true), '')"
)
JOIN = "insert into leads (email) values (%s) on conflict do nothing"


@pytest.fixture
async def one(login_url):
    """A database with a pool of one connection, so that each transaction gets the same."""
    async with Database(login_url, pool_size=1) as opened:
        yield opened


class Wire:
    """Stands between a client and the server's socket, and hears who speaks when."""

    def __init__(self, login_url: str, directory: Path) -> None:
        host = conninfo_to_dict(login_url)["host"]
        self._server, self._own = f"{host}/.s.PGSQL.5432", f"{directory}/.s.PGSQL.5432"
        self.url = login_url.replace(quote(str(host), safe=""), quote(str(directory), safe=""))
        self.heard: list[str] = []

    @property
    def round_trips(self) -> int:
        """How often the server spoke after the client."""
        return "".join(speaker for speaker, _ in itertools.groupby(self.heard)).count("CS")

    async def listen(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._connect, self._own)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_unix_connection(self._server)
        await asyncio.gather(self._copy("C", reader, upstream[1]), self._copy("S", upstream[0], writer))

    async def _copy(self, who: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(65536):
            self.heard.append(who)
            writer.write(said)
        writer.close()


@pytest.fixture
async def wire(login_url, tmp_path):
    listening = Wire(login_url, tmp_path)
    server = await listening.listen()
    yield listening
    server.close()


async def unasked(database: Database) -> tuple:
    """Who the pooled connection is when nobody has asked it to be somebody."""
    async with database._connection() as connection:
        cursor = await connection.execute(WHO)
        return await cursor.fetchone() or ()


async def asleep(owner: psycopg.Connection) -> None:
    """Wait until somebody's `pg_sleep` runs in this database."""
    sleeping = "select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    while owner.execute(sleeping).fetchone() is None:  # noqa: ASYNC110 - the condition is the server's
        await asyncio.sleep(0.01)


class TestRun:
    async def test_runs_each_step_as_its_actor(self, one, alice):
        for actor in (ANONYMOUS, SERVICE, alice.actor):
            [row] = await one.run(Step(ANONYMOUS, "select 1"), Step(actor, WHO))
            assert row[1:] == (actor.role, "authenticator", actor.claims)

    async def test_what_it_returned_from_is_committed(self, one, owner):
        for _ in range(2):
            assert await one.run(Step(ANONYMOUS, JOIN, ["charlie@example.com"])) == []
        assert owner.execute("select email from leads").fetchall() == [("charlie@example.com",)]

    async def test_role_and_claims_are_gone_after_commit_on_the_same_connection(self, one, alice):
        before = await unasked(one)
        await one.run(Step(alice.actor, "select 1"))
        assert await unasked(one) == before
        assert before[1:] == ("authenticator", "authenticator", "")

    async def test_role_and_claims_are_gone_after_an_error_on_the_same_connection(self, one, alice):
        before = await unasked(one)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await one.run(Step(alice.actor, "select 1 / 0"))
        assert await unasked(one) == before

    async def test_an_error_is_raised_with_its_code_and_undoes_every_step(self, one, owner):
        addresses = ["charlie@example.com", "no address", "dora@example.com"]
        with pytest.raises(psycopg.errors.CheckViolation) as refused:
            await one.run(*(Step(ANONYMOUS, JOIN, [address]) for address in addresses))
        assert refused.value.sqlstate == "23514"
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_being_cancelled_undoes_everything_and_gives_the_connection_back(self, one, owner):
        steps = [Step(SERVICE, JOIN, ["charlie@example.com"]), Step(SERVICE, "select pg_sleep(30)")]
        task = asyncio.create_task(one.run(*steps))
        await asleep(owner)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await one.ping()
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_what_the_server_cannot_do_right_now_is_no_error_of_what_it_was_asked(self, one):
        with pytest.raises(DatabaseBusy):
            await one.run(Step(SERVICE, "set local statement_timeout = 50"), Step(SERVICE, "select pg_sleep(9)"))
        for code in ("53100", "58030", "25006"):
            raising = f"do $$ begin raise exception 'no' using errcode = '{code}'; end $$"
            with pytest.raises(DatabaseUnavailable):
                await one.run(Step(SERVICE, raising))
            with pytest.raises(DatabaseUnavailable):
                async with one.cursor(SERVICE) as cursor:
                    await cursor.execute(raising)
            with pytest.raises(DatabaseUnavailable):
                async with one.transaction(SERVICE) as session:
                    connection = await session.connection()
                    await connection.exec_driver_sql(raising)

    async def test_a_server_that_says_nothing_is_away_and_what_it_was_asked_is_not_waited_for(self, login_url, owner):
        async with Database(login_url, pool_size=1, silence=0.5) as impatient:
            with pytest.raises(DatabaseUnavailable):
                await impatient.run(Step(SERVICE, "select pg_sleep(30)"))
            with pytest.raises(DatabaseUnavailable):
                async with impatient.transaction(SERVICE) as session:
                    await session.exec(select(func.pg_sleep(30)))
            with pytest.raises(DatabaseUnavailable):
                async with impatient.cursor(SERVICE) as cursor:
                    await cursor.execute("select pg_sleep(30)")
            with pytest.raises(DatabaseUnavailable):
                await impatient.exchange(Bound("select pg_sleep(30)"))
            await impatient.ping()  # over another connection

    async def test_any_number_of_steps_costs_one_round_trip(self, wire):
        async with Database(wire.url, pool_size=1) as counted:
            await counted.ping()
            for steps in ([("c@example.com",)], [("d@example.com",), ("e@example.com",)]):
                wire.heard.clear()
                await counted.run(*(Step(ANONYMOUS, JOIN, values) for values in steps))
                assert wire.round_trips == 1

    @pytest.mark.parametrize(
        "value",
        [
            "o'hara",
            "back\\slash\\'",
            "'; drop table leads; --",
            "$1 %s {} ;",
            "\n\t\x01",
            "größe 日本 🙂",
            "x" * 100_000,
            None,
        ],
    )
    async def test_a_value_is_a_value_whatever_is_in_it(self, one, value):
        assert await one.run(Step(ANONYMOUS, "select %s::text", [value])) == [(value,)]

    @given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
    async def test_any_text_comes_back_as_it_was(self, one, text):
        assert await one.run(Step(ANONYMOUS, "select %(it)s", {"it": text})) == [(text,)]

    async def test_nothing_is_prepared_on_the_server(self, one):
        for _ in range(8):
            await one.run(Step(SERVICE, "select count(*) from leads where email = %s", ["x"]))
        assert await one.run(Step(SERVICE, "select name from pg_prepared_statements")) == []


class TestTransaction:
    async def test_runs_as_the_actor_and_row_level_security_judges(self, database, alice, bob):
        async with database.transaction(alice.actor) as session:
            assert [profile.id for profile in (await session.exec(select(Profile))).all()] == [alice.id]
            profile = (await session.exec(select(Profile))).one()
            profile.name = "Alice"
        async with database.transaction(SERVICE) as session:
            names = (await session.exec(select(Profile.name).order_by(Profile.email))).all()
        assert names == ["Alice", None]

    async def test_a_visitor_inserts_without_reading(self, database):
        async with database.transaction(ANONYMOUS) as session:
            await session.exec(insert(Lead).values(email="charlie@example.com").inline())
            assert (await session.exec(select(func.founder_count()))).one() == 1
        async with database.transaction(SERVICE) as session:
            lead = (await session.exec(select(Lead))).one()
        assert (lead.email, lead.disposable, lead.created_at.utcoffset().total_seconds()) == (
            "charlie@example.com",
            None,
            0,
        )

    async def test_the_service_adds_through_the_model(self, database):
        async with database.transaction(SERVICE) as session:
            lead = Lead(email="charlie@example.com")
            session.add(lead)
            await session.flush()
            assert lead.id is not None

    async def test_role_and_claims_are_gone_after_commit_and_after_an_error(self, one, alice):
        before = await unasked(one)
        async with one.transaction(alice.actor) as session:
            connection = await session.connection()
            assert (await connection.execute(text(WHO))).one()[1] == "authenticated"
        assert await unasked(one) == before
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with one.transaction(ANONYMOUS) as session:
                await session.exec(select(Lead))
        assert await unasked(one) == before

    async def test_an_error_of_the_caller_undoes_everything(self, one, owner):
        with pytest.raises(ZeroDivisionError):
            async with one.transaction(SERVICE) as session:
                session.add(Lead(email="charlie@example.com"))
                await session.flush()
                raise ZeroDivisionError
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_both_doors_take_turns_on_one_connection(self, one):
        pid = (await unasked(one))[0]
        for number in range(3):
            await one.run(Step(ANONYMOUS, JOIN, [f"{number}@example.com"]))
            async with one.transaction(SERVICE) as session:
                assert len((await session.exec(select(Lead))).all()) == number + 1
        assert (await unasked(one))[0] == pid


class TestClaims:
    @pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
    async def test_who_waits_too_long_for_a_lock_is_told_that_it_is_busy(self, one, owner, alice, limit):
        with owner.transaction():
            owner.execute("select from profiles where id = %s for update", [alice.id])
            with pytest.raises(DatabaseBusy):
                async with one.transaction(SERVICE) as session:
                    await session.exec(text(f"set local {limit} = '50ms'"))
                    await session.exec(text("select from profiles for update"))

    async def test_who_idles_too_long_in_a_transaction_is_told_that_it_is_busy(self, one, owner):
        with pytest.raises(DatabaseBusy):
            async with one.transaction(SERVICE) as session:
                ((pid,),) = await session.exec(text("select pg_backend_pid()"))
                await session.exec(text("set local idle_in_transaction_session_timeout = '50ms'"))
                while owner.execute("select from pg_stat_activity where pid = %s", [pid]).fetchone() is not None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await session.exec(text("select 1"))

    async def test_a_claim_cannot_replace_who_it_is(self, one, alice, bob):
        actor = user_actor(alice.id, alice.email, sub=str(bob.id), role="service_role", session_id="s1")
        step = Step(actor, "select auth.uid(), auth.role(), auth.jwt() ->> 'session_id'")
        assert await one.run(step) == [(alice.id, "authenticated", "s1")]

    async def test_a_quote_in_a_claim_stays_a_quote(self, one, alice):
        for email in ("o'b\"rien@example.com", "back\\slash@example.com"):
            assert await one.run(Step(user_actor(alice.id, email), "select auth.email()")) == [(email,)]


class TestWhenTheDatabaseIsAway:
    async def test_a_connection_that_died_in_the_pool_is_not_handed_out(self, one, owner, caplog):
        (pid, *_) = await unasked(one)
        owner.execute("select pg_terminate_backend(%s, 5000)", [pid])
        await one.run(Step(ANONYMOUS, JOIN, ["charlie@example.com"]))
        assert owner.execute("select count(*) from leads").fetchone() == (1,)

    async def test_a_connection_that_dies_in_a_run_is_one_class_of_error(self, one, owner):
        ((pid,),) = await one.run(Step(SERVICE, "select pg_backend_pid()"))
        running = asyncio.create_task(one.run(Step(SERVICE, "select pg_sleep(30)")))
        await asleep(owner)
        owner.execute("select pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(DatabaseUnavailable, match="try again"):
            await running
        await one.ping()

    async def test_a_connection_that_dies_in_a_transaction_is_that_error(self, one, owner):
        with pytest.raises(DatabaseUnavailable, match="try again"):
            async with one.transaction(SERVICE) as session:
                connection = await session.connection()
                (pid,) = (await connection.execute(text("select pg_backend_pid()"))).one()
                owner.execute("select pg_terminate_backend(%s, 5000)", [pid])
                await connection.execute(text("select 1"))
        await one.ping()

    @pytest.mark.parametrize("door", ["run", "transaction"])
    async def test_no_database_is_that_error_within_seconds(self, tmp_path, door, caplog):
        caplog.set_level(logging.CRITICAL, "psycopg.pool")
        async with Database(f"postgresql://nobody@/nothing?host={tmp_path}", pool_size=2) as away:
            started = asyncio.get_running_loop().time()
            with pytest.raises(DatabaseUnavailable):
                if door == "run":
                    await away.run(Step(ANONYMOUS, "select 1"))
                async with away.transaction(ANONYMOUS):
                    pass
            assert asyncio.get_running_loop().time() - started < 5

    async def test_a_full_pool_is_that_error_too(self, one):
        async with one.transaction(ANONYMOUS):
            with pytest.raises(DatabaseUnavailable):
                await one.ping()
        await one.ping()


async def by_run(database: Database) -> None:
    await database.run(Step(SERVICE, "select 1"))


async def by_cursor(database: Database) -> None:
    async with database.cursor(SERVICE) as cursor:
        await cursor.execute("select 1")


async def by_transaction(database: Database) -> None:
    async with database.transaction(SERVICE) as session:
        await session.exec(text("select 1"))  # pyright: ignore[reportCallIssue, reportArgumentType] - of SQLAlchemy


async def by_exchange(database: Database) -> None:
    await database.exchange(Bound("select set_config('role', 'service_role', true)"), Bound("select 1"))


async def stopped_once(door: Callable[[Database], Coroutine[Any, Any, None]], database: Database, turns: int) -> None:
    """As asyncio stops a task."""
    task = asyncio.ensure_future(door(database))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def stopped_for_good(
    door: Callable[[Database], Coroutine[Any, Any, None]], database: Database, turns: int
) -> None:
    """As anyio stops one, such as an answer whose client has gone: at whatever it waits for."""
    async with create_task_group() as group:
        group.start_soon(door, database)
        for _ in range(turns):
            await asyncio.sleep(0)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("stopped", [stopped_once, stopped_for_good])
@pytest.mark.parametrize("door", [by_run, by_cursor, by_transaction, by_exchange])
async def test_wherever_somebody_is_told_to_stop_the_connection_goes_back_with_no_transaction_open(
    one: Database, caplog: pytest.LogCaptureFixture, door, stopped
):
    for turns in range(80):
        await stopped(door, one, turns)
        await one.ping()
    assert "rolling back returned connection" not in caplog.text


async def test_what_psycopg_deallocates_after_a_rollback_is_prepared_again(login_url):
    asked = Bound("select set_config('role', 'anon', true)"), Bound("select $1::text", ["still here"])
    async with Database(login_url, pool_size=1) as database:
        for _ in range(5):
            await database.exchange(*asked)
        with pytest.raises(ZeroDivisionError):
            async with database.cursor(ANONYMOUS) as cursor:
                await cursor.execute("select 1", prepare=True)
                raise ZeroDivisionError
        *_, answer = await database.exchange(*asked)
    assert answer.get_value(0, 0) == b"still here"
