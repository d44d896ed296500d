"""/admin/lead?id=…: one lead's whole story, and what can be done for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL

from sigma_app.features.console import asked as asks
from sigma_app.features.console import bulk, reasons, story
from sigma_app.features.console.bulk import Wish
from sigma_app.features.console.deeds import Deeds, asking, button, outcome
from sigma_app.features.console.leads import LeadFilter
from sigma_app.features.console.parts import (
    QUIET,
    Fact,
    console_page,
    facts,
    field,
    page,
    part,
)
from sigma_app.features.console.service import NothingToDo, acting, reading
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.console.story import Happening
from sigma_app.features.waitlist import service as waitlist
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.link import link
from sigma_app.ui.parts import ALARM

ROUTE = "/admin/lead"
_ERASING = (
    "The entry, its place, links, consents and mails go for good. An account, if there is one, stays: “Everything"
    " about them” forgets the whole person. The audit log keeps that you erased it, and its id: no address."
)


class LeadState(ConsolePage, Deeds, SessionState):
    """What is known of one lead, what happened to it, and why it is not invited if it cannot be."""

    lead: str = ""
    address: str = ""
    flag: str = ""
    not_invited: str = ""
    known: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    story: list[Happening] = []  # noqa: RUF012 - a Var, copied for each state

    _topics = frozenset({"leads", "audit", "mail"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        lead = None
        if identity := asks.identity(asked):
            await cursor.execute(_LEAD, [identity])
            lead = await cursor.fetchone()
        if lead is None:
            self.lead = self.address = self.flag = self.not_invited = ""
            self.known, self.story = [], []
            return
        self.lead, self.address, self.flag = str(lead["id"]), lead["email"], lead["flag"] or ""
        self.not_invited = reasons.why_not_invited(lead)
        self.known = _known(lead)
        self.story = await story.read(cursor, lead)

    @rx.event
    async def invite(self):
        """Mail the invitation, wherever the lead stands in line."""
        async for _ in self._act("invite", "Invited. The mail is on its way.", asked=False):
            yield

    @rx.event
    async def set_flag(self, form_data: dict[str, Any]):
        """Flag it for a reason."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        async for _ in self._act("flag", "Flagged.", str(fields.get("reason", "")), asked=False):
            yield

    @rx.event
    async def take_flag(self):
        """Take the flag away."""
        async for _ in self._act("unflag", "It has no flag any more.", asked=False):
            yield

    @rx.event
    async def erase(self, form_data: dict[str, Any]):
        """Erase it, once the word was typed."""
        if not self._means(form_data, "erase"):
            return
        async for _ in self._act("erase", "Erased. Mails and events that name them go within minutes."):
            yield

    async def _act(self, action: str, done: str, reason: str = "", *, asked: bool = True) -> AsyncIterator[None]:
        async def do(session: Session) -> str:
            if not self.lead:
                raise NothingToDo(_NOT_DONE["erase"])
            await act_on(session, action, UUID(self.lead), reason)
            return done

        async for _ in self._do(action, do, asked=asked):
            yield


_NOT_DONE = {
    "invite": "They cannot be invited: something changed at that moment. Please try again.",
    "flag": "It has this flag already.",
    "unflag": "It has no flag.",
    "erase": "It is not on the list any more.",
}


async def act_on(session: Session, action: str, lead: UUID, reason: str = "") -> None:
    """Do to one lead what `Wish` knows as `action`, in an operator's name.

    Raises:
        NothingToDo: why it was not done, in words; then it is not on record either.
        NotAnOperator, NotLikeThat, DatabaseUnavailable: nothing was done.
    """
    wish = Wish.read(action, LeadFilter(), [lead], reason)
    try:
        async with acting(session, f"lead.{action}", lead) as transaction:
            if not await _carried_out(transaction, wish, lead):
                raise NothingToDo  # which takes back what was put on record
    except NothingToDo:
        raise NothingToDo(await _why_not(session, action, lead)) from None


async def _why_not(session: Session, action: str, lead: UUID) -> str:
    """Why nothing was done, in words."""
    async with reading(session) as cursor:
        await cursor.execute(_LEAD, [lead])
        found = await cursor.fetchone()
    if found is None:
        return _NOT_DONE["erase"]
    return (reasons.why_not_invited(found) if action == "invite" else "") or _NOT_DONE[action]


async def _carried_out(transaction: Any, wish: Wish, lead: UUID) -> bool:
    match wish.action:
        case "invite":
            return await bulk.invite(transaction, lead)
        case "erase":
            return bool(await waitlist.erase(transaction, [lead]))
        case _:
            changed, _ = await waitlist.flag(transaction, lead, wish.reason or None)
            return changed


_LEAD = SQL("""
select lead.*, {}, sigma.place(lead.id) as place, brought_by.id as brought_by, brought_by.email as brought_by_email,
  account.id as account
from public.leads as lead
left join public.leads as brought_by on brought_by.share_code = lead.referral_code
left join sigma.accounts as account on account.email = lower(lead.email)
where lead.id = %s
""").format(reasons.KNOWN_OF_ONE)


def _known(lead: Mapping[str, Any]) -> list[Fact]:
    campaign = " / ".join(filter(None, (lead[f"utm_{name}"] for name in ("source", "medium", "campaign"))))
    brought_by = f"/admin/lead?id={lead['brought_by']}" if lead["brought_by"] else ""
    known = [
        Fact("Status", lead["status"]),
        Fact("Place in line", f"{lead['place']:,}" if lead["place"] else "does not wait"),
        Fact("Flag", lead["flag"] or "none"),
        Fact("Came from", campaign or "no campaign"),
        Fact("Referrer", lead["referrer"] or "none"),
        Fact("First page", lead["landing_path"] or "unknown"),
        Fact("Brought by", lead["brought_by_email"] or lead["referral_code"] or "nobody", brought_by),
        Fact("Has brought", f"{lead['referrals'] or 0:,}"),
        Fact("Throw-away address", {True: "yes", False: "no", None: "not known to be one"}[lead["disposable"]]),
    ]
    known.append(Fact("Everything about them", "export it, or forget them", f"/admin/person?lead={lead['id']}"))
    if lead["account"]:
        known.append(Fact("Account", "there is one", f"/admin/user?id={lead['account']}"))
    return known


def lead_page() -> rx.Component:
    """One lead."""
    return console_page(
        LeadState,
        rx.cond(LeadState.address != "", LeadState.address, "Nobody here"),
        outcome(LeadState),
        rx.cond(
            LeadState.lead != "",
            rx.fragment(
                part("What is known", facts(LeadState.known)),
                part("What to do", _acts()),
                part("What happened", story.told(LeadState.story), intro="The latest first; times are in UTC."),
            ),
            part("", rx.el.p("There is no such lead. It may have been erased.", class_name="console-empty")),
        ),
        here="/admin/leads",
        of_one=True,
        lede=link("All leads", href="/admin/leads"),
    )


def _acts() -> rx.Component:
    return rx.el.div(
        rx.cond(
            LeadState.not_invited != "",
            rx.el.p("Cannot be invited. ", LeadState.not_invited),
            button(LeadState, "invite", "Invite", LeadState.invite),
        ),
        rx.cond(
            LeadState.flag != "",
            button(LeadState, "unflag", "Take the flag away", LeadState.take_flag),
            rx.el.form(
                field("Why flag it", "reason", "", required=True, max_length=bulk.LONGEST_REASON),
                rx.el.button("Flag", type="submit", class_name=QUIET),
                on_submit=LeadState.set_flag,
                reset_on_submit=True,
                class_name="console-bar",
            ),
        ),
        asking(LeadState, "erase", "Erase …", _ERASING, LeadState.erase, yes="Erase", look=ALARM, word="erase"),
        class_name="console-acts",
    )


PAGES = [page(lead_page, ROUTE, "Lead", LeadState)]
