"""Stripe's objects as Sigma reads them: small, typed, and always fresh; what an event says of them is never used.

Each `read_…` asks Stripe for one object and what hangs on it; each `all_…` pages through all of a kind, newest first.
All raise PaymentsUnavailable, and NotAtStripe where Stripe knows no such object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import stripe

from sigma_app.gateways.payments import asking, stripe_client

MARK = "sigma"
"""The key in the metadata of what Sigma laid at Stripe."""
PAGE = 100  # objects of one answer, the most that Stripe gives

PaymentStatus = Literal["processing", "paid", "failed"]
Dispute = Literal["open", "won", "lost"]

_WITH_PAYMENT = ["line_items", "payment_intent.latest_charge"]
_CLOSED_DISPUTES: dict[str, Dispute] = {
    "lost": "lost",
    "won": "won",
    "warning_closed": "won",  # an inquiry that never became a dispute
    "prevented": "won",
    # An appeal against a dispute that was lost: until it is won, the money is gone.
    "appeal_needs_response": "lost",
    "appeal_under_review": "lost",
}


@dataclass(frozen=True, slots=True)
class Product:
    """What is sold."""

    id: str
    name: str
    description: str
    active: bool
    mark: str
    """`MARK` in its metadata: "" where it is nothing of Sigma's."""


@dataclass(frozen=True, slots=True)
class Price:
    """What it costs: `amount` in the smallest unit of `currency`, once, or `every` so many (`every_count`).

    One without a fixed amount (tiers, fractions of a cent, pay what you want) is never `active`: no page could name it.
    """

    id: str
    product: str
    lookup_key: str | None
    active: bool
    currency: str
    amount: int
    every: str | None
    every_count: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout session, and for a single payment what became of it."""

    id: str
    customer: str | None
    user: str
    """Whom it was opened for: our own reference."""
    mode: str
    status: Literal["open", "complete", "expired"]
    payment_status: str
    payment: PaymentStatus
    """Of a complete one in payment mode."""
    price: str | None
    subscription: str | None
    payment_intent: str | None
    amount: int
    refunded: int
    currency: str
    dispute: Dispute | None
    url: str | None
    """Where it goes on, while it is open."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; `status` is Stripe's word."""

    id: str
    customer: str
    price: str
    status: str
    current_period_end: datetime
    cancel_at: datetime | None
    trial_end: datetime | None
    past_due_since: datetime | None
    paid_once: bool
    """Whether anything was ever paid for it, or it began with a trial; asked only while it is past due."""
    collecting: bool
    """Whether its latest invoice was made out and is not paid yet, as with a bank debit under way."""
    ended_at: datetime | None
    end_reason: str | None
    """Stripe's word for why it ended, such as "payment_failed"."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Invoice:
    """A bill; an upcoming one has no id."""

    id: str
    subscription: str | None
    status: str
    amount_due: int
    currency: str
    hosted_url: str | None
    awaits_customer: bool
    """Whether its payment waits for the customer to confirm it, at `hosted_url`."""
    next_attempt: datetime | None


async def read_product(product: str) -> Product:
    """One product."""
    with asking():
        return _product(await stripe_client().v1.products.retrieve_async(product))


async def read_price(price: str) -> Price:
    """One price."""
    with asking():
        return _price(await stripe_client().v1.prices.retrieve_async(price))


async def is_customer(customer: str) -> bool:
    """Whether Stripe still knows this customer."""
    with asking():
        found = await stripe_client().v1.customers.retrieve_async(customer)
    return not getattr(found, "deleted", False)


async def read_checkout(checkout: str) -> Checkout:
    """One checkout session, with its payment, its refunds and its dispute."""
    with asking():
        sessions = stripe_client().v1.checkout.sessions
        return await _checkout(await sessions.retrieve_async(checkout, {"expand": _WITH_PAYMENT}))


async def read_subscription(subscription: str) -> Subscription:
    """One subscription, and since when it is past due."""
    with asking():
        wanted: Any = {"expand": ["latest_invoice"]}
        return await _subscription(await stripe_client().v1.subscriptions.retrieve_async(subscription, wanted))


async def read_invoice(invoice: str) -> Invoice:
    """One invoice."""
    with asking():
        wanted: Any = {"expand": ["payments.data.payment.payment_intent"]}
        return _invoice(await stripe_client().v1.invoices.retrieve_async(invoice, wanted))


async def our_portal() -> str | None:
    """The customer portal's configuration that `stripe-setup` laid."""
    with asking():
        configurations = stripe_client().v1.billing_portal.configurations
        listed = await configurations.list_async({"active": True, "limit": PAGE})
    return next((one.id for one in listed.data if mark_of(one)), None)


async def payment_intent_of_charge(charge: str) -> str | None:
    """The payment that a charge was made for."""
    with asking():
        return _id((await stripe_client().v1.charges.retrieve_async(charge)).payment_intent)


async def checkout_of_payment(payment_intent: str) -> str | None:
    """The checkout session in which a payment was made; None for one made otherwise."""
    with asking():
        found = await stripe_client().v1.checkout.sessions.list_async({"payment_intent": payment_intent, "limit": 1})
    return found.data[0].id if found.data else None


async def is_marked(price: str) -> bool:
    """Whether a price is one of a product of ours."""
    with asking():
        found = await stripe_client().v1.prices.retrieve_async(price, {"expand": ["product"]})
    return not isinstance(found.product, str) and bool(mark_of(found.product))


async def all_products() -> AsyncIterator[Product]:
    """Every product, archived ones as well."""
    async for one in _every(stripe_client().v1.products.list_async, {}):
        yield _product(one)


async def all_prices(product: str) -> AsyncIterator[Price]:
    """Every price of a product, archived ones as well."""
    async for one in _every(stripe_client().v1.prices.list_async, {"product": product}):
        yield _price(one)


async def all_checkouts(customer: str | None = None) -> AsyncIterator[Checkout]:
    """Every checkout session that somebody went through, or those of one customer."""
    wanted: dict[str, Any] = {"status": "complete", "expand": [f"data.{path}" for path in _WITH_PAYMENT]}
    wanted |= {"customer": customer} if customer else {}
    async for one in _every(stripe_client().v1.checkout.sessions.list_async, wanted):
        with asking():
            yield await _checkout(one)


async def all_subscriptions(customer: str | None = None) -> AsyncIterator[Subscription]:
    """Every subscription, ended ones as well, or those of one customer."""
    wanted: dict[str, Any] = {"status": "all", "expand": ["data.latest_invoice"]}
    wanted |= {"customer": customer} if customer else {}
    async for one in _every(stripe_client().v1.subscriptions.list_async, wanted):
        with asking():
            yield await _subscription(one)


async def all_charges(customer: str) -> AsyncIterator[str]:
    """The ids of every charge of a customer, and of the payment that it is of."""
    async for one in _every(stripe_client().v1.charges.list_async, {"customer": customer}):
        yield one.id
        if payment := _id(one.payment_intent):
            yield payment


async def _every(ask, wanted: dict[str, Any]) -> AsyncIterator[Any]:
    """Every object of a list, page by page."""
    with asking():
        page = await ask(wanted | {"limit": PAGE})
        async for one in page.auto_paging_iter():
            yield one


def _product(found: stripe.Product) -> Product:
    return Product(found.id, found.name, found.description or "", found.active, mark_of(found))


def _price(found: stripe.Price) -> Price:
    recurring = found.recurring
    return Price(
        id=found.id,
        product=_id(found.product) or "",
        lookup_key=found.lookup_key,
        active=found.active and found.unit_amount is not None,
        currency=found.currency,
        amount=found.unit_amount or 0,
        every=recurring.interval if recurring else None,
        every_count=recurring.interval_count if recurring else 1,
    )


async def _checkout(found: Any) -> Checkout:
    intent = found.payment_intent
    charge = getattr(intent, "latest_charge", None) if intent else None
    lines = found.line_items.data if found.line_items else []
    return Checkout(
        id=found.id,
        customer=_id(found.customer),
        user=found.client_reference_id or "",
        mode=found.mode,
        status=found.status or "open",
        payment_status=found.payment_status,
        payment=_payment_status(found.payment_status, intent),
        price=_id(lines[0].price) if lines else None,
        subscription=_id(found.subscription),
        payment_intent=_id(intent),
        amount=found.amount_total or 0,
        refunded=charge.amount_refunded if charge and charge.paid else 0,
        currency=found.currency or "",
        dispute=await _dispute(charge) if charge and charge.disputed else None,
        url=found.url,
        created_at=_at(found.created),
    )


def _payment_status(told: str, intent: Any) -> PaymentStatus:
    """What became of the payment of a complete checkout: one by bank debit takes days, and may come back."""
    if told in ("paid", "no_payment_required"):
        return "paid"
    # A voucher or a bank transfer waits for the customer to act, outside of any page; only these two wait for nothing.
    return "failed" if intent is None or intent.status in ("requires_payment_method", "canceled") else "processing"


async def _dispute(charge: Any) -> Dispute:
    """How the disputes of a charge stand: lost if one is, else open if one is."""
    found = await stripe_client().v1.disputes.list_async({"charge": charge.id, "limit": PAGE})
    standing: set[Dispute] = {_CLOSED_DISPUTES.get(one.status, "open") for one in found.data}
    return "lost" if "lost" in standing else "open" if "open" in standing else "won"


async def _subscription(found: stripe.Subscription) -> Subscription:
    (item, *_) = found["items"].data  # `items` is a method of the SDK's objects, which are dictionaries
    return Subscription(
        id=found.id,
        customer=_id(found.customer) or "",
        price=_id(item.price) or "",
        status=found.status,
        current_period_end=_at(item.current_period_end),
        cancel_at=_maybe(found.cancel_at or (item.current_period_end if found.cancel_at_period_end else None)),
        trial_end=_maybe(found.trial_end),
        past_due_since=await _past_due_since(found) if found.status == "past_due" else None,
        paid_once=found.status != "past_due" or await _was_paid(found),
        collecting=_is_open(found.latest_invoice),
        ended_at=_maybe(found.ended_at),
        end_reason=found.cancellation_details.reason if found.ended_at and found.cancellation_details else None,
        created_at=_at(found.created),
    )


def _is_open(invoice: str | stripe.Invoice | None) -> bool:
    return isinstance(invoice, stripe.Invoice) and invoice.status == "open"


async def _past_due_since(subscription: stripe.Subscription) -> datetime:
    """When the oldest invoice was made that is due and was not paid: the days of grace begin once, whatever follows."""
    listed = await stripe_client().v1.invoices.list_async(
        {"subscription": subscription.id, "status": "open", "limit": PAGE}
    )
    (item, *_) = subscription["items"].data
    made = [one.status_transitions.finalized_at or one.created for one in listed.data]
    return _at(min(made, default=item.current_period_start))


async def _was_paid(subscription: stripe.Subscription) -> bool:
    """Whether it is more than a first bank debit that came back."""
    wanted: Any = {"subscription": subscription.id, "status": "paid", "limit": 1}
    listed = await stripe_client().v1.invoices.list_async(wanted)
    return subscription.trial_end is not None or bool(listed.data)


def _invoice(found: stripe.Invoice) -> Invoice:
    details = found.parent.subscription_details if found.parent else None
    return Invoice(
        id=found.id,
        subscription=_id(details.subscription) if details else None,
        status=found.status or "",
        amount_due=found.amount_due,
        currency=found.currency,
        hosted_url=found.hosted_invoice_url,
        awaits_customer=any(_awaits_customer(one) for one in (found.payments.data if found.payments else [])),
        next_attempt=_maybe(found.next_payment_attempt),
    )


def _awaits_customer(paying: stripe.InvoicePayment) -> bool:
    intent = getattr(paying.payment, "payment_intent", None)  # a payment may be of another kind
    return isinstance(intent, stripe.PaymentIntent) and intent.status == "requires_action"


def mark_of(found: Any) -> str:
    """What `MARK` says in the metadata of an object of Stripe's that is ours; "" where it is not."""
    metadata = found.metadata or {}
    return metadata[MARK] if MARK in metadata else ""  # noqa: SIM401 - the SDK's objects are no dictionaries


def _id(value: Any) -> str | None:
    """The id of what may be expanded, may not, and may be missing."""
    return value if value is None or isinstance(value, str) else value.id


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe(seconds: int | None) -> datetime | None:
    return None if seconds is None else _at(seconds)
