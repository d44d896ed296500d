"""/admin/user: one account: who that is, why they have access, where they are signed in, and what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.words import counted
from sigma_app.features.accounts import service as accounts
from sigma_app.features.billing import service as billing
from sigma_app.features.console import asked as asks
from sigma_app.features.console import people
from sigma_app.features.console.deeds import Deeds, asking, button, outcome
from sigma_app.features.console.paid import paid, paid_table
from sigma_app.features.console.parts import (
    Fact,
    Row,
    console_page,
    facts,
    nothing_here,
    page,
    part,
    table,
    when,
)
from sigma_app.features.console.service import NothingToDo
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.console.users import ONE, standing
from sigma_app.features.console.users import ROUTE as LIST
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.link import link
from sigma_app.ui.parts import ALARM

CHANGES = ("When (UTC)", "Access", "Why", "Rule", "About", "By")


@dataclass(frozen=True, slots=True)
class Device:
    """A browser in which somebody is signed in."""

    id: str
    name: str
    since: str
    seen: str
    deed: str
    """The name of signing it out."""


class UserState(ConsolePage, Deeds, SessionState):
    """One account. `found` is whether there is one by the id in the address."""

    found: bool = False
    who: str = ""
    about: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    paid: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    changes: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    devices: list[Device] = []  # noqa: RUF012 - a Var, copied for each state
    disabled: bool = False
    operator: bool = False
    mine: bool = False
    forgetting: str = ""

    _topics = frozenset({"users", "leads"})
    _id: str = ""

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        user = asks.identity(asked)
        await cursor.execute(_ONE, [user])
        account = await cursor.fetchone()
        self.found, self._id = account is not None, str(user)
        if account is None or user is None:
            self.who, self.about, self.paid, self.changes, self.devices = "", [], [], [], []
            return
        self.who = account["email"] or "An account without an address"
        self.disabled, self.operator = bool(account["disabled"]), account["role"] == "admin"
        self.mine = user == session.user_id
        self.forgetting = f"/admin/person?user={user}"
        self.about = _about(account)
        self.paid = await paid(cursor, user)
        self.changes = [
            Row(
                str(index),
                [
                    when(one.at),
                    f"{_YES[one.before]} → {_YES[one.after]}",
                    one.words,
                    one.rule,
                    " ".join(filter(None, (one.price, one.subject))),
                    " ".join(filter(None, (one.cause, one.event))),
                ],
                tone="" if one.after else "over",
            )
            for index, one in reversed(list(enumerate(await billing.access_changes(cursor, user))))
        ]
        await cursor.execute(_DEVICES, [user])
        self.devices = [_device(one) for one in await cursor.fetchall()]

    @rx.event
    async def disable(self):
        """Keep them out."""

        async def do(session: Session) -> str:
            await people.disable(session, UUID(self._id))
            return "Disabled. They are signed out everywhere, and read why when they try to sign in."

        async for _ in self._do("disable", do):
            yield

    @rx.event
    async def enable(self):
        """Let them in again."""

        async def do(session: Session) -> str:
            await people.enable(session, UUID(self._id))
            return "Enabled. They can sign in again."

        async for _ in self._do("enable", do, asked=False):
            yield

    @rx.event
    async def sign_out(self):
        """Sign them out everywhere."""

        async def do(session: Session) -> str:
            ended = await people.sign_out(session, UUID(self._id))
            return f"Signed out of {counted(ended, 'browser')}."

        async for _ in self._do("sign-out", do, asked=False):
            yield

    @rx.event
    async def sign_out_device(self, device: str):
        """Sign one browser out."""

        async def do(session: Session) -> str:
            if (only := asks.identity({"id": str(device)})) is None:
                raise NothingToDo
            await people.sign_out(session, UUID(self._id), only)
            return "Signed out there."

        async for _ in self._do(f"sign-out-{device}", do, asked=False):
            yield

    @rx.event
    async def delete(self, form_data: dict[str, Any]):
        """Delete the account with everything that belongs to it, once the word was typed."""
        if not self._means(form_data, "delete"):
            return

        async def do(session: Session) -> str:
            return await people.delete(session, UUID(self._id))

        async for _ in self._do("delete", do):
            yield


_YES = {True: "yes", False: "no"}


def _about(account: Mapping[str, Any]) -> list[Fact]:
    confirmed = when(account["email_confirmed_at"])
    known = [
        Fact("Address", account["email"] or "none"),
        Fact("Id", str(account["id"])),
        Fact("Name", account["name"] or "none"),
        Fact("State", standing(account) or "as usual"),
        Fact("Signed up", f"{when(account['created_at'])} UTC"),
        Fact("Address confirmed", f"{confirmed} UTC" if confirmed else "not yet"),
        Fact("Signed in last", f"{when(account['last_sign_in_at'])} UTC" if account["last_sign_in_at"] else "never"),
        Fact(
            "Access", "yes" if account["has_access"] else "no" if account["profile"] else "no: the profile is deleted"
        ),
    ]
    if account["customer"]:
        query = urlencode({"customer": account["customer"]})
        known.append(Fact("Customer at Stripe", account["customer"], f"/admin/events?{query}"))
    if account["lead"]:
        known.append(Fact("On the list", "their place and story", f"/admin/lead?id={account['lead']}"))
    if account["email"]:
        known.append(Fact("Mail", "what was sent to them", f"/admin/mail?user={account['id']}"))
    # Operators are revoked before anybody can forget them.
    what = "export it" if account["role"] == "admin" else "export it, or forget them"
    known.append(Fact("Everything about them", what, f"/admin/person?user={account['id']}"))
    known.append(Fact("Done to them", "what operators did", f"/admin/audit?subject={account['id']}"))
    if account["role"] == "admin":
        known.append(Fact("Done by them", "what they did as an operator", f"/admin/audit?who={account['id']}"))
    return known


def _device(session: Mapping[str, Any]) -> Device:
    seen = accounts.ago(datetime.now(UTC) - session["seen_at"], session["seen_at"])
    return Device(
        str(session["id"]),
        accounts.describe(session["user_agent"]),
        when(session["created_at"]),
        seen,
        f"sign-out-{session['id']}",
    )


# No customer, where the profile names none, but one that was deleted at Stripe.
_ONE = """
select account.id, account.email, account.created_at, account.email_confirmed_at, account.last_sign_in_at, account.role,
  account.banned_until > now() as disabled, profile.id is not null as profile, profile.name, profile.has_access,
  coalesce(profile.customer_id, (
    select id from billing.customers where user_id = account.id order by deleted_at desc nulls first limit 1
  )) as customer,
  (select lead.id from sigma.leads_by_address as lead where lead.address = lower(account.email)) as lead
from sigma.accounts as account left join public.profiles as profile on profile.id = account.id
where account.id = %s
"""
_DEVICES = """
select id, user_agent, created_at, seen_at from sigma.sessions where user_id = %s order by seen_at desc, id
"""


def user() -> rx.Component:
    """One account."""
    return console_page(
        UserState,
        "User",
        outcome(UserState),
        rx.cond(
            UserState.found,
            rx.el.div(
                part(UserState.who, facts(UserState.about)),
                part(
                    "What they pay for",
                    paid_table(UserState.paid),
                    intro="As it was last read at Stripe.",
                ),
                part(
                    "Why they have access, or not",
                    table("Changes of access, latest first", CHANGES, UserState.changes, empty="It never changed."),
                    intro="Each change of their access, with its reason in the words that they read.",
                ),
                part("Where they are signed in", _signed_in(UserState.devices)),
                part("What can be done", _deeds()),
            ),
            nothing_here("No account has this id, or none any more.", LIST, "All users"),
        ),
        here=LIST,
        of_one=True,
    )


def _signed_in(devices: Any) -> rx.Component:
    return rx.cond(
        devices.length() > 0,
        rx.el.div(
            rx.el.ul(rx.foreach(devices, _device_line), class_name="console-list"),
            button(UserState, "sign-out", "Sign out everywhere", UserState.sign_out),
        ),
        rx.el.p("Nowhere.", class_name="console-empty"),
    )


def _device_line(device: Device) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.p(device.name),
            rx.el.p(f"Last here {device.seen} · signed in {device.since} UTC", class_name="fine-print"),
        ),
        button(
            UserState,
            device.deed,
            "Sign out",
            UserState.sign_out_device(device.id),
            aria_label=f"Sign out {device.name}",
        ),
        key=device.id,
    )


_CLOSING = (
    "They are signed out everywhere at once, cannot sign in until you enable them again, and read so when they try. "
    "What they pay for goes on. An app that talks to the API with a token of theirs may do so until that runs out, "
    "within an hour."
)
_DELETING = (
    "Their account, profile, files, place in line, devices and what is on record of their mails go at once and for "
    "good, and mails that were kept in the mailbox within minutes. A subscription ends, nothing is given back, and "
    "Stripe keeps the invoices. A mail tells them. What is kept by an address that they had before stays. There is no "
    "way back but a backup. "
)
_LEFT = (
    "It is what the button on their own account page does. Stripe's events about them stay for a month, jobs that "
    "failed until somebody removes them, and there is no receipt. Somebody who asks to be forgotten is not to be "
    "deleted but forgotten: "
)
_OPERATORS = (
    "Operators are made and unmade on the command line only: python -m sigma_app admin revoke EMAIL. After that they "
    "are as any user here."
)


def _deeds() -> rx.Component:
    closing = rx.cond(
        UserState.disabled,
        button(UserState, "enable", "Enable", UserState.enable),
        asking(
            UserState,
            "disable",
            "Disable",
            _CLOSING,
            UserState.disable,
            yes="Disable them",
        ),
    )
    deleting = asking(
        UserState,
        "delete",
        "Delete",
        rx.fragment(_DELETING, _LEFT, link("forget this person", href=UserState.forgetting), "."),
        UserState.delete,
        yes="Delete them for good",
        look=ALARM,
        word="delete",
    )
    mine = rx.cond(
        UserState.mine, "This is you: you can neither disable nor delete yourself here. ", "This is an operator. "
    )
    return rx.cond(
        UserState.operator,
        rx.el.p(
            mine,
            _OPERATORS,
            class_name="fine-print",
        ),
        rx.el.div(closing, deleting, class_name="console-deeds"),
    )


PAGES = [page(user, ONE, "User", UserState)]
