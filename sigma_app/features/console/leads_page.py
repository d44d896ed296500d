"""/admin/leads: the list, whatever its length: looked through, exported, and acted on, one or many at once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import NotLikeThat, SigmaError
from sigma_app.features.console import bulk, leads, paging
from sigma_app.features.console.bulk import Wish
from sigma_app.features.console.leads import NO_SOURCE, STATUSES, LeadFilter
from sigma_app.features.console.parts import (
    PRIMARY,
    QUIET,
    Row,
    choice,
    console_page,
    field,
    filters,
    page,
    pager,
    part,
    table,
    when,
)
from sigma_app.features.console.runs import RunsState, runs
from sigma_app.features.console.service import reading
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.form import plain_form
from sigma_app.ui.link import link
from sigma_app.ui.parts import ALARM

ROUTE = "/admin/leads"
EXPORT = "/admin/leads.csv"
IMPORT = "/admin/leads/import"
HEADINGS = ("Address", "Joined (UTC)", "Status", "Source", "Brought", "Flag")
PICK = "pick-"
_ACTIONS = (
    ("", "Choose …"),
    ("invite", "Invite"),
    ("flag", "Flag"),
    ("unflag", "Take the flag away"),
    ("erase", "Erase"),
)
_PROPOSALS = {
    "invite": "will be invited. Those who have not confirmed, have left, or are invited already, are passed over.",
    "flag": "will be flagged.",
    "unflag": "will have no flag any more.",
    "erase": "will be erased, with their links, consents and mails. That cannot be undone. Accounts stay.",
}


class LeadsState(ConsolePage, SessionState):
    """A page of the list, what it was asked for, and what is proposed to be done.

    `said` is what was wrong with what was asked or chosen; `fresh` how many have come since the list was read.
    """

    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    total: str = ""
    everybody: str = ""
    newer: str = ""
    older: str = ""
    fresh: str = ""
    here: str = ROUTE
    said: str = ""
    q: str = ""
    status: str = ""
    source: str = ""
    since: str = ""
    until: str = ""
    flagged: bool = False

    action: str = ""
    proposal: str = ""

    _wish: Wish | None = None
    _seen: datetime | None = None

    _topics = frozenset({"leads"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.said = ""
        self._wish, self.proposal = None, ""  # what was asked about another list is not meant for this one
        try:
            wanted = LeadFilter.read(asked)
        except NotLikeThat as error:
            self.said, wanted = str(error), LeadFilter()
        statement, values = leads.listing(wanted)
        found = await paging.read(cursor, statement, wanted.key, asked, values)
        total = await leads.count(cursor, wanted)
        self.rows = [_row(one) for one in found.rows]
        self.newer, self.older = paging.ways(ROUTE, asked, found)
        self.total = f"{total} {'lead' if total.number == 1 else 'leads'}"
        self.everybody = f"All {total} of this list, on every page"
        self.q, self.status, self.source = wanted.q, wanted.status, wanted.source
        self.since, self.until, self.flagged = wanted.since, wanted.until, bool(wanted.flagged)
        self.here = paging.address(ROUTE, asked)
        self.fresh = ""
        await cursor.execute("select now() as now")
        self._seen = (await cursor.fetchone() or {}).get("now")

    async def _read_again(
        self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session
    ) -> None:
        """Say how many came, and leave the rows where they are: somebody may be about to pick one."""
        if self._seen:
            with suppress(NotLikeThat):
                count = await leads.fresh(cursor, LeadFilter.read(asked), self._seen)
                self.fresh = f"{count:,} more since then. Show" if count else ""

    @rx.event
    async def propose(self, form_data: dict[str, Any]):
        """Say what would be done to those that were picked, before it is."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        self.said, self.proposal, self._wish = "", "", None
        try:
            session = await self._signed_in()
            if session is None:
                return
            wish = _wish(fields, LeadFilter.read(self.router.url.query_parameters))
            async with reading(session) as cursor:
                count = await bulk.how_many(cursor, wish)
        except SigmaError as error:
            self.said = str(error)
            return
        self._wish, self.action = wish, wish.action
        self.proposal = f"{count} {'lead' if count.number == 1 else 'leads'} {_PROPOSALS[wish.action]}"

    @rx.event
    async def start(self, form_data: dict[str, Any]):
        """Have done what was proposed."""
        fields = form_data if isinstance(form_data, dict) else {}
        wish, self.said = self._wish, ""
        if wish is None:  # a second click
            return
        if wish.action == "erase" and str(fields.get("word", "")).strip().lower() != "erase":
            self.said = "Type the word erase to go on."
            return
        try:
            session = await self._signed_in()
            if session is None:
                return
            async with reading(session) as cursor:
                count = await bulk.how_many(cursor, wish)
            await bulk.begin(session, wish, count)
        except SigmaError as error:
            self.said = str(error)
            return
        self._wish, self.proposal = None, ""

    @rx.event
    async def forget_proposal(self):
        """Do nothing of it."""
        self._wish, self.proposal, self.said = None, "", ""


def _wish(fields: Mapping[str, Any], wanted: LeadFilter) -> Wish:
    """What a form asks for, of a page that shows `wanted`.

    Raises:
        NotLikeThat: nobody was picked, or what is to be done was not said.
    """
    ids: list[UUID] = []
    for name in fields:
        if name.startswith(PICK):
            with suppress(ValueError):
                ids.append(UUID(name.removeprefix(PICK)))
    if not ids and not fields.get("everybody"):
        raise NotLikeThat("Pick somebody first.")
    picked = () if fields.get("everybody") else ids
    return Wish.read(str(fields.get("action", "")), wanted, picked, str(fields.get("reason", "")))


def _row(lead: Mapping[str, Any]) -> Row:
    return Row(
        str(lead["id"]),
        [
            lead["email"],
            when(lead["created_at"]),
            lead["status"],
            lead["utm_source"] or "",
            str(lead["referrals"] or ""),
            lead["flag"] or "",
        ],
        href=f"/admin/lead?id={lead['id']}",
        tone="over" if lead["status"] == "unsubscribed" else "",
    )


def leads_page() -> rx.Component:
    """The list of leads."""
    return console_page(
        LeadsState,
        "Leads",
        part("", _filters(), _summary(), _list(), _proposal(), runs(), pager(LeadsState.newer, LeadsState.older)),
        part("In and out", _in_and_out()),
        here=ROUTE,
        script=Path(__file__).parent / "pick.js",
    )


def _filters() -> rx.Component:
    return filters(
        field("Address begins with", "q", LeadsState.q, type="search", auto_complete="off", spell_check=False),
        choice("Status", "status", LeadsState.status, (("", "any"), *((one, one) for one in STATUSES))),
        field(f"Source, or {NO_SOURCE}", "source", LeadsState.source, auto_complete="off"),
        field("Joined from", "since", LeadsState.since, type="date"),
        field("to", "until", LeadsState.until, type="date"),
        rx.el.label(
            rx.el.input(type="checkbox", name="flagged", value="1", default_checked=LeadsState.flagged), "Flagged"
        ),
        action=ROUTE,
    )


def _summary() -> rx.Component:
    return rx.el.div(
        rx.el.p(LeadsState.total, role="status"),
        rx.cond(LeadsState.fresh != "", link(LeadsState.fresh, href=LeadsState.here, class_name=QUIET)),
        class_name="console-bar",
    )


def _list() -> rx.Component:
    return rx.el.form(
        table(
            "Leads",
            HEADINGS,
            LeadsState.rows,
            empty="Nobody here. Ask for less, or wait for the first to join.",
            pick=True,
            numbers=("Brought",),
        ),
        rx.cond(
            LeadsState.rows.length() > 0,  # pyright: ignore[reportAttributeAccessIssue] - a Var
            rx.el.div(
                rx.el.label(rx.el.input(type="checkbox", name="everybody"), LeadsState.everybody),
                choice("With those picked", "action", "", _ACTIONS),
                field("Why (for a flag)", "reason", "", max_length=bulk.LONGEST_REASON),
                rx.el.button("Go on", type="submit", class_name=QUIET),
                class_name="console-bar",
            ),
        ),
        on_submit=LeadsState.propose,
    )


def _proposal() -> rx.Component:
    """What is about to happen, and the question whether it should."""
    return rx.fragment(
        rx.el.p(LeadsState.said, role="alert", class_name="said"),
        rx.cond(
            LeadsState.proposal != "",
            rx.el.form(
                rx.el.p(LeadsState.proposal, role="status"),
                rx.cond(
                    LeadsState.action == "erase",
                    field("Type “erase” to go on", "word", "", auto_complete="off"),
                ),
                rx.el.div(
                    rx.cond(
                        LeadsState.action == "erase",
                        rx.el.button("Erase them", type="submit", class_name=ALARM),
                        rx.el.button("Do it", type="submit", class_name=PRIMARY),
                    ),
                    rx.el.button("Leave it", type="button", on_click=LeadsState.forget_proposal, class_name=QUIET),
                    class_name="console-actions",
                ),
                on_submit=LeadsState.start,
                class_name="console-run",
            ),
        ),
    )


def _in_and_out() -> rx.Component:
    """The list as a file, and a file as a list."""
    hidden = [
        rx.el.input(type="hidden", name=name, value=value)
        for name, value in (
            ("q", LeadsState.q),
            ("status", LeadsState.status),
            ("source", LeadsState.source),
            ("since", LeadsState.since),
            ("until", LeadsState.until),
            ("flagged", rx.cond(LeadsState.flagged, "1", "")),
        )
    ]
    return rx.el.div(
        plain_form(
            *hidden,
            rx.el.button("Download this list (CSV)", type="submit", class_name=QUIET),
            action=EXPORT,
        ),
        link("Import a file …", href=IMPORT, class_name=QUIET),
        class_name="console-actions",
    )


PAGES = [page(leads_page, ROUTE, "Leads", LeadsState) | {"on_load": [LeadsState.load, RunsState.load]}]
