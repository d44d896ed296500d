"""What follows from each of Stripe's events, and when it occurs (https://docs.stripe.com/api/events/types).

An event says what to look at, never how it stands: each handler locks the customer, reads the object at Stripe and
stores that. One that comes twice, late or out of order reads the same again. Types that are not here are kept and
acknowledged, and mean nothing to us.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.jobs import queue_job
from sigma_app.features.billing import records
from sigma_app.gateways import stripe_objects as stripe
from sigma_app.gateways.payments import NotAtStripe
from sigma_app.models import Customer, Purchase, Subscription

logger = logging.getLogger(__name__)

Event = Mapping[str, Any]
Handler = Callable[[AsyncSession, Event], Awaitable[None]]


async def apply(session: AsyncSession, event: Event) -> None:
    """Do what follows from an event, in a transaction of SERVICE.

    Raises:
        PaymentsUnavailable, PaymentsRefused: Stripe could not be read; nothing was changed.
    """
    if handler := HANDLERS.get(event["type"]):
        await handler(session, event)


def customer_of(event: Event) -> str | None:
    """Whom an event is about, as far as it says so itself."""
    about = _object(event)
    found = about.get("id") if about.get("object") == "customer" else about.get("customer")
    return found if isinstance(found, str) else None


async def _checkout(session: AsyncSession, event: Event) -> None:
    customer = await records.lock_customer(session, customer_of(event))
    if customer is None:
        await _note_if_paid(session, _object(event)["id"])
    else:
        read = await records.read_checkout(session, customer, _object(event)["id"])
        if read and read.subscription:
            await records.read_subscription(session, customer, read.subscription)
        await _settle(session, customer, event)
        if read and records.is_purchase(read) and read.payment == "paid":
            await _write(session, event, "bought", read.id)


async def _note_if_paid(session: AsyncSession, checkout: str) -> None:
    """Somebody may have paid whose account went meanwhile: that is for a person to give back."""
    with suppress(NotAtStripe):
        read = await stripe.read_checkout(checkout)
        paid = records.is_purchase(read) and read.payment == "paid" and read.refunded < read.amount
        if paid and read.price and await records.is_ours(session, read.price):
            logger.error("Paid for an account that is gone; give it back at Stripe: %s", checkout)


async def _debit_came_back(session: AsyncSession, event: Event) -> None:
    await _checkout(session, event)
    await _write(session, event, "debit_failed", _object(event)["id"])


async def _subscription(session: AsyncSession, event: Event) -> None:
    if customer := await records.lock_customer(session, customer_of(event)):
        subscription = _object(event)["id"]
        canceled_before = await _is_canceled(session, subscription)
        await records.read_subscription(session, customer, subscription)
        await _settle(session, customer, event)
        if not canceled_before and await _is_canceled(session, subscription):
            await _write(session, event, "canceled", subscription)


async def _is_canceled(session: AsyncSession, subscription: str) -> bool:
    """Whether a subscription, as we know it, ends with its period."""
    ends = select(Subscription.id).where(Subscription.id == subscription, col(Subscription.cancel_at).is_not(None))
    return (await session.exec(ends)).first() is not None


async def _trial_ends(session: AsyncSession, event: Event) -> None:
    await _subscription(session, event)
    await _write(session, event, "trial_ends", _object(event)["id"])


async def _invoice(session: AsyncSession, event: Event) -> None:
    """How an invoice stands is the subscription's affair: `past_due` while it is not paid."""
    if customer := await records.lock_customer(session, customer_of(event)):
        if subscription := _subscription_of(_object(event)):
            await records.read_subscription(session, customer, subscription)
        await _settle(session, customer, event)


async def _payment_failed(session: AsyncSession, event: Event) -> None:
    await _invoice(session, event)
    await _write(session, event, "payment_failed", _object(event)["id"])


async def _action_required(session: AsyncSession, event: Event) -> None:
    await _invoice(session, event)
    await _write(session, event, "action_required", _object(event)["id"])


async def _upcoming(session: AsyncSession, event: Event) -> None:
    await _invoice(session, event)
    if subscription := _subscription_of(_object(event)):
        await _write(session, event, "renewal", subscription)


async def _payment(session: AsyncSession, event: Event) -> None:
    """Money that went back, or is asked back: of which payment, its charge, its refund or its dispute says."""
    intent = await _payment_intent_of(_object(event))
    if intent is None:
        return
    known = (await session.exec(select(Purchase.id).where(Purchase.payment_intent == intent))).first()
    checkout = known or await stripe.checkout_of_payment(intent)
    if checkout is None:  # of a subscription's invoice, which its status knows, or made otherwise
        if event["type"] == "charge.dispute.closed":
            logger.warning(
                "A dispute of a payment that no checkout made was closed; is its subscription to go on? %s", intent
            )
        return
    whose = (await session.exec(select(Purchase.customer_id).where(Purchase.id == checkout))).first()
    customer = await records.lock_customer(session, whose or (await stripe.read_checkout(checkout)).customer)
    if customer:
        await records.read_checkout(session, customer, checkout)
        await _settle(session, customer, event)


async def _customer(session: AsyncSession, event: Event) -> None:
    if customer := await records.lock_customer(session, customer_of(event)):
        try:
            known = await stripe.is_customer(customer.id)
        except NotAtStripe:
            known = False
        if not known:
            await records.mark_deleted(session, customer)
        await _settle(session, customer, event)


async def _product(session: AsyncSession, event: Event) -> None:
    product = _object(event)["id"]
    if await records.read_product(session, product):
        async for price in stripe.all_prices(product):  # of one that is ours only now, none was stored
            await records.store_price(session, price)
        await queue_job(session, "billing:lay_portal")


async def _price(session: AsyncSession, event: Event) -> None:
    if await records.read_price(session, _object(event)["id"]):
        await queue_job(session, "billing:lay_portal")


HANDLERS: dict[str, Handler] = {
    # The customer has gone through checkout; with a bank debit the money is still on its way.
    "checkout.session.completed": _checkout,
    # The bank debit of a checkout came in, days later.
    "checkout.session.async_payment_succeeded": _checkout,
    # It came back.
    "checkout.session.async_payment_failed": _debit_came_back,
    # Nobody paid within its time, or we closed it for another plan's.
    "checkout.session.expired": _checkout,
    # A checkout, or somebody in Stripe's dashboard, started one.
    "customer.subscription.created": _subscription,
    # Anything about it changed: renewed, past due, another plan, to be canceled at the period's end, resumed.
    "customer.subscription.updated": _subscription,
    # It is over: at the end of its period, at once in the dashboard, after the last try to collect, with its customer.
    "customer.subscription.deleted": _subscription,
    # Its trial ended without a card, where it is set to wait for one; and then there was one.
    "customer.subscription.paused": _subscription,
    "customer.subscription.resumed": _subscription,
    # Three days before a trial ends, or at once where it is shorter.
    "customer.subscription.trial_will_end": _trial_ends,
    # An invoice was paid, also one of 0.00 or by hand.
    "invoice.paid": _invoice,
    # A try to collect an invoice failed; Stripe tries again by its own schedule.
    "invoice.payment_failed": _payment_failed,
    # The bank asks the customer to confirm, at the invoice's own page.
    "invoice.payment_action_required": _action_required,
    # Some days before a renewal, as set in Stripe's billing settings.
    "invoice.upcoming": _upcoming,
    # Money was given back, all of it or a part.
    "charge.refunded": _payment,
    # A refund changed: above all one that failed, whose money is with us again. The first is told of some cards only.
    "charge.refund.updated": _payment,
    "refund.updated": _payment,
    "refund.failed": _payment,
    # A customer asks their bank for the money back; the bank has decided.
    "charge.dispute.created": _payment,
    "charge.dispute.closed": _payment,
    # Anything about a customer changed; deleted, in the dashboard or by us.
    "customer.updated": _customer,
    "customer.deleted": _customer,
    # Names, amounts, and whether something is for sale: in the dashboard, or by stripe-setup.
    "product.created": _product,
    "product.updated": _product,
    "product.deleted": _product,
    "price.created": _price,
    "price.updated": _price,
    "price.deleted": _price,
}


async def _settle(session: AsyncSession, customer: Customer, event: Event) -> None:
    await records.settle(session, customer.user_id, event["type"], event["id"])


async def _write(session: AsyncSession, event: Event, about: str, subject: str) -> None:
    """Queue a mail to the customer; the job looks whether it is still true when it is sent."""
    if customer := await records.lock_customer(session, customer_of(event)):
        await queue_job(
            session, "billing:send_notice", user=str(customer.user_id), about=about, subject=subject, event=event["id"]
        )


async def _payment_intent_of(about: Mapping[str, Any]) -> str | None:
    """Of a charge, a refund or a dispute, which name it; one that does not is asked for its charge's."""
    intent = about.get("payment_intent")
    if isinstance(intent, str):
        return intent
    charge = about.get("id") if about.get("object") == "charge" else about.get("charge")
    return await stripe.payment_intent_of_charge(charge) if isinstance(charge, str) else None


def _subscription_of(invoice: Mapping[str, Any]) -> str | None:
    """Which subscription an invoice is for, in the shape of Stripe's versions since 2025-03-31."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return details.get("subscription")


def _object(event: Event) -> Mapping[str, Any]:
    return event["data"]["object"]
