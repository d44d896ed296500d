"""/admin/audit: who did what to whom. The database keeps it, and lets nobody change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL, Composable

from sigma_app.core.errors import NotLikeThat
from sigma_app.features.console import asked as asks
from sigma_app.features.console import deed_words, paging
from sigma_app.features.console.deed_words import DEEDS, Thing
from sigma_app.features.console.paging import Key
from sigma_app.features.console.parts import (
    choice,
    console_page,
    exactly,
    field,
    filters,
    no_rows,
    page,
    pager,
    part,
    row_of,
    table_of,
)
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.link import link

ROUTE = "/admin/audit"
HEADINGS = ("When (UTC)", "Who", "Did what", "To whom", "More", "Request")
COMMAND_LINE = "command-line"
_LATEST_FIRST = Key({"id": "bigint"})
_KINDS = {kind.lower().replace(" ", "-"): tuple(deeds) for kind, deeds in DEEDS.items()}
_CHOICES = (("", "Anything"), *zip(_KINDS, DEEDS, strict=True))
_RECENT = 1000  # entries among which operators of before are looked for
ALL = SQL("select id, at, operator, operator_name, action, subject, detail, request from sigma.audit_log")
# What has no index, or none that row level security lets a search reach, is looked for from the latest on: what nothing
# is found of takes 0.1 to 0.3 s in a million entries.
_ABOUT = SQL("(subject = %(subject)s or (detail ? 'leads' and detail -> 'leads' ? %(subject)s))")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log."""

    id: str
    at: str
    """To the second, in UTC."""
    moment: str
    """The same as machines read it."""
    who: str
    by: str
    """The address of all that they did."""
    what: str
    whom: str
    href: str
    more: str
    request: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody to choose whose deeds are shown."""

    id: str
    name: str


class AuditState(ConsolePage, SessionState):
    """A page of the log: of everything, or of what the fields say. `mistake` is what is wrong with those."""

    rows: list[Entry] = []  # noqa: RUF012 - a Var, copied for each state
    operators: list[Operator] = []  # noqa: RUF012 - a Var, copied for each state
    who: str = ""
    kind: str = ""
    since: str = ""
    until: str = ""
    subject: str = ""
    mistake: str = ""
    newer: str = ""
    older: str = ""

    _topics = frozenset({"audit"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.who, self.kind = asks.words(asked, "who"), asks.one_of(asked, "kind", _KINDS)
        self.since, self.until = asks.words(asked, "since"), asks.words(asked, "until")
        self.subject, self.mistake = asks.words(asked, "subject"), ""
        try:
            conditions, values = self._conditions(asked)
        except NotLikeThat as error:
            self.mistake, self.rows, self.newer, self.older = str(error), [], "", ""
        else:
            source = ALL + SQL(" where ") + SQL(" and ").join(conditions) if conditions else ALL
            found = await paging.read(cursor, source, _LATEST_FIRST, asked, values)
            self.rows = await entries(cursor, found.rows)
            self.newer, self.older = paging.ways(ROUTE, asked, found)
        await cursor.execute(_OPERATORS, [_RECENT])
        self.operators = [Operator(one["id"], one["name"]) for one in await cursor.fetchall()]
        if self.who not in ("", COMMAND_LINE, *(one.id for one in self.operators)):
            self.operators.append(Operator(self.who, self.rows[0].who if self.rows else self.who))

    def _conditions(self, asked: Mapping[str, str]) -> tuple[Sequence[Composable], dict[str, Any]]:
        operator, since, until = asks.identity(asked, "who"), asks.day(asked, "since"), asks.day(asked, "until")
        if since and until and since > until:
            raise NotLikeThat("The first day is after the last: nothing can be between them.", "since")
        if "@" in self.subject:
            raise NotLikeThat("The log has ids and no addresses; “Done to them”, on the page of a user, asks by one.")
        conditions = [
            *([SQL("operator is null")] if self.who == COMMAND_LINE else []),
            *([SQL("operator = %(operator)s")] if self.who not in ("", COMMAND_LINE) else []),
            *([SQL("action = any(%(actions)s)")] if self.kind else []),
            *([SQL("at >= %(since)s")] if since else []),
            *([SQL("at < %(until)s::timestamptz + interval '24 hours'")] if until else []),
            *([_ABOUT] if self.subject else []),
        ]
        values = {
            "operator": operator or UUID(int=0),
            "actions": list(_KINDS.get(self.kind, ())),
            "since": since,
            "until": until,
            "subject": self.subject,
        }
        return conditions, values


# Those of today, and those of before who did something lately; whoever did not is found by what they did to whom.
_OPERATORS = """
select coalesce(account.id, recent.operator)::text as id, coalesce(account.email, recent.name) as name
from (select id, email from sigma.accounts where role = 'admin') as account
  full join (
    select operator, max(operator_name) as name
    from (select operator, operator_name from sigma.audit_log order by id desc limit %s) as latest
    where operator is not null group by operator
  ) as recent on recent.operator = account.id
order by name
"""


async def entries(cursor: AsyncCursor[dict[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Rows of `ALL` as they are shown.

    Args:
        cursor: an operator's.
        rows: those to show.

    Raises:
        psycopg.Error: what they are about could not be looked up.
    """
    return [_entry(*one) for one in zip(rows, await deed_words.things(cursor, rows), strict=True)]


def _entry(row: Mapping[str, Any], thing: Thing) -> Entry:
    at = row["at"].astimezone(UTC)
    return Entry(
        id=str(row["id"]),
        at=f"{at:%Y-%m-%d %H:%M:%S}",
        moment=exactly(at),
        who=row["operator_name"],
        by=f"{ROUTE}?who={row['operator'] or COMMAND_LINE}",
        what=deed_words.sentence(row["action"], row["detail"]),
        whom=thing.name,
        href=thing.href,
        more=deed_words.more(row["detail"]),
        request=row["request"] or "",
    )


def audit() -> rx.Component:
    """The log, latest first."""
    nothing = no_rows(
        "Nothing was done yet. What operators do from now on stands here.",
        asked=(AuditState.who + AuditState.kind + AuditState.since + AuditState.until + AuditState.subject) != "",
        matches="Nothing like that was done.",
        href=ROUTE,
        everything="Show all of it",
        mistake=AuditState.mistake,
    )
    return console_page(
        AuditState,
        "Audit log",
        part(
            "What was done",
            filters(
                _whose(),
                choice("What about", "kind", AuditState.kind, _CHOICES),
                field("From", "since", AuditState.since, type="date"),
                field("To", "until", AuditState.until, type="date"),
                field("To whom (an id)", "subject", AuditState.subject, type="search", auto_complete="off"),
                action=ROUTE,
            ),
            rx.el.p(AuditState.mistake, role="alert", class_name="console-warning"),
            table("What was done, latest first", AuditState.rows, empty=nothing),
            pager(AuditState.newer, AuditState.older),
        ),
        here=ROUTE,
        lede="What is done here or on the command line to people, leads, mail, events, jobs and operators. "
        "Backups, restoring, moving to Supabase, reconciling with Stripe, psql and Growth's CSV leave nothing here. "
        "Rows are only ever added. Days are UTC's.",
    )


def _whose() -> rx.Component:
    return rx.el.label(
        rx.el.span("Who"),
        rx.el.select(
            rx.el.option("Anybody", value=""),
            rx.el.option("The command line", value=COMMAND_LINE),
            rx.foreach(AuditState.operators, lambda one: rx.el.option(one.name, value=one.id)),
            name="who",
            default_value=AuditState.who,
            key=AuditState.who,
        ),
    )


def table(caption: str, rows: Any, *, empty: Any) -> rx.Component:
    """A Var of `list[Entry]` as a table; `caption` and `empty` as `parts.table` takes them."""

    def row(one: Any) -> rx.Component:
        cells = (
            rx.el.time(one.at, date_time=one.moment),
            link(one.who, href=one.by),
            one.what,
            rx.cond(one.href != "", link(one.whom, href=one.href), one.whom),
            one.more,
            one.request,
        )
        return rx.el.tr(*row_of(HEADINGS, cells), key=one.id)

    return table_of(caption, HEADINGS, rows, row, empty=empty)


PAGES = [page(audit, ROUTE, "Audit log", AuditState)]
