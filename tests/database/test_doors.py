"""The two doors to the database: what runs under which role, and that nothing is carried over."""

from __future__ import annotations

import asyncio
import itertools
import logging
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import func, insert, text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from sigma_app.core.database import ANONYMOUS, SERVICE, Database, user_actor
from sigma_app.core.errors import DatabaseUnavailable
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


class TestPipeline:
    async def test_runs_as_the_actor(self, one, alice):
        for actor in (ANONYMOUS, SERVICE, alice.actor):
            async with one.pipeline(actor) as connection:
                row = await (await connection.execute(WHO)).fetchone()
            assert row[1:] == (actor.role, "authenticator", actor.claims)

    async def test_commits_and_tells_how_many_rows_were_written(self, one, owner):
        for expected in (1, 0):
            async with one.pipeline(ANONYMOUS) as connection:
                cursor = await connection.execute(JOIN, ["charlie@example.com"])
            assert cursor.rowcount == expected
        assert owner.execute("select email from leads").fetchall() == [("charlie@example.com",)]

    async def test_role_and_claims_are_gone_after_commit_on_the_same_connection(self, one, alice):
        before = await unasked(one)
        async with one.pipeline(alice.actor) as connection:
            await connection.execute("select 1")
        assert await unasked(one) == before
        assert before[1:] == ("authenticator", "authenticator", "")

    async def test_role_and_claims_are_gone_after_an_error_on_the_same_connection(self, one, alice):
        before = await unasked(one)
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with one.pipeline(alice.actor) as connection:
                await connection.execute("select 1 / 0")
        assert await unasked(one) == before

    async def test_an_error_of_the_database_is_raised_with_its_code_and_undoes_everything(self, one, owner):
        with pytest.raises(psycopg.errors.CheckViolation) as refused:  # noqa: PT012 - leaving is what raises
            async with one.pipeline(ANONYMOUS) as connection:
                await connection.execute(JOIN, ["charlie@example.com"])
                await connection.execute(JOIN, ["no address"])
                await connection.execute(JOIN, ["dora@example.com"])
        assert refused.value.sqlstate == "23514"
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_an_error_of_the_caller_undoes_everything(self, one, owner):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving is what raises
            async with one.pipeline(ANONYMOUS) as connection:
                await connection.execute(JOIN, ["charlie@example.com"])
                raise ZeroDivisionError
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_an_error_that_the_caller_swallows_is_not_taken_for_success(self, one, owner):
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):  # noqa: PT012 - leaving is what raises
            async with one.pipeline(ANONYMOUS) as connection:
                await connection.execute(JOIN, ["charlie@example.com"])
                try:
                    async with connection.pipeline() as inner:
                        await connection.execute(JOIN, ["no address"])
                        await inner.sync()
                except psycopg.errors.CheckViolation:
                    pass
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_being_cancelled_undoes_everything_and_gives_the_connection_back(self, one, owner):
        async def join_slowly():
            async with one.pipeline(ANONYMOUS) as connection:
                await connection.execute(JOIN, ["charlie@example.com"])
                await (await connection.execute("select pg_sleep(30)")).fetchone()

        task = asyncio.create_task(join_slowly())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await one.ping()
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_one_statement_costs_one_round_trip(self, wire):
        async with Database(wire.url, pool_size=1) as counted:
            await counted.ping()
            wire.heard.clear()
            async with counted.pipeline(ANONYMOUS) as connection:
                await connection.execute(JOIN, ["charlie@example.com"])
            assert wire.round_trips == 1

    @pytest.mark.parametrize("pooled", [False, True])
    async def test_statements_are_prepared_on_the_server_only_without_a_pooler(
        self, login_url, monkeypatch, pooled
    ):
        monkeypatch.setattr("sigma_app.core.database.is_pooler", lambda url: pooled)
        async with Database(login_url, pool_size=1) as database:
            for _ in range(8):
                async with database.pipeline(SERVICE) as connection:
                    await connection.execute("select count(*) from leads where email = %s", ["x"])
            async with database._connection() as connection:
                cursor = await connection.execute("select name from pg_prepared_statements")
                assert (await cursor.fetchall() == []) == pooled


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
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving is what raises
            async with one.transaction(SERVICE) as session:
                session.add(Lead(email="charlie@example.com"))
                await session.flush()
                raise ZeroDivisionError
        assert owner.execute("select count(*) from leads").fetchone() == (0,)

    async def test_both_doors_take_turns_on_one_connection(self, one):
        pid = (await unasked(one))[0]
        for number in range(3):
            async with one.pipeline(ANONYMOUS) as connection:
                await connection.execute(JOIN, [f"{number}@example.com"])
            async with one.transaction(SERVICE) as session:
                assert len((await session.exec(select(Lead))).all()) == number + 1
        assert (await unasked(one))[0] == pid


class TestClaims:
    async def test_a_claim_cannot_replace_who_it_is(self, one, alice, bob):
        actor = user_actor(alice.id, alice.email, sub=str(bob.id), role="service_role", session_id="s1")
        async with one.pipeline(actor) as connection:
            cursor = await connection.execute("select auth.uid(), auth.role(), auth.jwt() ->> 'session_id'")
            assert await cursor.fetchone() == (alice.id, "authenticated", "s1")

    async def test_a_quote_in_a_claim_stays_a_quote(self, one, alice):
        async with one.pipeline(user_actor(alice.id, "o'b\"rien@example.com")) as connection:
            cursor = await connection.execute("select auth.email()")
            assert await cursor.fetchone() == ("o'b\"rien@example.com",)


class TestWhenTheDatabaseIsAway:
    async def test_a_connection_that_died_in_the_pool_is_not_handed_out(self, one, owner, caplog):
        (pid, *_) = await unasked(one)
        owner.execute("select pg_terminate_backend(%s, 5000)", [pid])
        async with one.pipeline(ANONYMOUS) as connection:
            cursor = await connection.execute(JOIN, ["charlie@example.com"])
        assert cursor.rowcount == 1

    @pytest.mark.parametrize("door", ["pipeline", "transaction"])
    async def test_a_connection_that_dies_in_use_is_one_class_of_error(self, one, owner, door):
        with pytest.raises(DatabaseUnavailable, match="try again"):  # noqa: PT012 - leaving is what raises
            async with getattr(one, door)(SERVICE) as handle:
                connection = handle if door == "pipeline" else await handle.connection()
                ask = "select pg_backend_pid()" if door == "pipeline" else text("select pg_backend_pid()")
                result = await connection.execute(ask)
                (pid,) = await result.fetchone() if door == "pipeline" else result.one()
                owner.execute("select pg_terminate_backend(%s, 5000)", [pid])
                await connection.execute(ask)
        await one.ping()

    @pytest.mark.parametrize("door", ["pipeline", "transaction"])
    async def test_no_database_is_that_error_within_seconds(self, tmp_path, door, caplog):
        caplog.set_level(logging.CRITICAL, "psycopg.pool")
        async with Database(f"postgresql://nobody@/nothing?host={tmp_path}", pool_size=2) as away:
            started = asyncio.get_running_loop().time()
            with pytest.raises(DatabaseUnavailable):
                async with getattr(away, door)(ANONYMOUS):
                    pass
            assert asyncio.get_running_loop().time() - started < 5

    async def test_a_full_pool_is_that_error_too(self, one):
        async with one.pipeline(ANONYMOUS):
            with pytest.raises(DatabaseUnavailable):
                await one.ping()
        await one.ping()
