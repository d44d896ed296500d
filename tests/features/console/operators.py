"""Operators, and what they read, for the tests of the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

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
    async with reading(session) as cursor:
        await page._read(cursor, asked, session)
    return page


def cells(rows: Any, column: int = 0) -> list[str]:
    """The texts of a column."""
    return [row.cells[column] for row in rows]


def fact(facts: Any, name: str) -> str:
    """What a fact of this name says."""
    return next(one.value for one in facts if one.name == name)


def deeds(owner: psycopg.Connection) -> list[tuple[str, str | None, Mapping[str, Any]]]:
    """What is on record, the first first."""
    return owner.execute("select action, subject, detail from sigma.audit_log order by id").fetchall()
