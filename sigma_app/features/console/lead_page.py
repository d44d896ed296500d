"""/admin/lead?id=…: one lead's whole story, and what can be done for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import SigmaError
from sigma_app.features.console import asked as asks
from sigma_app.features.console import bulk
from sigma_app.features.console.bulk import Wish
from sigma_app.features.console.leads import LeadFilter
from sigma_app.features.console.parts import (
    PRIMARY,
    QUIET,
    Fact,
    Row,
    console_page,
    facts,
    field,
    page,
    part,
    table,
    when,
)
from sigma_app.features.console.service import NothingToDo, acting
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.waitlist import service as waitlist
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.link import link
from sigma_app.ui.parts import ALARM

ROUTE = "/admin/lead"
_PURPOSES = {
    "confirm": "the question to confirm",
    "place": "the way to their place",
    "invite": "an invitation",
    "remind": "a reminder of it",
    "erase": "the question whether to erase",
}


class LeadState(ConsolePage, SessionState):
    """What is known of one lead, what happened to it, and what became of the last thing that was done."""

    lead: str = ""
    address: str = ""
    flag: str = ""
    known: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    story: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    erasing: bool = False
    said: str = ""

    _topics = frozenset({"leads", "audit"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        lead = None
        if identity := asks.identity(asked):
            await cursor.execute(_LEAD, [identity])
            lead = await cursor.fetchone()
        if lead is None:
            self.lead = self.address = self.flag = ""
            self.known, self.story, self.erasing = [], [], False
            return
        await cursor.execute(_STORY, {"id": lead["id"], "as_text": str(lead["id"])})
        rows = await cursor.fetchall()
        self.lead, self.address, self.flag = str(lead["id"]), lead["email"], lead["flag"] or ""
        self.known = _known(lead)
        self.story = _story(lead, rows)

    @rx.event
    async def invite(self):
        """Mail the invitation, wherever the lead stands in line."""
        await self._do(
            "invite", "Invited. The mail is on its way.", "An invitation is good still, or none may be sent."
        )

    @rx.event
    async def set_flag(self, form_data: dict[str, Any]):
        """Flag it for a reason."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        await self._do("flag", "Flagged.", "It has that flag.", str(fields.get("reason", "")))

    @rx.event
    async def take_flag(self):
        """Take the flag away."""
        await self._do("unflag", "It has no flag any more.", "It has none.")

    @rx.event
    async def ask_erase(self):
        """Ask before something that cannot be undone."""
        self.erasing = not self.erasing
        self.said = ""

    @rx.event
    async def erase(self, form_data: dict[str, Any]):
        """Erase it, once the word was typed."""
        fields = form_data if isinstance(form_data, dict) else {}
        if str(fields.get("word", "")).strip().lower() != "erase":
            self.said = "Type the word erase to go on."
            return
        await self._do("erase", "Erased. Mails and events that name them go within minutes.", "It is gone already.")

    async def _do(self, action: str, done: str, not_done: str, reason: str = "") -> None:
        try:
            session = await self._signed_in()
            if session is None or not self.lead:
                return
            lead = UUID(self.lead)
            wish = Wish.read(action, LeadFilter(), [lead], reason)
            async with acting(session, f"lead.{action}", lead) as transaction:
                if not await _carried_out(transaction, wish, lead):
                    raise NothingToDo  # which takes what was put on record back
            self.said, self.erasing = done, False
        except NothingToDo:
            self.said, self.erasing = not_done, False
        except SigmaError as error:
            self.said = str(error)
            return
        await self._show()


async def _carried_out(transaction: Any, wish: Wish, lead: UUID) -> bool:
    match wish.action:
        case "invite":
            return await waitlist.invite(transaction, lead)
        case "erase":
            return await waitlist.erase(transaction, lead)
        case _:
            changed, _ = await waitlist.flag(transaction, lead, wish.reason or None)
            return changed


_LEAD = """
select lead.*, sigma.place(lead.id) as place, brought_by.id as brought_by, brought_by.email as brought_by_email,
  account.id as account
from public.leads as lead
left join public.leads as brought_by on brought_by.share_code = lead.referral_code
left join sigma.accounts as account on account.email = lower(lead.email)
where lead.id = %s
"""
_STORY = """
select given_at as at, 'agreed' as what, format('%%s, by the %%s', version, source) as more from sigma.consents
  where lead_id = %(id)s
union all select created_at, 'asked for', purpose from sigma.lead_links where lead_id = %(id)s
union all select written_at, 'mailed', purpose from sigma.lead_links where lead_id = %(id)s and written_at is not null
union all select used_at, 'used', purpose from sigma.lead_links where lead_id = %(id)s and used_at is not null
union all select at, action, format('by %%s', operator_name) from sigma.audit_log
  where subject = %(as_text)s or (detail ? 'leads' and detail -> 'leads' ? %(as_text)s)
"""


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
    known.append(Fact("Everything about them", "to take along, or to forget", f"/admin/person?lead={lead['id']}"))
    if lead["account"]:
        known.append(Fact("Account", "there is one", f"/admin/user?id={lead['account']}"))
    return known


def _story(lead: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[Row]:
    """Everything that happened, the latest first."""
    steps = {
        "created_at": "joined",
        "confirmed_at": "confirmed",
        "invited_at": "was invited",
        "reminded_at": "was reminded",
        "signed_up_at": "signed up",
        "customer_at": "became a customer",
        "unsubscribed_at": "unsubscribed",
    }
    happened: list[tuple[datetime, str, Any]] = [
        (lead[column], words, "") for column, words in steps.items() if lead[column]
    ]
    happened += [(row["at"], row["what"], _PURPOSES.get(row["more"]) or row["more"]) for row in rows]
    happened.sort(key=lambda one: one[0], reverse=True)
    return [Row(str(index), [when(at), what, more]) for index, (at, what, more) in enumerate(happened)]


def lead_page() -> rx.Component:
    """One lead."""
    return console_page(
        LeadState,
        rx.cond(LeadState.address != "", LeadState.address, "Nobody here"),
        rx.cond(
            LeadState.lead != "",
            rx.fragment(
                part("What is known", facts(LeadState.known)),
                part("What to do", _acts(), rx.el.p(LeadState.said, role="status", class_name="said")),
                part(
                    "What happened",
                    table("What happened, latest first", ("When (UTC)", "What", "More"), LeadState.story, empty=""),
                ),
            ),
            part(
                "",
                rx.el.p(LeadState.said, role="status", class_name="said"),
                rx.el.p("There is no such lead. It may have been erased.", class_name="console-empty"),
            ),
        ),
        here="/admin/leads",
        lede=link("All leads", href="/admin/leads"),
    )


def _acts() -> rx.Component:
    return rx.el.div(
        rx.el.button("Invite", type="button", on_click=LeadState.invite, class_name=QUIET),
        rx.cond(
            LeadState.flag != "",
            rx.el.button("Take the flag away", type="button", on_click=LeadState.take_flag, class_name=QUIET),
            rx.el.form(
                field("Why flag it", "reason", "", required=True, max_length=bulk.LONGEST_REASON),
                rx.el.button("Flag", type="submit", class_name=QUIET),
                on_submit=LeadState.set_flag,
                reset_on_submit=True,
                class_name="console-bar",
            ),
        ),
        rx.el.button("Erase …", type="button", on_click=LeadState.ask_erase, class_name=QUIET),
        rx.cond(
            LeadState.erasing,
            rx.el.form(
                rx.el.p(
                    "The entry, its place, links, consents and mails go for good. An account, if there is one, stays:"
                    " it is deleted under Users."
                ),
                field("Type “erase” to go on", "word", "", auto_complete="off"),
                rx.el.div(
                    rx.el.button("Erase", type="submit", class_name=ALARM),
                    rx.el.button("Leave it", type="button", on_click=LeadState.ask_erase, class_name=PRIMARY),
                    class_name="console-actions",
                ),
                on_submit=LeadState.erase,
                class_name="console-run",
            ),
        ),
        class_name="console-acts",
    )


PAGES = [page(lead_page, ROUTE, "Lead", LeadState)]
