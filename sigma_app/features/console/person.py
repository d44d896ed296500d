"""/admin/person: one person by their address: everything that is kept about them, to give to them, and forgetting it.

Whom it is about is named by an id in the address of the page, `?user=` or `?lead=`, or typed: the address of somebody
stands in no address of this page, which servers and browsers keep.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, LiteralString
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import NotLikeThat, SigmaError
from sigma_app.features.accounts import service as accounts
from sigma_app.features.console import asked as asks
from sigma_app.features.console.deeds import Deeds, asking, button, outcome
from sigma_app.features.console.parts import QUIET, Fact, console_page, facts, field, page, part
from sigma_app.features.console.service import OPERATORS, acting, reading
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.operations import service as operations
from sigma_app.session.operators import OperatorsAccount, refuse_operators
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.form import plain_form
from sigma_app.ui.parts import ALARM

ROUTE = "/admin/person"
EXPORT = "/admin/person/export"


class PersonState(ConsolePage, Deeds, SessionState):
    """Whom it is about, and the receipt once they are forgotten: what is gone, what is left, and what is kept.

    `stays` is why they cannot be forgotten, `gone` whether Supabase has their account no more, and `moved` how an
    account comes to have another address than is known here: nothing is offered then, since that may be another's.
    """

    address: str = ""
    stays: str = ""
    gone: bool = False
    moved: str = ""
    receipt: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state

    _topics = frozenset({OPERATORS, "users"})
    _receipt: str = ""
    _named: UUID | None = None  # the id in the address of the page that was read
    _typed: bool = False  # whether it is about somebody else, who was typed since
    _found: tuple[str, UUID | None] | None = None  # an address, and whose account by its id, to ask Supabase about
    _account: UUID | None = None

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        named = ((name, identity) for name in _NAMED if (identity := asks.identity(asked, name)))
        name, identity = next(named, ("", None))
        if identity == self._named:  # who was typed since, and a receipt, stay
            return
        address = ""
        if name:
            await cursor.execute(_NAMED[name], [identity])
            address = str((await cursor.fetchone() or {}).get("email") or "")
        self._named, self.address = identity, ""
        self._found = (address, identity if name == "user" else None)

    async def _read_besides(self) -> None:
        if self._found:
            await self._be_about(*self._found)
        self.stays = await why_they_stay(self._account)

    async def _be_about(self, address: str, account: UUID | None = None) -> None:
        """Be about whoever has an address, or an account: Supabase is asked once whether these still are one.

        Raises:
            DatabaseUnavailable, IdentityBusy, IdentityRefused, IdentityUnavailable: it could not be asked.
        """
        whose = account or (await accounts.known_by(address) if address else None)
        by_now = await accounts.address_of(whose) if whose else None
        has_moved = by_now is not None and by_now.lower() != address.lower()
        self.gone = whose is not None and by_now is None
        self.moved = (_SIGNED_IN.format(address) if address else _TAKEN) if account and has_moved else ""
        self.address = "" if self.moved else address
        self._account, self._found = None if has_moved else whose, None

    def _arrive(self) -> None:
        """Be about nobody of another page, nor, where the address names somebody, about whoever was typed there."""
        super()._arrive()
        if self._said_at != self._here() or (self._typed and self.router.url.query):
            self._forget_whom()
            self._named, self._typed = None, False

    def _forget_whom(self) -> None:
        self.address, self.stays, self.gone, self.moved, self.receipt, self._receipt = "", "", False, "", [], ""
        self._found = self._account = None
        self.asking = self.outcome = self.refusal = ""

    @rx.event
    async def look_for(self, form_data: dict[str, Any]):
        """Be about whoever has the address that was typed."""
        fields = form_data if isinstance(form_data, dict) else {}  # a client may send anything
        address = str(fields.get("email", "")).strip()
        self._forget_whom()
        self._said_at, self._typed = self._here(), True
        try:
            if "@" not in address:
                raise NotLikeThat("Please type a whole address.")
            if session := await self._signed_in():
                await look_for(session, address)
                await self._be_about(address)
                self.stays = await why_they_stay(self._account)
        except SigmaError as error:
            self._forget_whom()
            self.refusal = str(error)

    @rx.event
    async def forget(self, form_data: dict[str, Any]):
        """Forget them, once the word was typed."""
        if not self._means(form_data, "forget"):
            return

        async def do(session: Session) -> str:
            receipt = await forget(session, self.address)
            self._receipt, self.receipt = receipt.as_json(), _told(receipt)
            return "Forgotten." if receipt.complete else "Not everything is gone yet; the receipt says what is left."

        async for _ in self._do("forget", do):
            yield

    @rx.event
    async def save_receipt(self):
        """Hand the receipt over as a file."""
        if self._receipt:
            return rx.download(data=self._receipt, filename="receipt.json")
        return None


async def look_for(session: Session, address: str) -> UUID | None:
    """The account of whoever has an address, or had it to the end, in the name of an operator; None for somebody
    without one.

    Raises:
        NotAnOperator, and what `operations.find_person` raises: nothing is known.
    """
    await _refuse_others(session)
    return await operations.find_person(address, gone=True)


async def why_they_stay(account: UUID | None) -> str:
    """Why whoever has an account cannot be forgotten, for the operator who would; "" where they can be.

    Asked whenever the page is read again, so of the database alone.

    Raises:
        DatabaseUnavailable: it could not be asked.
    """
    try:
        if account:
            await refuse_operators(account)
    except OperatorsAccount as refusal:
        return str(refusal)
    return ""


async def forget(session: Session, address: str) -> operations.Receipt:
    """Forget whoever has an address, in the name of an operator; on record with the id of their account.

    Raises:
        NotAnOperator, and what `operations.find_person_to_erase` raises: nothing was done.
        DatabaseUnavailable: it went away half way; forget them again.
    """
    await _refuse_others(session)
    account = await operations.find_person_to_erase(address)
    async with acting(session, "person.erase", account):
        pass
    return await operations.erase_person(address, session.email)


async def told(session: Session, address: str) -> AsyncIterator[bytes]:
    """Everything that is kept about whoever has an address, as a ZIP, in the name of an operator.

    Raises:
        NotAnOperator, and what `operations.packed_person` raises: before the first piece.
    """
    await _refuse_others(session)
    account = await operations.find_person(address)
    async with acting(session, "person.export", account):
        pass
    async for piece in operations.packed_person(address):
        yield piece


async def _refuse_others(session: Session) -> None:
    """Refuse whoever is no operator.

    Raises:
        NotAnOperator, DatabaseUnavailable: it is none, or it could not be asked.
    """
    async with reading(session):  # left before anything else is asked: nobody holds two connections at a time
        pass


def _told(receipt: operations.Receipt) -> list[Fact]:
    return [
        Fact("Address", receipt.address),
        Fact("When", f"{receipt.at:%Y-%m-%d %H:%M:%S} UTC"),
        Fact("By", receipt.asked_by),
        Fact("Account", str(receipt.account or "none")),
        Fact("Erased", operations.kept_in_words(receipt.erased) or "nothing"),
        Fact("Stripe", receipt.stripe),
        *(Fact("Left", line) for line in receipt.left),
        *(Fact("Kept", line) for line in receipt.kept),
    ]


_SIGNED_IN = "This account signed in here last as {}, and has another address at Supabase since."
_TAKEN = "Somebody else has signed in here since with the address that this account had; at Supabase it has another."
_NAMED: Mapping[str, LiteralString] = {
    "user": "select email from sigma.accounts where id = %s",
    "lead": "select email from public.leads where id = %s",
}


def person() -> rx.Component:
    """One person."""
    return console_page(
        PersonState,
        "Person",
        outcome(PersonState),
        part(
            "Whose",
            rx.el.form(
                field("Address", "email", PersonState.address, type="email", auto_complete="off", spell_check=False),
                rx.el.button("Look", type="submit", class_name=QUIET),
                on_submit=PersonState.look_for,
                class_name="console-filters",
            ),
            intro="Prove first that whoever asks is the one who has the address: by a mail to it, say.",
        ),
        rx.cond(PersonState.moved != "", _has_moved()),
        rx.cond(PersonState.receipt.length() > 0, _receipt()),  # pyright: ignore[reportAttributeAccessIssue] - a Var
        rx.cond(
            (PersonState.address != "") & (PersonState.receipt.length() == 0),  # pyright: ignore[reportAttributeAccessIssue]
            rx.fragment(_export(), _forgetting()),
        ),
        here="/admin/users",
        of_one=True,
        lede="Everything that is kept about one person, on the list, with an account or neither.",
    )


def _has_moved() -> rx.Component:
    return part(
        "Another address by now",
        rx.el.p(
            PersonState.moved,
            " What is kept by the one before may be somebody else's, so the account is neither told nor forgotten by "
            "it. Ask its owner to sign in here once, with the new one. Or they take it all along, and delete it, from "
            "their account page, and you delete it from its page here.",
        ),
    )


def _export() -> rx.Component:
    return part(
        "What is kept",
        rx.cond(
            PersonState.gone,
            rx.el.p(
                "Supabase has their account no more, so nobody can say whose this address was in the end: what the "
                "account left here is told to nobody, and can be forgotten."
            ),
            plain_form(
                rx.el.input(type="hidden", name="email", value=PersonState.address),
                rx.el.button("Download everything (ZIP)", type="submit", class_name=QUIET),
                action=EXPORT,
            ),
        ),
        intro="Place in line, account, profile, devices, files, mails, events and payments. No password, no token.",
    )


def _forgetting() -> rx.Component:
    return part(
        "Forgetting them",
        rx.cond(
            PersonState.stays != "",
            rx.el.p("They cannot be forgotten. ", PersonState.stays),
            asking(
                PersonState,
                "forget",
                "Forget them",
                rx.fragment("Forgets everything about ", rx.el.strong(PersonState.address), ", for good."),
                PersonState.forget,
                yes="Forget them for good",
                look=ALARM,
                word="forget",
            ),
        ),
        intro="A subscription ends at once. Invoices stay at Stripe, as the law has it; backups keep what they have.",
    )


def _receipt() -> rx.Component:
    return part(
        "Receipt",
        facts(PersonState.receipt),
        rx.el.div(
            button(PersonState, "save", "Save it as a file", PersonState.save_receipt),
            class_name="console-bar",
        ),
        intro="It is kept nowhere: save it, since after restoring a backup it says whom to forget again.",
    )


PAGES = [page(person, ROUTE, "Person", PersonState)]
