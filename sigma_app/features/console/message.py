"""/admin/message: one mail: to whom, why, and what became of it when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.features.console import asked as asks
from sigma_app.features.console import mail_words
from sigma_app.features.console.events import ONE as EVENT
from sigma_app.features.console.mail import ONE, STATES
from sigma_app.features.console.mail import ROUTE as LIST
from sigma_app.features.console.parts import Fact, Row, console_page, facts, nothing_here, page, part, table, when
from sigma_app.features.console.state import ConsolePage
from sigma_app.gateways import mail as gateway
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.settings import get_settings

EVENTS = ("Event", "Type", "Received (UTC)")
_TIMES = {
    "queued_at": "Queued",
    "delayed_at": "Delayed last",
    "withheld_at": "Withheld",
    "refused_at": "Refused",
    "sent_at": "Sent",
    "delivered_at": "Delivered",
    "bounced_at": "Bounced",
    "complained_at": "Called spam",
}
_RESEND_TELLS = ("delivered_at", "bounced_at", "complained_at")


class MessageState(ConsolePage, SessionState):
    """One mail. `found` is whether there is one by the id in the address."""

    found: bool = False
    name: str = ""
    about: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    events: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    mailbox: bool = False

    _topics = frozenset({"mail", "events"})
    _message: dict[str, Any] | None = None  # as it was read

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        await cursor.execute(_ONE, [asks.identity(asked)])
        self._message = message = await cursor.fetchone()
        self.found = message is not None
        self.name, self.about, self.events = "", [], []
        if message is None:
            return
        self.name, self.about = message["recipient"], _about(message)
        await cursor.execute(_EVENTS, [message["provider_id"]])
        self.events = [
            Row(
                one["id"],
                [one["id"], one["type"], when(one["received_at"])],
                href=f"{EVENT}?{urlencode({'source': 'resend', 'id': one['id']})}",
            )
            for one in await cursor.fetchall()
        ]

    async def _read_besides(self) -> None:
        if message := self._message:
            self.mailbox = await gateway.is_kept(message["provider_id"] or "")
            self.about = [*self.about, _went_to(message, kept=self.mailbox, told=bool(self.events))]


def _about(message: Mapping[str, Any]) -> list[Fact]:
    known = [
        Fact("What", mail_words.named(message["kind"])),
        Fact("In the code", message["kind"]),
        Fact("State", STATES.get(message["state"], str(message["state"]))),
        *(Fact(words, f"{when(message[name])} UTC") for name, words in _TIMES.items() if message[name]),
        Fact("Tries", str(message["tries"])),
    ]
    if message["note"]:
        known.append(Fact("Note", message["note"]))
    known += [Fact("Cause", message["key"]), Fact("The provider's id", message["provider_id"] or "none yet")]
    if message["user_id"]:
        known.append(Fact("Whose", message["recipient"], f"/admin/user?id={message['user_id']}"))
    if message["lead_id"]:
        known.append(Fact("On the list", "their place and story", f"/admin/lead?id={message['lead_id']}"))
    known.append(Fact("Gets mail", "no" if message["suppressed"] else "yes", f"{LIST}?message={message['id']}"))
    return known


def _went_to(message: Mapping[str, Any], *, kept: bool, told: bool) -> Fact:
    """Where it was handed over, as far as that can be proved: Sigma may send by Resend today, and may have kept its
    mails itself yesterday.

    Args:
        message: as it was read.
        kept: whether the mailbox has it.
        told: whether events of it are still kept; all are Resend's.
    """
    if message["sent_at"] is None:
        return Fact("Went to", "nowhere yet")
    if kept:
        shown = gateway.has_mailbox(get_settings())
        return Fact("Went to", "the mailbox of this Sigma, and no further", gateway.MAILBOX if shown else "")
    if told or any(message[name] for name in _RESEND_TELLS):
        return Fact("Went to", "Resend")
    if get_settings().is_hosted("mail"):
        return Fact("Went to", "Resend, if mail was set up then as it is now: nothing was told of it")
    return Fact("Went to", "not known any more: Resend, or a mailbox")


_ONE = """
select message.*, exists (select from sigma.suppressions where digest = message.digest) as suppressed,
  (select id from sigma.accounts where lower(email) = lower(message.recipient) limit 1) as user_id,
  (select id from sigma.leads_by_address where address = lower(message.recipient)) as lead_id
from sigma.messages as message where message.id = %s
"""
_EVENTS = """
select id, type, received_at from sigma.webhook_events
where source = 'resend' and body #>> '{data,email_id}' = %s order by received_at desc, id limit 50
"""


def message() -> rx.Component:
    """One mail."""
    return console_page(
        MessageState,
        "Message",
        rx.cond(
            MessageState.found,
            rx.el.div(
                part(MessageState.name, facts(MessageState.about)),
                part(
                    "What was told of it",
                    table("Events of this mail", EVENTS, MessageState.events, empty="Nothing so far."),
                    rx.el.p(
                        rx.cond(
                            MessageState.mailbox,
                            "It is in the mailbox, which tells nothing of its mails.",
                            "By Resend, where its webhook is set up; events are kept for a month. "
                            "A mailbox tells nothing.",
                        ),
                        class_name="fine-print",
                    ),
                ),
            ),
            nothing_here("There is no such mail, or it was forgotten: they are kept for 90 days.", LIST, "All mail"),
        ),
        here=LIST,
        of_one=True,
    )


PAGES = [page(message, ONE, "Message", MessageState)]
