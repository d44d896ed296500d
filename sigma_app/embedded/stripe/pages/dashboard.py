"""`/dev/stripe`: what is in the sandbox's books, what merchants, banks and time can do, and what is to go wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from sigma_app.embedded.stripe import acts, faults
from sigma_app.embedded.stripe.books import Books, Thing, opened
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.embedded.stripe.pages.parts import page, render

PATH = "/dev/stripe"
_MOST = "15"  # of a kind on the page

Form = Mapping[str, str]


async def show(_: Request) -> Response:
    """The newest of each kind."""
    async with opened() as books:
        customers = {one["id"]: one for one in await _newest(books, "customer")}
        values = {
            "customers": list(customers.values()),
            "charges": await _newest(books, "charge"),
            "disputes": {one["charge"]: one for one in (await books.all("dispute"))[::-1]},
            "waiting": [one for one in await _newest(books, "checkout.session") if await _is_under_way(books, one)],
            "subscriptions": await _newest(books, "subscription"),
            "events": await _newest(books, "event"),
            "deliveries": await books.setting(faults.DELIVERIES, {}),
            "answers": await books.setting(faults.API, {}),
        }
    return render("dashboard.html", path=PATH, **values)


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
    hows: dict[str, faults.Answer] = {"429": "429", "500": "500", "silence": "silence", "lost": "lost"}
    how = hows.get(form.get("how", ""))
    if how:
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


async def _newest(books: Books, kind: str) -> list[Thing]:
    return (await books.page(kind, {"limit": _MOST}, "", {}, lambda one: not one.get("deleted")))["data"]


async def _is_under_way(books: Books, session: Thing) -> bool:
    intent = await books.find("payment_intent", session["_intent"])
    return intent is not None and intent["status"] == "processing"


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
