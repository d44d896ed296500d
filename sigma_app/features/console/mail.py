"""/admin/mail: what was sent to whom and what became of it, the newest first; and who gets no mail.

Other pages ask for the mails of an account, or about the address of a mail, by its id, `?user=` and `?message=`:
servers and browsers keep the address of a page, which somebody's should not stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL, Composed

from sigma_app.core.addresses import address_digest
from sigma_app.features.console import asked as asks
from sigma_app.features.console import mail_words, paging
from sigma_app.features.console.deeds import Deeds, asking, outcome
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
from sigma_app.features.console.service import NothingToDo, acting
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.mail import service as mails
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways.mail import MAILBOX, has_mailbox
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.settings import get_settings
from sigma_app.ui.link import link

ROUTE = "/admin/mail"
ONE = "/admin/message"
BY_HAND = "by hand"
HEADINGS = ("To", "What", "State", "Tries", "Queued (UTC)", "Note")
STATES = {
    "queued": "queued: it is being handed over",
    "delayed": "delayed: it is tried again",
    "withheld": "withheld: the address gets no mail",
    "refused": "refused, for good",
    "sent": "sent: it was handed over, and nothing was told of it since",
    "delivered": "delivered",
    "bounced": "bounced: it came back",
    "complained": "complained: called spam",
}
PROBLEM = "problem"
_BAD = ("refused", "bounced", "complained")
_CHOICES = {PROBLEM: "with a problem: refused, bounced or called spam", **STATES}
LATEST_FIRST = Key({"queued_at": "timestamptz", "id": "uuid"})
_COLUMNS = SQL("select id, recipient, kind, state, tries, queued_at, note from ")
_BEGINS = SQL("address ~>=~ %(beginning)s and address ~<~ %(beyond)s")


async def lift(session: Session, address: str) -> None:
    """Send mail to an address again.

    Raises:
        NotAnOperator, NothingToDo, DatabaseUnavailable: nothing was done.
    """
    async with acting(session, "suppression.lift", address_digest(address).hex()) as transaction:
        if await mails.unsuppress(transaction, address) is None:
            raise NothingToDo


async def suppress(session: Session, address: str) -> None:
    """Send no more mail to an address but what its owner asks for; raises as `lift`."""
    async with acting(session, "suppression.add", address_digest(address).hex()) as transaction:
        if await mails.is_suppressed(transaction, address):
            raise NothingToDo
        await mails.suppress(transaction, address, BY_HAND)


def listing(email: str, state: str, to: str = "") -> tuple[Composed, dict[str, Any]]:
    """The SELECT of some mails, and its values.

    Args:
        email: how their addresses begin; "" for any.
        state: theirs, or `PROBLEM`; "" for any.
        to: their whole address, in any case; "" for any.
    """
    table = SQL("sigma.messages_by_address") if email or to else SQL("sigma.messages")
    conditions = [
        *([_BEGINS] if email else []),
        *([SQL("address = lower(%(to)s)")] if to else []),
        *([SQL("state = any(%(states)s)")] if state else []),
        SQL("true"),
    ]
    values = {"states": list(_BAD) if state == PROBLEM else [state], "to": to, **asks.between(email)}
    return _COLUMNS + table + SQL(" where ") + SQL(" and ").join(conditions), values


class MailState(ConsolePage, Deeds, SessionState):
    """A page of the list; and `whom` was asked about: `known` is whether that is an address, and `why` it gets none.

    `to` is the address of the account `user`, whose mails alone are listed, and `typed` what was typed to ask about.
    """

    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    email: str = ""
    user: str = ""
    to: str = ""
    which: str = ""
    newer: str = ""
    older: str = ""
    reasons: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    typed: str = ""
    whom: str = ""
    known: bool = False
    mistake: str = ""
    why: str = ""
    since: str = ""
    mailbox: bool = False

    _topics = frozenset({"mail"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.email, self.which = asks.words(asked, "email"), asks.one_of(asked, "state", _CHOICES)
        self.user = str(asks.identity(asked, "user") or "")
        self.to = await _named(cursor, "select email from sigma.accounts where id = %s", self.user)
        if self.user and not self.to:
            self.user = ""
        source, values = listing(self.email, self.which, self.to)
        found = await paging.read(cursor, source, LATEST_FIRST, asked, values)
        self.rows = [_row(one) for one in found.rows]
        self.newer, self.older = paging.ways(ROUTE, asked, found)
        self.mailbox = has_mailbox(get_settings())
        await cursor.execute(
            "select reason, count(*) from sigma.suppressions group by reason order by 2 desc, 1 limit 20"
        )
        self.reasons = [Row(one["reason"], [one["reason"], f"{one['count']:,}"]) for one in await cursor.fetchall()]
        self.typed = asks.words(asked, "address")
        message = str(asks.identity(asked, "message") or "")
        about = await _named(cursor, "select recipient as email from sigma.messages where id = %s", message)
        await self._look_up(cursor, self.typed or about)

    async def _look_up(self, cursor: AsyncCursor[dict[str, Any]], address: str) -> None:
        self.whom, self.known, self.mistake, self.why, self.since = address, False, "", "", ""
        if not address:
            return
        try:
            self.whom = waitlist.read_address(address, allow_test_domains=True).email
        except waitlist.InvalidAddress as error:
            self.mistake = str(error)
            return
        self.known = True
        await cursor.execute(_SUPPRESSED, [address_digest(self.whom)])
        if found := await cursor.fetchone():
            self.why, self.since = found["reason"], when(found["suppressed_at"])

    @rx.event
    async def lift(self):
        """Send mail to the address again."""

        async def do(session: Session) -> str:
            await lift(session, self.whom)
            return "It gets mail again."

        async for _ in self._do("lift", do):
            yield

    @rx.event
    async def suppress(self):
        """Send no more mail to the address."""

        async def do(session: Session) -> str:
            await suppress(session, self.whom)
            return "It gets no more mail, but what its owner asks for."

        async for _ in self._do("suppress", do):
            yield


async def _named(cursor: AsyncCursor[dict[str, Any]], query: LiteralString, identity: str) -> str:
    """The address of what has this id; "" for none, or where there is none."""
    if not identity:
        return ""
    await cursor.execute(query, [identity])
    found = await cursor.fetchone()
    return (found["email"] or "") if found else ""


_SUPPRESSED = "select reason, suppressed_at from sigma.suppressions where digest = %s"


def _row(message: Mapping[str, Any]) -> Row:
    return Row(
        str(message["id"]),
        [
            message["recipient"],
            mail_words.named(message["kind"]),
            message["state"],
            str(message["tries"]),
            when(message["queued_at"]),
            message["note"] or "",
        ],
        href=f"{ONE}?id={message['id']}",
        tone="bad" if message["state"] in _BAD else "",
    )


def mail() -> rx.Component:
    """The list, and who gets none."""
    return console_page(
        MailState,
        "Mail",
        outcome(MailState),
        rx.cond(
            MailState.mailbox,
            part(
                "The mailbox",
                rx.el.p(
                    "No mail leaves this machine: it is in ",
                    link("the mailbox", href=MAILBOX),
                    ", and nobody tells what became of it.",
                ),
            ),
        ),
        part(
            "What was sent",
            rx.cond(MailState.to != "", rx.el.p("Those to ", rx.el.strong(MailState.to), ".")),
            filters(
                rx.cond(MailState.user != "", rx.el.input(type="hidden", name="user", value=MailState.user)),
                field("Address begins with", "email", MailState.email, type="search", auto_complete="off"),
                choice("State", "state", MailState.which, (("", "Any"), *_CHOICES.items())),
                action=ROUTE,
            ),
            table(
                "Mails, newest first",
                HEADINGS,
                MailState.rows,
                empty=no_rows(
                    "No mail was sent in these days.",
                    asked=(MailState.email + MailState.which + MailState.user) != "",
                    matches="No mail matches.",
                    href=ROUTE,
                    everything="Show all mail",
                ),
                numbers=("Tries",),
            ),
            pager(MailState.newer, MailState.older),
            intro="Of the last 90 days. What a mail says is not kept.",
        ),
        part(
            "Who gets no mail",
            filters(
                field("Address", "address", MailState.typed, type="search", auto_complete="off"),
                action=ROUTE,
            ),
            rx.el.p(MailState.mistake, role="alert", class_name="console-warning"),
            rx.cond(MailState.known, _suppression()),
            table(
                "Why addresses get no mail",
                ("Why", "Addresses"),
                MailState.reasons,
                empty="No address is kept from mail.",
            ),
            intro="Only a digest of each address is kept, so none can be listed: ask for one.",
        ),
        here=ROUTE,
    )


def _suppression() -> rx.Component:
    return rx.cond(
        MailState.why != "",
        rx.el.div(
            rx.el.p(MailState.whom, f" gets no mail since {MailState.since} UTC: {MailState.why}."),
            asking(
                MailState,
                "lift",
                "Send it mail again",
                "Mail goes there again. If it comes back once more, or is called spam, that harms how all our mail is "
                "received: do this only when you know that the reason is gone. Resend may keep a list of its own.",
                MailState.lift,
                yes="Send it mail again",
            ),
            class_name="console-acts",
        ),
        rx.el.div(
            rx.el.p(MailState.whom, " gets mail."),
            asking(
                MailState,
                "suppress",
                "Send it no more mail",
                "Nothing goes there any more but what its owner asks for, such as a way to sign in.",
                MailState.suppress,
                yes="Send it no more mail",
            ),
            class_name="console-acts",
        ),
    )


PAGES = [page(mail, ROUTE, "Mail", MailState)]
