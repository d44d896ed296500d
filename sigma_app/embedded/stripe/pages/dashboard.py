"""`/dev/stripe`: what is in the sandbox's books, what merchants, banks and time can do, and what is to go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sigma_app.embedded.stripe import acts, faults, payments, subscriptions
from sigma_app.embedded.stripe.books import Books, Thing, opened
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.embedded.stripe.pages.parts import page, render
from sigma_app.embedded.stripe.pages.portal import CARDS

PATH = "/dev/stripe"
_MOST = 10  # of a kind on the page

Form = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """Something on the page, and whose it is."""

    it: Thing
    who: str
    """The customer's address; "" of what is nobody's, such as a price."""
    beside: Thing | None = None
    """Of a payment its newest dispute, of a customer their test clock."""


@dataclass(frozen=True)
class Rows:
    """The newest of a kind."""

    rows: Sequence[Row]
    are_more: bool


async def show(_: Request) -> Response:
    """The newest of each kind."""
    async with opened() as books:
        deliveries, answers = await books.setting(faults.DELIVERIES, {}), await books.setting(faults.API, {})
        values: dict[str, Any] = {
            "payments": await _newest(books, "charge"),
            "debits": await _debits(books),
            "subscriptions": await _newest(books, "subscription"),
            "customers": await _newest(books, "customer"),
            "events": await _newest(books, "event"),
        }
    values |= {"deliveries": faults.RIGHT | deliveries, "answers": answers, "ways": faults.ANSWERS}
    values |= {"over": subscriptions.OVER, "closed": payments.CLOSED, "cards": CARDS, "most": _MOST}
    return render("dashboard.html", path=PATH, wrong=faults.in_words(deliveries, answers), **values)


async def act(_: Request, form: Form) -> str:
    """Whatever was pressed."""
    if do := _ACTS.get(form.get("do", "")):
        await do(form.get("id", ""), form)
    return PATH


async def _refund(charge: str, form: Form) -> None:
    amount = form.get("amount", "").strip()
    await acts.refund(charge, _cents(amount) if amount else None)


async def _dispute(charge: str, _: Form) -> None:
    await acts.open_dispute(charge)


async def _win(dispute: str, _: Form) -> None:
    await acts.close_dispute(dispute, "won")


async def _lose(dispute: str, _: Form) -> None:
    await acts.close_dispute(dispute, "lost")


async def _come_in(session: str, _: Form) -> None:
    await acts.settle_later(session, succeeds=True)


async def _come_back(session: str, _: Form) -> None:
    await acts.settle_later(session, succeeds=False)


async def _pass(subscription: str, _: Form) -> None:
    await acts.let_a_period_pass(subscription)


async def _resend(event: str, _: Form) -> None:
    await acts.resend(event)


async def _spoil_deliveries(_: str, form: Form) -> None:
    await faults.spoil_deliveries(
        copies=int(_number(form, "copies", 1)),
        delay=_number(form, "delay", 0),
        shuffle=_number(form, "shuffle", 0),
        drop=min(1.0, _number(form, "drop", 0) / 100),
        drop_next=int(_number(form, "drop_next", 0)),
        forge="forge" in form,
    )


async def _spoil_answers(_: str, form: Form) -> None:
    for how in faults.ANSWERS:
        if how == form.get("how"):
            await faults.spoil_answers(how, int(_number(form, "times", 1)), _number(form, "seconds", 0))


async def _stop(_: str, __: Form) -> None:
    await faults.stop()


_ACTS: dict[str, Callable[[str, Form], Awaitable[None]]] = {
    "refund": _refund,
    "dispute": _dispute,
    "win": _win,
    "lose": _lose,
    "come-in": _come_in,
    "come-back": _come_back,
    "pass": _pass,
    "resend": _resend,
    "spoil-deliveries": _spoil_deliveries,
    "spoil-answers": _spoil_answers,
    "stop": _stop,
}


async def _newest(books: Books, kind: str, **where: Any) -> Rows:
    found = await books.page(kind, {"limit": _MOST}, "", where, lambda one: not one.get("deleted"))
    rows = [Row(one, await _who(books, one), await _beside(books, one)) for one in found["data"]]
    return Rows(rows, found["has_more"])


async def _debits(books: Books) -> Rows:
    """The checkouts that are paid by a bank debit which is under way."""
    intents = await _newest(books, "payment_intent", status="processing")
    sessions = [await books.all("checkout.session", _intent=one.it["id"]) for one in intents.rows]
    rows = [Row(session, one.who) for one, found in zip(intents.rows, sessions, strict=True) for session in found]
    return Rows(rows, intents.are_more)


async def _who(books: Books, thing: Thing) -> str:
    about: Thing = thing["data"]["object"] if thing["object"] == "event" else thing
    if "customer" not in about:  # of a refund and a dispute the charge says it, of an invoice's payment the invoice
        about = await books.any(about.get("charge") or about.get("invoice")) or about
    customer = await books.find("customer", about["id"] if about["object"] == "customer" else about.get("customer"))
    if customer is None:
        return about.get("customer_email") or ""  # of a checkout whose customer is yet to be made
    return f"{customer['email'] or 'no address'}{' (deleted)' if customer.get('deleted') else ''}"


async def _beside(books: Books, thing: Thing) -> Thing | None:
    if thing["object"] == "charge":
        return next(iter(await books.all("dispute", charge=thing["id"])), None)
    if thing["object"] == "customer":
        return await books.find("test_helpers.test_clock", thing["test_clock"])
    return None


def _number(form: Form, name: str, default: float) -> float:
    """A number of the form's, at least 0.

    Raises:
        Refused: it is none.
    """
    try:
        return max(0.0, float(form.get(name, "").strip() or default))
    except ValueError:
        raise Refused(f"“{form[name]}” is no number.") from None


def _cents(amount: str) -> int:
    try:
        return round(float(amount.replace(",", ".")) * 100)
    except ValueError:
        raise Refused(f"“{amount}” is no amount.") from None


ROUTES = [page(PATH, show, act)]
