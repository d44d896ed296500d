"""/admin/audit: who did what to whom. The database keeps it, and lets nobody change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL

from sigma_app.features.console import paging
from sigma_app.features.console.paging import Key
from sigma_app.features.console.parts import Row, console_page, field, filters, page, pager, part, table, when
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session

ROUTE = "/admin/audit"
HEADINGS = ("When (UTC)", "Who", "What", "To whom", "More", "Request")
_LATEST_FIRST = Key({"id": "bigint"})
_ALL = SQL("select id, at, operator_name, action, subject, detail, request from sigma.audit_log")
_ABOUT = SQL("{} where subject = %(subject)s").format(_ALL)


class AuditState(ConsolePage, SessionState):
    """A page of the log, of everything or of one `subject`."""

    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    subject: str = ""
    newer: str = ""
    older: str = ""

    _topics = frozenset({"audit"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.subject = asked.get("subject", "").strip()
        found = await paging.read(
            cursor, _ABOUT if self.subject else _ALL, _LATEST_FIRST, asked, {"subject": self.subject}
        )
        self.rows = [_row(one) for one in found.rows]
        self.newer, self.older = paging.ways(ROUTE, asked, found)


def _row(entry: Mapping[str, Any]) -> Row:
    detail = ", ".join(f"{name} {_short(value)}" for name, value in entry["detail"].items())
    return Row(
        str(entry["id"]),
        [
            when(entry["at"]),
            entry["operator_name"],
            entry["action"],
            entry["subject"] or "",
            detail,
            entry["request"] or "",
        ],
    )


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def audit() -> rx.Component:
    """The log, latest first."""
    return console_page(
        AuditState,
        "Audit log",
        part(
            "What was done",
            filters(field("To whom (an id)", "subject", AuditState.subject), action=ROUTE),
            table("What was done, latest first", HEADINGS, AuditState.rows, empty="Nothing was done yet."),
            pager(AuditState.newer, AuditState.older),
        ),
        here=ROUTE,
        lede="Everything an operator does, here or on the command line. Rows are only ever added.",
    )


PAGES = [page(audit, ROUTE, "Audit log", AuditState)]
