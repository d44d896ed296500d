"""Operators, and what they read, for the tests of the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable

from sigma_app.features.console import paging
from sigma_app.features.console.paging import Key
from sigma_app.features.console.service import reading
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.store import Session
from tests.features.console.conftest import set_role


def make_operator(owner: psycopg.Connection, session: Session) -> Session:
    """The same session, now an operator's."""
    set_role(owner, session.user_id, "admin")
    return session


async def shown(state: type[ConsolePage], session: Session, /, **asked: str) -> Any:
    """A page's state, once it has read what an address asks for."""
    page = state()  # pyright: ignore[reportCallIssue] - of rx.State, outside of an app
    await page._look(session, asked)
    return page


def cells(rows: Any, column: int = 0) -> list[str]:
    """The texts of a column."""
    return [row.cells[column] for row in rows]


def fact(facts: Any, name: str) -> str:
    """What a fact of this name says."""
    return next(one.value for one in facts if one.name == name)


async def planned(
    session: Session, source: Composable, key: Key, values: Mapping[str, Any], edge: Sequence[str] | None = None
) -> str:
    """How Postgres would read a page of a list."""
    built, named = paging.statement(source, key, edge)
    async with reading(session) as cursor:
        await cursor.execute(SQL("explain (costs off) {}").format(built), {**values, **named})
        return "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())


async def scanned(session: Session, statement: str, values: Any, table: str) -> list[bool]:
    """Of each place where a statement may read a table, whether it did."""
    async with reading(session) as cursor:
        await cursor.execute(f"explain (analyze, costs off, timing off, summary off) {statement}".encode(), values)
        plan = [row["QUERY PLAN"] for row in await cursor.fetchall()]
    return ["never executed" not in line for line in plan if f" on {table} " in f"{line} "]


def deeds(owner: psycopg.Connection) -> list[tuple[str, str | None, Mapping[str, Any]]]:
    """What is on record, the first first."""
    return owner.execute("select action, subject, detail from sigma.audit_log order by id").fetchall()
