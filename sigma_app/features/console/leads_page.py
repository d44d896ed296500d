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
from sigma_app.core.words import counted
from sigma_app.features.console import asked as asks
from sigma_app.features.console import bulk, leads, paging, reasons
from sigma_app.features.console.bulk import Outlook, Wish
from sigma_app.features.console.deeds import Deeds, outcome, question
from sigma_app.features.console.leads import NO_SOURCE, STATUSES, LeadFilter
from sigma_app.features.console.parts import (
    PRIMARY,
    QUIET,
    Row,
    choice,
    console_page,
    field,
    filters,
    folded,
    no_rows,
    page,
    pager,
    part,
    table,
    when,
)
from sigma_app.features.console.runs import RunsState, earlier_runs, runs
from sigma_app.features.console.service import NothingToDo, reading
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
GO_ON = "go on"
_ACTIONS = (
    ("", "Choose …"),
    ("invite", "Invite"),
    ("flag", "Flag"),
    ("unflag", "Take the flag away"),
    ("erase", "Erase"),
)
_WILL_BE = {"invite": "be invited", "flag": "be flagged", "unflag": "have no flag any more", "erase": "be erased"}
_ERASING = (
    " They go with their places, links, consents and mails, and that cannot be undone. Accounts stay. The audit log"
    " keeps that you erased them, and their ids: no address."
)


class LeadsState(ConsolePage, Deeds, SessionState):
    """A page of the list, what it was asked for, and what is proposed to be done.

    `mistake` is what was wrong with what was asked for, `said` with what was chosen; `fresh` how many have come
    or changed since the list was read; `filtered` by how much more than an address the list is filtered; `begun` how
    many runs were, after each of which nobody is picked any more.
    """

    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    total: str = ""
    everybody: str = ""
    newer: str = ""
    older: str = ""
    fresh: str = ""
    here: str = ROUTE
    mistake: str = ""
    said: str = ""
    q: str = ""
    status: str = ""
    source: str = ""
    since: str = ""
    until: str = ""
    flagged: bool = False
    file: str = ""
    sources: list[str] = []  # noqa: RUF012 - a Var, copied for each state
    filtered: int = 0

    proposal: str = ""
    begun: int = 0

    _wanted: LeadFilter | None = None
    _wish: Wish | None = None
    _outlook: Outlook | None = None
    _seen: datetime | None = None

    _topics = frozenset({"leads"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self._forget_wish()  # what was asked about another list is not meant for this one
        sources = [NO_SOURCE, *await leads.sources(cursor)]
        try:
            wanted = await leads.as_spelt(cursor, LeadFilter.read(asked), sources)
        except NotLikeThat as error:  # what was typed stays, and nobody is shown who was not asked for
            self.mistake, self._wanted, self.rows = str(error), None, []
            self._fill_in({name: asks.words(asked, name) for name in LeadFilter.__slots__})
            self.said = self.fresh = self.total = self.everybody = self.newer = self.older = ""
            return
        statement, values = leads.listing(wanted)
        found = await paging.read(cursor, statement, wanted.key, asked, values)
        total = await leads.count(cursor, wanted)
        self._seen = await leads.now(cursor)
        # Only now: what cannot be read leaves the list of before, and nothing that says it was another.
        self._wanted, self.sources, self.here = wanted, sources, paging.address(ROUTE, asked)
        self._fill_in(wanted.as_query())
        self.mistake = self.said = self.fresh = ""
        self.rows = [_row(one) for one in found.rows]
        self.newer, self.older = paging.ways(ROUTE, asked, found)
        self.total = f"{total} {'lead' if total.number == 1 else 'leads'}"
        if wanted.file:
            self.total += " of one imported file"
        self.everybody = f"All {total} of this list, on every page"

    def _fill_in(self, asked: Mapping[str, str]) -> None:
        """Have the form say what is asked for."""
        self.q, self.status, self.source = (asked.get(name, "") for name in ("q", "status", "source"))
        self.since, self.until, self.file = (asked.get(name, "") for name in ("since", "until", "file"))
        self.flagged = bool(asked.get("flagged"))
        self.filtered = sum(bool(asked.get(name)) for name in LeadFilter.__slots__ if name != "q")

    def _forget_wish(self) -> None:
        self._wish, self._outlook, self.proposal = None, None, ""
        if self.asking in bulk.ACTIONS:
            self.asking = self.mistyped = ""

    async def _read_again(
        self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session, changed: frozenset[str]
    ) -> None:
        """Say how many came or changed, and leave the rows where they are: somebody may be about to pick one."""
        if self._seen and self._wanted:
            more = await leads.fresh(cursor, self._wanted, self._seen)
            now = {str(lead["id"]): _row(lead) for lead in await leads.these(cursor, [row.id for row in self.rows])}
            other = sum(now.get(row.id) != row for row in self.rows)
            news = [*([f"{more:,} more"] if more else []), *([f"{other:,} of these changed"] if other else [])]
            self.fresh = f"{', '.join(news)} since then. Show" if news else ""

    @rx.event
    async def propose(self, form_data: dict[str, Any]):
        """Say what would be done to those that were picked, and to whom not, before it is."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        self.said = self.outcome = self.refusal = ""
        self._forget_wish()
        try:
            session = await self._signed_in()
            if session is None or self._wanted is None:
                return
            wish = _wish(fields, self._wanted)
            async with reading(session) as cursor:
                outlook = await bulk.outlook(cursor, wish)
        except SigmaError as error:
            self.said = str(error)
            return
        self.proposal = _proposed(wish, outlook)
        if outlook.will_do or outlook.more:
            self._wish, self._outlook, self.asking = wish, outlook, wish.action
        else:
            self.said, self.proposal = self.proposal, ""

    @rx.event
    async def start(self):
        """Have done what was proposed."""
        if self._wish is None or self._wish.action == "erase":  # a second click, or a client that asks for no word
            return
        async for _ in self._do(self._wish.action, self._begin):
            yield

    @rx.event
    async def erase(self, form_data: dict[str, Any]):
        """Have those erased who were proposed to be, once the word was typed."""
        if self._wish is None or self._wish.action != "erase" or not self._means(form_data, "erase"):
            return
        async for _ in self._do("erase", self._begin):
            yield

    async def _begin(self, session: Session) -> str:
        if self._wish is None or self._outlook is None:
            raise NothingToDo
        await bulk.begin(session, self._wish, self._outlook)
        self._wish = None
        self.begun += 1  # nobody is picked for the next deed because of this one
        return f"Asked for. It begins {bulk.GRACE.seconds} seconds later; how far it is stands below."

    @rx.event
    async def forget_proposal(self):
        """Do nothing of it."""
        self._forget_wish()


def _proposed(wish: Wish, outlook: Outlook) -> str:
    """What would be done to how many, and how many are passed over and why."""
    many = outlook.will_do
    picked = others = ""
    if outlook.more:
        number = f"{outlook.about}"
        picked = f"{number[0].upper()}{number[1:]} leads were picked. Of the first {outlook.judged:,}, "
        others = " The others follow in the same way; for whom it was not done is told then."
    who = counted(many, "lead") if many else "nobody" if picked else "Nobody"
    named = f": {', '.join(outlook.names)}" if outlook.names else ""
    passed = sum(outlook.passed.values())
    over = f"{'.' if named else ','} {passed:,} will be passed over: {reasons.told(outlook.passed)}" if passed else ""
    replaced = ""
    if wish.action == "flag" and outlook.flagged:
        have = "has" if outlook.flagged == 1 else "have"
        replaced = f" {outlook.flagged:,} of them {have} a flag, which this one replaces."
    erasing = _ERASING if wish.action == "erase" and (many or outlook.more) else ""
    return f"{picked}{who} will {_WILL_BE[wish.action]}{named}{over}.{replaced}{others}{erasing}"


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
        part("", _filters(), _summary(), _list(), pager(LeadsState.newer, LeadsState.older), earlier_runs()),
        part("In and out", _in_and_out()),
        here=ROUTE,
        script=Path(__file__).parent / "pick.js",
    )


def _filters() -> rx.Component:
    source = field(f"Source, or {NO_SOURCE}", "source", LeadsState.source, auto_complete="off", list="sources")
    return rx.fragment(
        rx.cond(LeadsState.mistake != "", rx.el.p(LeadsState.mistake, role="alert", class_name="said")),
        rx.el.datalist(
            rx.foreach(LeadsState.sources, lambda one: rx.el.option(value=one, key=one)), custom_attrs={"id": "sources"}
        ),
        filters(
            field("Address begins with", "q", LeadsState.q, type="search", auto_complete="off", spell_check=False),
            rx.cond(LeadsState.file != "", rx.el.input(type="hidden", name="file", value=LeadsState.file)),
            folded(
                LeadsState.filtered,
                choice("Status", "status", LeadsState.status, (("", "any"), *((one, one) for one in STATUSES))),
                source,
                field("Joined from", "since", LeadsState.since, type="date"),
                field("to", "until", LeadsState.until, type="date"),
                rx.el.label(
                    rx.el.input(type="checkbox", name="flagged", value="1", default_checked=LeadsState.flagged),
                    "Flagged",
                ),
                is_open=LeadsState.mistake != "",
            ),
            action=ROUTE,
        ),
    )


def _summary() -> rx.Component:
    return rx.el.div(
        rx.el.p(LeadsState.total, role="status"),
        rx.cond(LeadsState.fresh != "", link(LeadsState.fresh, href=LeadsState.here, class_name=QUIET)),
        class_name="console-bar",
    )


def _list() -> rx.Component:
    """The list, above it what can be done with those picked, which stays in sight as long as somebody is."""
    return rx.fragment(
        rx.el.div(
            rx.cond(LeadsState.rows.length() > 0, _with_those_picked()),  # pyright: ignore[reportAttributeAccessIssue] - a Var
            rx.el.p(LeadsState.said, role="alert", class_name="said", custom_attrs={"tabIndex": -1}),
            _question(),
            class_name="console-picked",
        ),
        outcome(LeadsState),
        runs(),
        rx.el.form(
            table(
                "Leads",
                HEADINGS,
                LeadsState.rows,
                empty=no_rows(
                    "Nobody is on the list yet. The first to join stands here.",
                    asked=(LeadsState.q != "") | (LeadsState.filtered > 0),
                    matches="Nobody matches.",
                    href=ROUTE,
                    everything="Show everybody",
                    mistake=LeadsState.mistake,
                ),
                pick=True,
                numbers=("Brought",),
            ),
            on_submit=LeadsState.propose,
            custom_attrs={"id": "picked"},
            key=LeadsState.begun,
        ),
    )


def _with_those_picked() -> rx.Component:
    """Belongs to the form of the list, by `form`, wherever it stands."""
    of_the_list: dict[str, Any] = {"custom_attrs": {"form": "picked"}}
    return rx.el.div(
        rx.el.label(rx.el.input(type="checkbox", name="everybody", **of_the_list), LeadsState.everybody),
        choice("With those picked", "action", "", _ACTIONS, **of_the_list),
        rx.el.div(
            field("Why (for a flag)", "reason", "", max_length=bulk.LONGEST_REASON, **of_the_list),
            class_name="console-why",
        ),
        rx.el.button("Go on", type="submit", class_name=QUIET, custom_attrs={"form": "picked", "data-deed": GO_ON}),
        rx.el.p("By the keyboard: Return on a ticked row leads here.", class_name="fine-print console-hint"),
        key=LeadsState.begun,
        class_name="console-bar",
    )


def _question() -> rx.Component:
    """What is about to happen, and the question whether it should."""
    return rx.cond(
        LeadsState.asking == "erase",
        question(
            LeadsState,
            GO_ON,
            "Erase those picked?",
            LeadsState.proposal,
            LeadsState.erase,
            yes="Erase them",
            leave=LeadsState.forget_proposal,
            look=ALARM,
            word="erase",
        ),
        rx.cond(
            LeadsState.asking != "",
            question(
                LeadsState,
                GO_ON,
                "Do it to those picked?",
                LeadsState.proposal,
                LeadsState.start,
                yes="Do it",
                leave=LeadsState.forget_proposal,
                look=PRIMARY,
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
            ("file", LeadsState.file),
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
