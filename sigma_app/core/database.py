"""The one way in which requests reach the database: a transaction under somebody's role.

Its doors share one pool of connections of the login role, which owns nothing. `transaction` gives a SQLModel session,
`cursor` a psycopg one; `run` sends a few statements as one message, for the hot paths. In all the role and the
JWT claims are local to the transaction (`set_config(…, true)`), so row level security judges every
statement, a pooled connection carries nothing over, and a transaction pooler may sit between. `exchange` is the same
for whoever writes that first statement: a REST server, whose every request has settings of its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import select
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from anyio import CancelScope
from psycopg import AsyncClientCursor, AsyncConnection, AsyncCursor
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.connecting import CONNECT_SECONDS, is_pooler, session_address
from sigma_app.core.errors import DatabaseBusy, DatabaseUnavailable
from sigma_app.core.exchange import Bound, Prepared, exchange
from sigma_app.core.logs import request_id
from sigma_app.core.spans import span, statement

T = TypeVar("T")

logger = logging.getLogger(__name__)

WAIT_SECONDS = 3.0  # for a free connection; a visitor reads "please try again" rather than wait longer
SILENCE_SECONDS = 10.0  # the login's statements end after 8 (0001_roles.up.sql): a server that says nothing is gone
RECONNECT_SECONDS = 1.0  # then the pool gives up, and the next request makes it try again at once
_BECOME = SQL(
    "select set_config('role', {role}, true), set_config('request.jwt.claims', {claims}, true),"
    " set_config('sigma.request', {request}, true)"
)
_THIS_REQUEST = "\N{REPLACEMENT CHARACTER}request"  # for an id, whose characters core/requests.py keeps to a few
_POSTGRES = {"db_system_name": "postgresql"}  # of spans
_BEGIN, _COMMIT = Bound("begin"), Bound("commit")
_TOO_LONG = ("55P03", "57014", "25P03")  # waited for a lock, ran, or idled in a transaction for longer than it may
_GONE = ("57P01", "57P02", "57P03", "53300")  # shutting down, crashed, starting up, too many connections
# Its disk or memory is full, its disk fails, or it may not write: Supabase makes a full project read-only, and so is a
# standby. Nobody who asks can help that, and it passes.
_UNABLE = ("53100", "53200", "58030", "25006")


@dataclass(frozen=True)
class Actor:
    """On whose behalf a transaction runs: a database role, and the JWT claims that the policies read."""

    role: str
    claims: str  # JSON


ANONYMOUS = Actor("anon", '{"role":"anon"}')
SERVICE = Actor("service_role", '{"role":"service_role"}')


def user_actor(user_id: UUID | str, email: str | None = None, **claims: Any) -> Actor:
    """Somebody signed in. `claims` are further claims of their access token, such as `session_id`."""
    known = {"aud": "authenticated", "email": email} if email else {"aud": "authenticated"}
    fixed = {"sub": str(user_id), "role": "authenticated"}  # last, so that no claim can replace them
    return Actor("authenticated", json.dumps(known | claims | fixed, separators=(",", ":")))


class _PooledConnection(AsyncConnection):
    """A connection that always goes back to its pool when SQLAlchemy closes it, even a broken one, and that waits for
    no server that has fallen silent.

    With `close_returns` alone psycopg 3.3's `close()` does nothing on a connection that broke, and the
    pool would be one short for ever after.
    """

    silence = SILENCE_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.prepared = Prepared()

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:  # noqa: ASYNC109
        """Called by psycopg for whatever is asked of the server, with arguments of its own.

        Raises:
            psycopg.OperationalError: no answer came; the connection is closed.
        """
        try:
            return await super().wait(gen, interval, self.silence if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            if timeout is None:
                self.pgconn.finish()
            raise

    async def close(self) -> None:
        try:
            await self.leave()
        finally:
            if self.closed and (pool := getattr(self, "_pool", None)):
                await pool.putconn(self)
            else:
                await super().close()

    async def leave(self) -> None:
        """Roll back the transaction, if any, of whoever was told to stop in it, or failed."""
        if self.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            with CancelScope(shield=True), suppress(psycopg.OperationalError):  # a broken one is the pool's to replace
                await self.rollback()


def _becoming(actor: Actor) -> str:
    """The statement that makes a transaction `actor`'s, and of the request that is worked for (core/logs.py)."""
    return _becoming_in(actor).replace(_THIS_REQUEST, request_id.get())


@lru_cache(maxsize=1024)
def _becoming_in(actor: Actor) -> str:
    values = {"role": Literal(actor.role), "claims": Literal(actor.claims), "request": Literal(_THIS_REQUEST)}
    return _BECOME.format(**values).as_string()


class Step(NamedTuple):
    """One statement of `Database.run`, and on whose behalf it runs."""

    actor: Actor
    statement: LiteralString | SQL
    values: Sequence[Any] | Mapping[str, Any] = ()


class PoolNow(NamedTuple):
    """How many connections are lent and idle, and how many requests wait for one."""

    lent: int
    idle: int
    waiting: int


class Database:
    """The pool and its doors. One for a process; `open()` and `close()` belong to the same event loop."""

    def __init__(self, url: str, pool_size: int = 10, silence: float = SILENCE_SECONDS) -> None:
        """Nothing connects yet.

        Args:
            url: the login's address, from `core.login.login_url`.
            pool_size: the most connections that this process holds, beside one for each `listen`.
            silence: seconds without an answer after which the server counts as away; longer than any statement runs.
        """
        self._url = url
        self._silence = silence
        self._listeners: set[asyncio.Task[None]] = set()
        self._lent = 0  # connections in use, but for SQLAlchemy's
        self._pool: AsyncConnectionPool[_PooledConnection] = AsyncConnectionPool(
            url,
            min_size=min(2, pool_size),
            max_size=pool_size,
            kwargs={
                "autocommit": True,  # the message of `run` is a transaction of its own
                "connect_timeout": CONNECT_SECONDS,
                "prepare_threshold": None if is_pooler(url) else 5,
            },
            open=False,
            configure=self._configure,
            check=_check,
            connection_class=_PooledConnection,
            close_returns=True,
            timeout=WAIT_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,
            name="sigma",
        )
        self._engine = create_async_engine(
            "postgresql+psycopg://",
            hide_parameters=True,  # of errors, which are logged: they are what people typed
            poolclass=NullPool,  # the recipe of psycopg_pool's documentation, "Integration with SQLAlchemy"
            async_creator=self._connection_for_sqlalchemy,
            use_native_hstore=False,  # spares a catalog query at the first use
        )

    async def open(self) -> None:
        """Start connecting in the background: pages are served even while the database is away."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection; waits a moment for those in use."""
        for listener in self._listeners:
            listener.cancel()
        await asyncio.gather(*self._listeners, return_exceptions=True)
        await self._engine.dispose()
        await self._pool.close(timeout=WAIT_SECONDS)

    async def __aenter__(self) -> Database:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def ping(self) -> None:
        """Return when the database answers.

        Raises:
            DatabaseUnavailable: it does not, within `WAIT_SECONDS`.
        """
        async with self._connection() as connection:
            await connection.execute("select 1")

    def pool_now(self) -> PoolNow:
        """How the pool stands right now."""
        stats = self._pool.get_stats()
        size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
        return PoolNow(size - idle, idle, stats.get("requests_waiting", 0))

    @asynccontextmanager
    async def transaction(self, actor: Actor) -> AsyncIterator[AsyncSession]:
        """A session in a transaction of `actor`; leaving commits, an exception rolls back.

        An `insert(Model.__table__)` as ANONYMOUS needs `.inline()`: it may not read what it wrote, and
        RETURNING reads.

        Raises:
            DatabaseUnavailable: there is no connection, or it broke; nothing was saved that was not
            acknowledged.
        """
        try:
            with span("transaction", "CLIENT", **_POSTGRES, sigma_role=actor.role):
                async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                    connection = await session.connection()
                    become = {"role": actor.role, "claims": actor.claims, "request": request_id.get()}
                    await connection.execute(_BECOME_IN_SESSION, become)
                    yield session
        except DBAPIError as error:
            if _is_unavailable(error.orig):
                raise DatabaseUnavailable from error
            _explain(error.orig)
            raise
        except psycopg.OperationalError as error:  # from the pool, before there is anything to wrap
            if _is_unavailable(error):
                raise DatabaseUnavailable from error
            raise

    async def run(self, *steps: Step) -> list[tuple]:
        """Run statements in one transaction and one message, each on behalf of its actor.

        The message is a simple query of several statements, which Postgres runs as one transaction and answers once it
        is committed (its documentation, "Multiple Statements in a Simple Query"). Values are quoted on our side, by
        libpq's own rules; nothing is prepared on the server. The cheapest door: one write and one read of the socket.

        Returns:
            The rows of the last statement; none where it returns none.

        Raises:
            psycopg.Error: what the first failing statement said, with its `sqlstate`; nothing was saved.
            DatabaseBusy, DatabaseUnavailable: it took too long, there is no connection, or it broke; nothing was
                acknowledged.
        """
        said = statement(step.statement for step in steps)
        with span("statements", "CLIENT", **_POSTGRES, db_query_text=said):
            try:
                async with self._connection() as connection:
                    cursor = AsyncClientCursor(connection)
                    parts = (f"{_becoming(step.actor)};{cursor.mogrify(step.statement, step.values)}" for step in steps)
                    await cursor.execute(";".join(parts).encode())
                    while cursor.nextset():
                        pass
                    return await cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                _explain(error)
                raise

    @asynccontextmanager
    async def cursor(self, actor: Actor) -> AsyncIterator[AsyncCursor[dict[str, Any]]]:
        """A cursor, its rows dicts, in a transaction of `actor`; leaving commits, an exception rolls back.

        For SQL that models do not describe, over statements whose values the driver binds.

        Raises:
            psycopg.Error: what Postgres said; nothing was saved.
            DatabaseUnavailable: there is no connection, it broke, or the server cannot; nothing was acknowledged.
        """
        with span("transaction", "CLIENT", **_POSTGRES, sigma_role=actor.role):
            async with self._connection() as connection:
                await connection.execute(f"begin;{_becoming(actor)}".encode())  # one message
                try:
                    yield connection.cursor(row_factory=dict_row)
                    await connection.commit()
                except psycopg.Error as error:
                    if error.sqlstate in _UNABLE:  # who waits for locks of their own tells that themselves
                        raise DatabaseUnavailable from error
                    raise

    async def exchange(
        self, *statements: Bound, approve: Callable[[Sequence[PGresult]], None] | None = None
    ) -> Sequence[PGresult]:
        """Run statements in one transaction, sent together, their values bound by the server; the first says who asks.

        Args:
            statements: whose first sets the role and the claims, with `set_config(…, true)`.
            approve: sees the results before they are committed, and raises where they must not be. Costs a round trip.

        Returns:
            The results, each value the bytes that Postgres wrote (text format).

        Raises:
            psycopg.Error: what Postgres said, or the driver of a value it cannot send; nothing was saved.
            DatabaseBusy: none of its connections came free in time.
            DatabaseUnavailable: there is no connection, or it broke; nothing was acknowledged.
        """
        with span("exchange", "CLIENT", **_POSTGRES):
            async with self._connection() as connection:
                try:
                    return await _exchange(connection, statements, approve)
                except psycopg.errors.InvalidSqlStatementName:
                    # After a rollback psycopg deallocates all that a connection has prepared, ours included.
                    connection.prepared.forget_all()
                    return await _exchange(connection, statements, approve)

    def listen(self, channel: LiteralString, heard: Callable[[str], None]) -> None:
        """Call `heard` with the payload of every NOTIFY on `channel`, until `close()`, over a connection of its own.

        One that breaks is opened again; then, and at first, `heard` gets "", since something may have been missed.
        """
        task = asyncio.get_running_loop().create_task(self._listen(channel, heard))
        self._listeners.add(task)
        task.add_done_callback(self._listeners.discard)

    async def _listen(self, channel: LiteralString, heard: Callable[[str], None]) -> None:
        while True:
            with suppress(psycopg.Error):
                async with await AsyncConnection.connect(
                    session_address(self._url), autocommit=True, connect_timeout=CONNECT_SECONDS
                ) as connection:
                    await connection.execute(SQL("listen {}").format(Identifier(channel)))
                    heard("")
                    async for notice in connection.notifies():
                        heard(notice.payload)
            logger.info("The connection that listens for %s broke; it is opened again.", channel)
            await asyncio.sleep(RECONNECT_SECONDS)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_PooledConnection]:
        """A connection of the pool, and one class of error for every way in which there is none."""
        try:
            connection = await self._pool.getconn()
            self._lent += 1
            try:
                if not connection.autocommit:  # SQLAlchemy had it last
                    await connection.set_autocommit(True)
                yield connection
            finally:
                self._lent -= 1
                try:
                    await connection.leave()
                finally:
                    await self._pool.putconn(connection)
        except PoolTimeout as error:
            raise (DatabaseBusy if self._lent == self._pool.max_size else DatabaseUnavailable) from error
        except psycopg.OperationalError as error:
            if _is_unavailable(error):
                raise DatabaseUnavailable from error
            raise

    async def _configure(self, connection: _PooledConnection) -> None:
        connection.silence = self._silence

    async def _connection_for_sqlalchemy(self) -> AsyncConnection:
        connection = await self._pool.getconn()
        try:
            await connection.set_autocommit(False)  # SQLAlchemy leaves BEGIN to the driver
        except BaseException:
            await self._pool.putconn(connection)
            raise
        return connection


async def _exchange(
    connection: _PooledConnection, statements: Sequence[Bound], approve: Callable[[Sequence[PGresult]], None] | None
) -> Sequence[PGresult]:
    prepared = connection.prepared if connection.prepare_threshold is not None else None
    end = [_COMMIT] if approve is None else []
    try:
        _, *results = await exchange(connection, [_BEGIN, *statements, *end], prepared)
        if approve is not None:
            approve(results)
            await connection.commit()
    except BaseException:
        if not connection.closed:
            await connection.rollback()
        raise
    return results[: len(statements)]


_BECOME_IN_SESSION = text(
    "select set_config('role', :role, true), set_config('request.jwt.claims', :claims, true),"
    " set_config('sigma.request', :request, true)"
)


async def _check(connection: AsyncConnection) -> None:
    """Refuse a connection that died while it lay in the pool, without the round trip of asking the server.

    An idle connection has nothing to say. If its socket has something to read, that is the server's
    farewell or the end of the stream, and only then is it worth asking.
    """
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await connection.execute("")


def _is_unavailable(error: BaseException | None) -> bool:
    """Whether the database is away, as opposed to: it answered, and the answer is an error.

    Without an SQLSTATE the client noticed it itself: no connection, none free in time, or a broken one. What says ERROR
    ended a statement and no connection: a function may raise any SQLSTATE.
    """
    if not isinstance(error, psycopg.OperationalError) or error.diag.severity_nonlocalized == "ERROR":
        return False
    return error.sqlstate is None or error.sqlstate.startswith("08") or error.sqlstate in _GONE


def _explain(error: BaseException | None) -> None:
    """Raise one of ours for an error that says how the server is, and nothing about what it was asked."""
    code = getattr(error, "sqlstate", None)
    if code in _TOO_LONG:
        raise DatabaseBusy from error
    if code in _UNABLE:
        raise DatabaseUnavailable from error


_serving: Database | None = None


@contextmanager
def serve_requests_from(database: Database) -> Iterator[None]:
    """Make `database` the one that this process's requests use, inside the block."""
    global _serving
    _serving = database
    try:
        yield
    finally:
        _serving = None


def get_database() -> Database:
    """The database of this process's requests.

    Raises:
        DatabaseUnavailable: the process serves none yet, or no more.
    """
    if _serving is None:
        raise DatabaseUnavailable
    return _serving
