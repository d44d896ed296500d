"""/admin: how Sigma stands, at a glance, and what wants looking at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.features.console.parts import Fact, Row, console_page, numbers, page, part, table, when
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.operations import service as operations
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session

ROUTE = "/admin"


class OverviewState(ConsolePage, SessionState):
    """The numbers that move, what is well and what is not, and the latest deeds."""

    people: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    work: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    health: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    deeds: list[Row] = []  # noqa: RUF012 - a Var, copied for each state

    _topics = frozenset({"leads", "users", "events", "jobs", "audit"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        await cursor.execute(_NUMBERS)
        now = await cursor.fetchone() or {}
        self.people = [
            Fact("on the list", f"{now['leads']:,}", "/admin/leads"),
            Fact("joined today", f"{now['today']:,}", "/admin/leads"),
            Fact("wait in line", f"{now['waiting']:,}"),
            Fact("have access", f"{now['paying']:,}"),
        ]
        queue = await operations.queue_now()
        self.work = [
            Fact("jobs wait", f"{queue.jobs.get('todo', 0):,}"),
            Fact("jobs run", f"{queue.jobs.get('doing', 0):,}"),
            Fact("jobs failed", f"{queue.jobs.get('failed', 0):,}"),
            Fact("events wait", f"{now['events']:,}"),
        ]
        self.health = [
            Row(one.name, [one.name, "well" if one.ok else "not well", one.says], tone="" if one.ok else "bad")
            for one in await operations.checks()
        ]
        await cursor.execute("select id, at, operator_name, action from sigma.audit_log order by id desc limit 5")
        self.deeds = [
            Row(str(one["id"]), [when(one["at"]), one["operator_name"], one["action"]])
            for one in await cursor.fetchall()
        ]


# The whole list is counted as the landing page counts it: exactly up to 100,000, and by an estimate beyond.
_NUMBERS = """
select public.founder_count() as leads, sigma.waiting() as waiting,
  (select count(*) from public.leads where created_at >= date_trunc('day', now(), 'utc')) as today,
  (select count(*) from public.profiles where has_access) as paying,
  (select count(*) from sigma.webhook_events where handled_at is null) as events
"""


def overview() -> rx.Component:
    """How Sigma stands."""
    return console_page(
        OverviewState,
        "Overview",
        part("People", numbers(OverviewState.people)),
        part("Work", numbers(OverviewState.work)),
        part("Health", table("What this process needs", ("What", "How", "In words"), OverviewState.health, empty="")),
        part(
            "Latest deeds",
            table("The latest of the audit log", ("When (UTC)", "Who", "What"), OverviewState.deeds, empty="None yet."),
        ),
        here=ROUTE,
    )


PAGES = [page(overview, ROUTE, "Overview", OverviewState)]
