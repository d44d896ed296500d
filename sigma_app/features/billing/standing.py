"""How somebody stands, in words for their pages: what they pay, whether that opens anything, why, and since when.

Everything is read as whoever is signed in, so row level security judges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core import clock
from sigma_app.core.database import ANONYMOUS, get_database
from sigma_app.features.billing import money
from sigma_app.features.billing.access import RULES, Decision, decide
from sigma_app.features.billing.catalogue import PLANS
from sigma_app.features.billing.checkout import LIVE
from sigma_app.features.billing.records import held_by, on_sale, purchases_of, subscriptions_of
from sigma_app.models import AccessChange, Price, Product, Profile, Purchase, Subscription
from sigma_app.session.store import Session

_RHYTHM = {"month": ", by the month", "year": ", by the year"}
_LATEST = 20  # changes on the page; the download has all


@dataclass(frozen=True, slots=True)
class Offered:
    """A plan that can be had, as a page shows it."""

    key: str
    name: str
    description: str
    price: str
    """Such as "$29.00"."""
    every: str
    """Such as "a month", or "once"."""


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the record of somebody's access."""

    at: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands."""

    access: bool
    plan: str
    """What they pay, such as "Sigma, $29.00 a month"; "" for nothing."""
    headline: str
    """It all in a word or two."""
    why: str
    """Why they have access, or why not, in a sentence."""
    next: str
    """What happens next with the money, in a sentence; "" for nothing."""
    warning: str
    """What they should do something about; "" for nothing."""
    subscribed: bool
    customer: bool
    """Whether there is something to manage at Stripe."""
    bought: list[str] = field(default_factory=list)
    """What they bought once, each in a sentence."""
    plans: list[Offered] = field(default_factory=list)
    """What they can still buy."""
    history: list[Change] = field(default_factory=list)


async def standing(session: Session) -> Standing:
    """How whoever is signed in stands.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().transaction(session.actor) as transaction:
        profile = await transaction.get(Profile, session.user_id)
        purchases = await purchases_of(transaction, session.user_id)
        subscriptions = await subscriptions_of(transaction, session.user_id)
        latest = select(AccessChange).where(AccessChange.user_id == session.user_id)
        changes = await transaction.exec(latest.order_by(col(AccessChange.id).desc()).limit(_LATEST))
        offered = await _offered(transaction)
        changes = changes.all()
        held = await held_by(transaction, session.user_id)
        decision = decide(purchases, subscriptions, clock.now(), held)
        told_of = (*changes, *purchases)
        called = await names(transaction, decision.price, *(one.price_id for one in told_of))
        history = [_change(one, called) for one in changes]
    access = bool(profile and profile.has_access)
    follows = access is decision.access  # else it was changed by hand, or their profile is not there
    running = [one for one in subscriptions if one.status in LIVE]
    live = next((one for one in running if one.id == decision.subject), next(iter(running), None))
    canceled = live.cancel_at if live and decision.rule == "subscribed" and follows else None
    owned = [decide([one], [], clock.now()) for one in purchases]
    owns = any(one.access for one in owned)
    for_good = any(one.rule == "bought" for one in owned)
    return Standing(
        access=access,
        plan=called.get(decision.price or "", "") if decision.access else "",
        headline=_headline(decision, live) if follows else "Open." if access else "No access.",
        why=_until(canceled) if canceled else RULES[decision.rule] if follows or not history else history[0].why,
        next="" if canceled else _next(live, purchases),
        warning=_warning(decision, for_good, live),
        subscribed=live is not None,
        customer=bool(purchases or subscriptions),
        bought=[_of_purchase(one, called) for one in purchases],
        plans=[_told(one, live) for one in offered if _can_have(one, live is not None, owns, purchases)],
        history=history,
    )


async def offered() -> list[Offered]:
    """The plans that are for sale, for everybody to see, in the order of the catalogue.

    Raises:
        DatabaseUnavailable: they could not be read.
    """
    async with get_database().transaction(ANONYMOUS) as transaction:
        return await _offered(transaction)


async def _offered(transaction: AsyncSession) -> list[Offered]:
    sold = await on_sale(transaction)
    return [_shown(*sold[plan.key]) for plan in PLANS if plan.key in sold]


def _shown(price: Price, product: Product) -> Offered:
    words = money.recurring(price.amount, price.currency, price.every, price.every_count)
    amount = money.words(price.amount, price.currency)
    name = f"{product.name}{_RHYTHM.get(price.every or '', '')}"
    return Offered(price.lookup_key or "", name, product.description, amount, words.removeprefix(amount).strip())


async def names(transaction: AsyncSession, *prices: str | None) -> dict[str, str]:
    """What prices, past or present, are called on a bill."""
    found = select(Price, Product).join(Product, col(Product.id) == col(Price.product_id))
    found = found.where(col(Price.id).in_({price for price in prices if price}))
    return {
        price.id: f"{product.name}, {money.recurring(price.amount, price.currency, price.every, price.every_count)}"
        for price, product in (await transaction.exec(found)).all()
    }


def _can_have(one: Offered, subscribed: bool, owns: bool, purchases: Sequence[Purchase]) -> bool:
    if owns or any(purchase.status == "processing" for purchase in purchases):
        return False
    return one.every == "once" or not subscribed


def _headline(decision: Decision, live: Subscription | None) -> str:
    if decision.access:
        if decision.rule == "subscribed" and live and live.cancel_at:
            return f"Paid until {clock.day(live.cancel_at)}."
        return {"grace": "Not paid yet.", "collecting": "On its way.", "disputed": "In dispute."}.get(
            decision.rule, "Paid up."
        )
    return {"nothing": "Nothing to pay yet.", "processing": "On its way."}.get(decision.rule, "No access.")


def _told(one: Offered, live: Subscription | None) -> Offered:
    """A plan with what it does to the subscription that runs."""
    if live is None or live.cancel_at or one.every != "once":
        return one
    return replace(one, description=f"{one.description} Your subscription runs on until you cancel it at Stripe.")


def _until(day: datetime) -> str:
    return f"Canceled: everything stays open until {clock.day(day)}, and nothing more is charged."


def _next(live: Subscription | None, purchases: Sequence[Purchase]) -> str:
    if live is None:
        under_way = any(one.status == "processing" for one in purchases)
        return "We mail you when it is through, and when it is not." if under_way else ""
    if live.status == "past_due":
        return ""  # the warning says it
    if live.cancel_at:
        return f"Canceled. It runs until {clock.day(live.cancel_at)}, and nothing more is charged."
    if live.status == "trialing" and live.trial_end:
        return f"The first payment is due on {clock.day(live.trial_end)}."
    if live.status == "active":
        return f"The next payment is due on {clock.day(live.current_period_end)}."
    return ""


def _warning(decision: Decision, for_good: bool, live: Subscription | None) -> str:
    if decision.rule == "grace" and decision.until:
        end = clock.day(decision.until)
        return f"Your last payment failed. Pay it at Stripe, or change the card: access ends on {end} at the latest."
    if decision.rule in ("overdue", "unpaid"):
        return "Your subscription is not paid. Pay what is open at Stripe, and everything opens again."
    if decision.rule == "bounced":
        return "Your first payment came back. Pay what is open at Stripe in another way, and everything opens."
    if decision.rule == "incomplete":
        return "Your first payment waits for you: your bank may want you to confirm it."
    if decision.rule == "paused":
        return "Your subscription is paused. Go on with it at Stripe."
    if for_good and live and not live.cancel_at:
        return "You have Sigma for good, and a subscription that still runs. You need only one of them."
    return ""


def _of_purchase(one: Purchase, called: dict[str, str]) -> str:
    """Such as "Sigma, for good, $690.00 once: paid on 28 November 2026; $100.00 of it was given back."."""
    day = clock.day(one.created_at)
    said = {"processing": f"on its way since {day}", "failed": f"failed on {day}"}.get(one.status, f"paid on {day}")
    if one.status == "paid" and one.dispute in ("open", "lost"):
        said += "; your bank " + ("asks for it back" if one.dispute == "open" else "took it back")
    if one.refunded:
        part = "" if one.refunded >= one.amount else f"{money.words(one.refunded, one.currency)} of it "
        said += f"; {part or 'it '}was given back"
    return f"{called.get(one.price_id, money.words(one.amount, one.currency))}: {said}."


def _change(one: AccessChange, called: dict[str, str]) -> Change:
    what = {(False, True): "Access opened", (True, False): "Access closed", (True, True): "Access stays"}
    plan = called.get(one.price_id or "")
    why = RULES.get(one.rule, one.rule)
    return Change(
        at=f"{clock.day(one.at)}, {one.at.astimezone(UTC):%H:%M} UTC",
        what=what.get((one.before, one.after), "Still no access"),
        why=f"{why} ({plan})" if plan else why,
    )
