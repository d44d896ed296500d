"""The rows of every table as one hash each, the same on every server that holds the same rows.

A row is written as `row(…)::text` with its columns in the order of their names, the rows in the order of their bytes:
so neither the order of columns nor that of rows on the disk counts, nor Postgres' version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import LiteralString, NamedTuple

import psycopg
from psycopg import sql

from sigma_app.core.connecting import connect, session_address
from sigma_app.features.operations.backup.errors import Differs
from sigma_app.features.operations.backup.manifest import Table

Advance = Callable[[int], None]


class Place(NamedTuple):
    """A table, and how large it is."""

    schema: str
    name: str
    size: int
    """In bytes, with its long values, as it lies on the disk."""
    columns: dict[str, str]
    """The type of each, by name, in the order of their names."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@contextmanager
def snapshot(owner_url: str) -> Iterator[psycopg.Connection]:
    """The database as it is now, for the length of the block, whatever is written meanwhile.

    Raises:
        DatabaseRefused: it does not answer.
    """
    with connect(session_address(owner_url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        for setting in _SETTINGS:
            connection.execute(setting)
        yield connection


def places(connection: psycopg.Connection) -> list[Place]:
    """Every table that somebody made, whose rows are its own."""
    rows = connection.execute(_PLACES).fetchall()
    return [Place(schema, name, size, dict(sorted(columns.items()))) for schema, name, size, columns in rows]


def digest(connection: psycopg.Connection, place: Place) -> Table:
    """What there is in a table."""
    columns = sql.SQL(", ").join(map(sql.Identifier, place.columns))
    query = sql.SQL(
        "copy (select line from (select row({})::text as line from only {}) as lines"
        ' order by line collate "C") to stdout'
    ).format(columns, sql.Identifier(place.schema, place.name))
    rows, hashed = 0, hashlib.sha256()
    with connection.cursor().copy(query) as blocks:
        for block in blocks:
            hashed.update(block)
            rows += bytes(block).count(b"\n")  # one ends each row; those inside a value are written as \n
    return Table(rows, hashed.hexdigest(), place.columns)


def digests(connection: psycopg.Connection, included: Sequence[Place], advance: Advance) -> dict[str, Table]:
    """What there is in each of these tables, by its name."""
    found = {}
    for place in included:
        found[str(place)] = digest(connection, place)
        advance(place.size)
    return found


def compare(connection: psycopg.Connection, expected: Mapping[str, Table], advance: Advance = lambda _: None) -> None:
    """Compare every table with what it was, row by row.

    Raises:
        Differs: a table is missing, or holds other rows.
    """
    known = {str(place): place for place in places(connection)}
    for name, table in expected.items():
        if name not in known or not table.columns.keys() <= known[name].columns.keys():
            raise Differs(f"{name} is not there as it was backed up.")
        found = digest(connection, known[name]._replace(columns=table.columns))
        if (found.rows, found.sha256) != (table.rows, table.sha256):
            raise Differs(f"{name} holds other rows than were backed up: {found.rows} instead of {table.rows} rows.")
        advance(1)


_SETTINGS: tuple[LiteralString, ...] = (
    "set local statement_timeout = 0",
    "set local idle_in_transaction_session_timeout = 0",  # pg_dump may take long
    "set local row_security = off",  # rather an error than a part of the rows
    "set local search_path = pg_catalog",  # names of types and values in full
    "set local datestyle = iso",
    "set local intervalstyle = postgres",
    "set local timezone = utc",
    "set local bytea_output = hex",
    "set local extra_float_digits = 1",
    "set local client_encoding = utf8",
)
_PLACES = """
select nspname::text, relname::text, pg_table_size(c.oid), (
  select jsonb_object_agg(attname, format_type(atttypid, atttypmod)) from pg_attribute
  where attrelid = c.oid and attnum > 0 and not attisdropped
)
from pg_class as c join pg_namespace as n on n.oid = relnamespace
where relkind = 'r' and relpersistence <> 't' and nspname !~ '^pg_' and nspname <> 'information_schema'
  and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')
  and exists (select from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped)
order by nspname, relname
"""
