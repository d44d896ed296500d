"""Statements and the values bound to them, sent to Postgres as one message and answered as one.

This is libpq's pipeline mode over psycopg's connection. psycopg's own pipeline sends after each statement, which costs
a system call and wakes the server each time: half of what a small transaction takes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg import AsyncConnection, generators
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

_MOST_PREPARED = 100  # statements on one connection, as psycopg's own
_LONGEST = 8192  # characters of one that is worth preparing
_USES = 3  # of one statement on one connection, before it is prepared


class Bound(NamedTuple):
    """One statement."""

    statement: str
    """With $1, $2… for its values."""
    values: Sequence[str] = ()
    """Texts, whose types Postgres finds where they stand."""


@dataclass
class Prepared:
    """What one connection has prepared, and what it was asked so far."""

    names: dict[str, bytes] = field(default_factory=dict)
    """By statement, the one used last at the end."""
    uses: dict[str, int] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=count)

    def is_due(self, statement: str) -> bool:
        """Count a use of a statement that is not prepared, and say whether it should be. Long ones never are: each use
        is somebody's own, and what Postgres keeps of one is many times its length."""
        if len(statement) > _LONGEST:
            return False
        if len(self.uses) > 10 * _MOST_PREPARED:
            self.uses.clear()
        self.uses[statement] = self.uses.get(statement, 0) + 1
        return self.uses[statement] >= _USES

    def too_many(self) -> str | None:
        """The statement that was not used for longest, if there are too many."""
        return next(iter(self.names)) if len(self.names) > _MOST_PREPARED else None

    def forget_all(self) -> None:
        """Know of none any more; no number is given twice."""
        self.names.clear()
        self.uses.clear()


async def exchange(
    connection: AsyncConnection, statements: Sequence[Bound], prepared: Prepared | None
) -> list[PGresult]:
    """Send all statements, and wait for all answers.

    Args:
        connection: in autocommit; what is to be one transaction begins and commits in it.
        statements: any but COPY.
        prepared: of this connection; None where a pooler forgets.

    Raises:
        psycopg.Error: what the first failing statement said; those behind it were not run.
    """
    prepared_values = [[_text(value) for value in values] for _, values in statements]
    async with connection.lock:
        return await connection.wait(_conversation(connection.pgconn, statements, prepared_values, prepared))


def _conversation(
    pgconn: PGconn, statements: Sequence[Bound], values: Sequence[list[bytes]], prepared: Prepared | None
) -> Generator[Any, Any, list[PGresult]]:
    pgconn.enter_pipeline_mode()
    places = []  # of each statement's own result among all
    new: dict[int, tuple[str, bytes]] = {}
    sent = 0
    # First, since what stands behind a failure is not run. Such a statement may be this very one: it is prepared anew.
    if prepared and (oldest := prepared.too_many()):
        pgconn.send_query_params(b"deallocate " + prepared.names.pop(oldest), [])
        sent += 1
    for (statement, _), given in zip(statements, values, strict=True):
        name = prepared.names.get(statement) if prepared else None
        if prepared and name is None and prepared.is_due(statement):
            name = b"sigma_%d" % next(prepared.numbers)
            pgconn.send_prepare(name, statement.encode())
            new[sent] = (statement, name)
            sent += 1
        if name is None:
            pgconn.send_query_params(statement.encode(), given)
        else:
            pgconn.send_query_prepared(name, given)
        places.append(sent)
        sent += 1
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    results = yield from _answers(pgconn)
    pgconn.exit_pipeline_mode()
    if prepared:
        _note(prepared, statements, new, results)
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    return [results[place] for place in places]


def _answers(pgconn: PGconn) -> Generator[Any, Any, list[PGresult]]:
    """One result for each thing that was sent, up to the end of the message."""
    results = []
    while True:
        result = yield from generators.fetch(pgconn)
        if result is None:
            if pgconn.status == ConnStatus.BAD:
                raise psycopg.OperationalError("the connection is lost")
        elif result.status == ExecStatus.PIPELINE_SYNC:
            return results
        else:
            results.append(result)


def _note(
    prepared: Prepared, statements: Sequence[Bound], new: dict[int, tuple[str, bytes]], results: Sequence[PGresult]
) -> None:
    """Keep what was prepared; a statement stays so even if its transaction is undone."""
    for place, (statement, name) in new.items():
        if place < len(results) and results[place].status == ExecStatus.COMMAND_OK:
            prepared.names[statement] = name
            prepared.uses.pop(statement, None)
    for statement, _ in statements:
        if name := prepared.names.pop(statement, None):
            prepared.names[statement] = name  # to the end


def _text(value: str) -> bytes:
    if "\0" in value:
        raise psycopg.DataError("a text for Postgres cannot hold a NUL")
    return value.encode()
