"""/admin: how Sigma stands, at a glance: what is wrong first, then the numbers, each the way to what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL

from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.words import counted
from sigma_app.features.console import audit, queue
from sigma_app.features.console.audit import Entry
from sigma_app.features.console.mail import PROBLEM
from sigma_app.features.console.parts import Fact, Row, console_page, numbers, page, part, table
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.operations import service as operations
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.link import link

ROUTE = "/admin"
_LATEST = audit.ALL + SQL(" order by id desc limit 5")


class OverviewState(ConsolePage, SessionState):
    """What is wrong, the numbers that move, what this process needs, and the latest deeds."""

    wrong: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    people: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    work: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    health: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    deeds: list[Entry] = []  # noqa: RUF012 - a Var, copied for each state

    _topics = frozenset({"leads", "users", "events", "jobs", "mail", "audit"})
    _now: dict[str, Any] = {}  # noqa: RUF012 - as they are; what `_NUMBERS` gave

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        await cursor.execute(_NUMBERS)
        self._now = now = await cursor.fetchone() or {}
        self.people = [
            Fact("on the list", f"{now['leads']:,}", "/admin/leads"),
            Fact("joined today (UTC)", f"{now['joined']:,}", f"/admin/leads?since={now['today']}"),
            Fact("wait in line", f"{now['waiting']:,}", "/admin/leads?status=confirmed"),
            Fact("have access", f"{now['paying']:,}", "/admin/users?which=access"),
        ]
        await cursor.execute(_LATEST)
        self.deeds = await audit.entries(cursor, await cursor.fetchall())

    async def _read_besides(self) -> None:
        now = self._now
        checks, jobs = await operations.checks()
        if jobs is None:
            raise DatabaseUnavailable
        self.work = [
            *(Fact(f"jobs {one.name}", one.value, one.href) for one in queue.standing(jobs)),
            Fact("events failed", f"{now['failed_events']:,}", "/admin/events?state=failed"),
            Fact("events waiting", f"{now['events']:,}", "/admin/events?state=waiting"),
            Fact("mails with a problem", f"{now['bad_mails']:,}", f"/admin/mail?state={PROBLEM}"),
        ]
        self.health = [
            Row(one.name, [one.name, "well" if one.ok else "not well", one.says], tone="" if one.ok else "bad")
            for one in checks
        ]
        self.wrong = [
            *(_wrong(one.name, one.says) for one in checks if not one.ok),
            *([] if jobs.workers else [_wrong("no worker", "Nothing in the queue is done.", queue.ROUTE)]),
            *_some(jobs.jobs.get("failed", 0), "job", "failed for good.", f"{queue.ROUTE}?state=failed"),
            *_some(now["failed_events"], "event", "could not be worked so far.", "/admin/events?state=failed"),
        ]


def _wrong(what: str, words: str, href: str = "") -> Row:
    return Row(what, [what, words], href=href, tone="bad")


def _some(count: int, one: str, words: str, href: str) -> list[Row]:
    return [_wrong(f"{one}s", f"{counted(count, one)} {words}", href)] if count else []


# The whole list is counted as the landing page counts it: exactly up to 100,000, and by an estimate beyond.
_NUMBERS = """
select public.founder_count() as leads, sigma.waiting() as waiting, (now() at time zone 'utc')::date as today,
  (select count(*) from public.leads where created_at >= date_trunc('day', now(), 'utc')) as joined,
  (select count(*) from public.profiles where has_access) as paying,
  (select count(*) from sigma.webhook_events where handled_at is null and error is null) as events,
  (select count(*) from sigma.webhook_events where handled_at is null and error is not null) as failed_events,
  (select count(*) from sigma.messages where state in ('refused', 'bounced', 'complained')) as bad_mails
"""


def overview() -> rx.Component:
    """How Sigma stands."""
    wrong = OverviewState.wrong
    return console_page(
        OverviewState,
        "Overview",
        part(
            "What is wrong",
            table("What is wrong, and where", ("What", "In words"), wrong, empty="Nothing, as far as Sigma can see."),
        ),
        part("People", numbers(OverviewState.people)),
        part("Work", numbers(OverviewState.work)),
        part("Health", table("What this process needs", ("What", "How", "In words"), OverviewState.health, empty="")),
        part(
            "Latest deeds",
            audit.table("The latest of the audit log", OverviewState.deeds, empty="None yet."),
            rx.el.p(link("All of the audit log", href=audit.ROUTE)),
        ),
        here=ROUTE,
    )


PAGES = [page(overview, ROUTE, "Overview", OverviewState)]
