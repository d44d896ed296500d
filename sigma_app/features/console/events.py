"""/admin/events: what Stripe and Resend told us, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString
from urllib.parse import urlencode

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL

from sigma_app.features.console import asked as asks
from sigma_app.features.console import paging
from sigma_app.features.console.paging import Key
from sigma_app.features.console.parts import (
    Row,
    choice,
    console_page,
    field,
    filters,
    no_rows,
    page,
    pager,
    part,
    table,
    when,
)
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session

ROUTE = "/admin/events"
ONE = "/admin/event"
HEADINGS = ("Event", "Source", "Type", "State", "Tries", "Received (UTC)", "Error")
SOURCES = {"stripe": "Stripe", "resend": "Resend"}
_LATEST_FIRST = Key({"received_at": "timestamptz", "source": "text", "id": "text"})
_CONDITIONS: Mapping[str, LiteralString] = {
    "waiting": "handled_at is null and error is null",
    "failed": "handled_at is null and error is not null",
    "worked": "handled_at is not null",
}
STATES = {"waiting": "waiting for its turn", "failed": "failed", "worked": "worked"}
_ALL = SQL("select source, id, type, received_at, handled_at, customer, tries, error from sigma.webhook_events")


class EventsState(ConsolePage, SessionState):
    """A page of the list."""

    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    source: str = ""
    which: str = ""
    kind: str = ""
    customer: str = ""
    newer: str = ""
    older: str = ""

    _topics = frozenset({"events"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.source, self.which = asks.one_of(asked, "source", SOURCES), asks.one_of(asked, "state", STATES)
        self.kind, self.customer = asks.words(asked, "type"), asks.words(asked, "customer")
        conditions = [
            *([SQL("source = %(source)s")] if self.source else []),
            *([SQL(_CONDITIONS[self.which])] if self.which else []),
            *([SQL("starts_with(type, %(kind)s)")] if self.kind else []),
            *([SQL("customer = %(customer)s")] if self.customer else []),
        ]
        source = _ALL + SQL(" where ") + SQL(" and ").join(conditions) if conditions else _ALL
        values = {"source": self.source, "kind": self.kind, "customer": self.customer}
        found = await paging.read(cursor, source, _LATEST_FIRST, asked, values)
        self.rows = [_row(one) for one in found.rows]
        self.newer, self.older = paging.ways(ROUTE, asked, found)


def state_of(event: Mapping[str, Any]) -> str:
    """How an event stands: one of `STATES`."""
    if event["handled_at"]:
        return "worked"
    return "failed" if event["error"] else "waiting"


def _row(event: Mapping[str, Any]) -> Row:
    state = state_of(event)
    return Row(
        f"{event['source']}-{event['id']}",
        [
            event["id"],
            SOURCES.get(event["source"], str(event["source"])),
            event["type"],
            STATES[state],
            str(event["tries"] or ""),
            when(event["received_at"]),
            event["error"] or "",
        ],
        href=f"{ONE}?{urlencode({'source': event['source'], 'id': event['id']})}",
        tone="bad" if state == "failed" else "",
    )


def events() -> rx.Component:
    """The list."""
    return console_page(
        EventsState,
        "Events",
        part(
            "What was told",
            filters(
                choice("Source", "source", EventsState.source, (("", "All"), *SOURCES.items())),
                choice("State", "state", EventsState.which, (("", "Any"), *STATES.items())),
                field("Type begins with", "type", EventsState.kind, type="search", auto_complete="off"),
                field("Customer at Stripe", "customer", EventsState.customer, type="search", auto_complete="off"),
                action=ROUTE,
            ),
            table(
                "Events, newest first",
                HEADINGS,
                EventsState.rows,
                empty=no_rows(
                    "Nothing was told yet.",
                    asked=(EventsState.source + EventsState.which + EventsState.kind + EventsState.customer) != "",
                    matches="No event matches.",
                    href=ROUTE,
                    everything="Show all events",
                ),
                numbers=("Tries",),
            ),
            pager(EventsState.newer, EventsState.older),
        ),
        here=ROUTE,
        lede="What Stripe and Resend told us. Those that were worked are kept for a month.",
    )


PAGES = [page(events, ROUTE, "Events", EventsState)]
