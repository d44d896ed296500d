"""The jobs of billing: Stripe's events, the nightly comparison with Stripe, and the mails about money.

Each may run twice: events are worked once by their rows, readings end in the same rows, and a mail's idempotency key
names its cause.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import col, func, select

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.jobs import JobError, job, queue
from sigma_app.features.billing import letters, money, reconcile, records, service, setup, work
from sigma_app.features.billing.access import decide
from sigma_app.features.billing.checkout import LIVE
from sigma_app.features.billing.standing import names
from sigma_app.features.mail import service as mail
from sigma_app.gateways import stripe_objects as stripe
from sigma_app.gateways.mail import Mail
from sigma_app.gateways.payments import NotAtStripe, asking, stripe_client
from sigma_app.models import AccessChange, Customer, Price, Purchase, Subscription
from sigma_app.settings import get_settings
from sigma_app.ui.mail import Letter, render

_LONG = "year"
"""Renewals that come more often need no mail before each."""

EVENTS = "stripe events"
"""The queue of what asks Stripe under a lock, apart from mails: Stripe may be slow (sigma.queue_stripe_event)."""
_NIGHTLY = "billing:reconcile"

logger = logging.getLogger(__name__)


class NotEnded(JobError):
    """Whoever was erased still has a customer at Stripe, or an event of theirs is worked right now."""


@job("billing:apply_event", queue=EVENTS)
async def apply_event(event_id: str) -> None:
    """Work an event that the webhook has kept.

    Args:
        event_id: Stripe's.

    Raises:
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: it waits still.
    """
    await work.work(event_id)


@job("billing:look_again")
async def look_again(user: str, cause: str) -> None:
    """Read everything of somebody at Stripe, and decide their access anew.

    Args:
        user: whose.
        cause: why, for the line in the record of their access.
    """
    await reconcile.look_again(UUID(user), cause)


@job("billing:forget_events")
async def forget_events(ids: list[str], digest: str = "") -> None:
    """Remove the events of somebody who was erased that were told since: above all those of their customer's end.

    Args:
        ids: Stripe's, of the customer and what was theirs.
        digest: of their address, by which this is found to be theirs.

    Raises:
        NotEnded: more may be told; what could be removed is.
    """
    found = await service.ids_of(ids)
    async with get_database().transaction(SERVICE) as session:
        ended = await service.forget_events(session, found)
    if not ended:
        raise NotEnded


# Of many customers it takes hours, and `lock` keeps it to one.
@queue.periodic(cron="40 3 * * *")
@job("billing:reconcile", longest=timedelta(hours=12), queueing_lock=_NIGHTLY, lock=_NIGHTLY)
async def reconcile_nightly(timestamp: int) -> None:
    """Once a night, compare everything with Stripe; what differed is an event that was lost, and worth a look."""
    report = reconcile.Report()
    try:
        await setup.lay_portal()
        await reconcile.reconcile(report)
    finally:
        for line in report.repaired:
            logger.warning("Differed from Stripe, and is repaired: %s", line)
        for line in report.left:
            logger.error("Differs from Stripe: %s", line)


@job("billing:lay_portal")
async def lay_portal() -> None:
    """Let the portal at Stripe offer the prices that are for sale now."""
    await setup.lay_portal()


@job("billing:close_customer")
async def close_customer(customer: str) -> None:
    """Delete a customer at Stripe whose account is gone, which ends what they subscribed to.

    Args:
        customer: Stripe's id.
    """
    await service.delete_customer(customer)


@job("billing:tell_address")
async def tell_address(user: str) -> None:
    """Tell Stripe somebody's present address, where receipts go."""
    async with get_database().transaction(SERVICE) as session:
        email = (await session.exec(select(func.sigma.proved_address(UUID(user))))).one()
        customer = await records.living_customer(session, UUID(user))
    if email and customer:
        with suppress(NotAtStripe), asking():
            await stripe_client().v1.customers.update_async(customer, {"email": email})


@job("billing:send_access_changed")
async def send_access_changed(user: str, opened: bool) -> None:
    """Tell somebody that they have access now, or have it no more.

    Nothing where that has changed again, nor where it is there once more only because their profile is.

    Args:
        user: whom.
        opened: what they would be told.
    """
    async with get_database().transaction(SERVICE) as session:
        latest = select(AccessChange).where(AccessChange.user_id == UUID(user)).order_by(col(AccessChange.id).desc())
        changes = (await session.exec(latest.where(AccessChange.before != AccessChange.after).limit(3))).all()
        change = next(iter(changes), None)
        plan = "".join((await names(session, change and change.price_id)).values())
    if change is None or change.after is not opened:
        return
    closed, before = changes[1:2], changes[2:]
    if [one.rule for one in closed] == ["profile deleted"] and [one.subject for one in before] == [change.subject]:
        return
    base = get_settings().base_url
    words = letters.access_opened(base, plan, change.rule) if opened else letters.access_closed(base, change.rule)
    kind = "billing:access_opened" if opened else "billing:access_closed"
    await _send(UUID(user), words, f"access/{change.id}", change.at, kind)


@job("billing:send_notice")
async def send_notice(user: str, about: str, subject: str, event: str) -> None:
    """Tell somebody about an invoice or a subscription, if it is still so.

    Args:
        user: whom.
        about: one of `_NOTICES`.
        subject: the id of the invoice, the subscription or the checkout that it is about.
        event: Stripe's id of the event, which the mail is sent once for; of a purchase, once altogether.
    """
    if words := await _NOTICES[about](about, subject):
        once = f"bought/{subject}" if about == "bought" else f"stripe/{event}"
        await _send(UUID(user), words, once, await _event_time(event), f"billing:{about}")


async def _about_invoice(about: str, subject: str) -> Letter | None:
    invoice = await stripe.read_invoice(subject)
    if invoice.status != "open":
        return None
    amount = money.words(invoice.amount_due, invoice.currency)
    async with get_database().transaction(SERVICE) as session:
        subscription = await session.get(Subscription, invoice.subscription or "")
    until = decide([], [subscription], clock.now()).until if subscription else None
    if about == "action_required":
        return letters.action_required(amount, invoice.hosted_url, until) if invoice.hosted_url else None
    if invoice.awaits_customer:  # Stripe tells of both, and the other mail says what to do
        return None
    if subscription is None or subscription.status != "past_due" or not subscription.paid_once:
        return None  # of a first payment, which gave nothing to keep
    return letters.payment_failed(get_settings().base_url, amount, invoice.next_attempt, until)


async def _about_subscription(about: str, subject: str) -> Letter | None:
    async with get_database().transaction(SERVICE) as session:
        subscription = await session.get(Subscription, subject)
        price = await session.get(Price, subscription.price_id) if subscription else None
    if subscription is None or price is None:
        return None
    if about == "canceled":
        end = subscription.cancel_at
        return letters.canceled(get_settings().base_url, end) if end and subscription.status == "active" else None
    if subscription.cancel_at:
        return None
    words = money.recurring(price.amount, price.currency, price.every, price.every_count)
    if about == "trial_ends":
        if subscription.status != "trialing" or subscription.trial_end is None:
            return None
        return letters.trial_ends(get_settings().base_url, subscription.trial_end, words)
    if price.every != _LONG or subscription.status != "active":
        return None
    return letters.renewal(get_settings().base_url, subscription.current_period_end, words)


async def _about_debit(_: str, subject: str) -> Letter | None:
    async with get_database().transaction(SERVICE) as session:
        purchase = await session.get(Purchase, subject)
    if purchase is None or purchase.status != "failed":  # of a subscription there is none, and its access ends
        return None
    return letters.debit_failed(get_settings().base_url, money.words(purchase.amount, purchase.currency))


async def _about_purchase(_: str, subject: str) -> Letter | None:
    """Of one that opened nothing, since everything was open already; else they have been told so."""
    async with get_database().transaction(SERVICE) as session:
        purchase = await session.get(Purchase, subject)
        customer = await session.get(Customer, purchase.customer_id) if purchase else None
        if purchase is None or customer is None or not decide([purchase], [], clock.now()).access:
            return None
        opened = select(AccessChange.id).where(
            *(AccessChange.user_id == customer.user_id, AccessChange.subject == subject),
            *(col(AccessChange.before).is_(False), col(AccessChange.after).is_(True)),
        )
        if (await session.exec(opened)).first():
            return None
        running = await records.subscriptions_of(session, customer.user_id)
    amount = money.words(purchase.amount, purchase.currency)
    runs_on = any(one.status in LIVE and one.cancel_at is None for one in running)
    return letters.bought_besides(get_settings().base_url, amount, runs_on=runs_on)


_NOTICES = {
    "bought": _about_purchase,
    "payment_failed": _about_invoice,
    "action_required": _about_invoice,
    "canceled": _about_subscription,
    "trial_ends": _about_subscription,
    "renewal": _about_subscription,
    "debit_failed": _about_debit,
}


async def _send(user: UUID, words: Letter, key: str, since: datetime, kind: str) -> None:
    """Mail somebody at the address that was proved to be theirs."""
    mail.refuse_late(since)
    async with get_database().transaction(SERVICE) as session:
        address = (await session.exec(select(func.sigma.proved_address(user)))).one()
    if address:
        await mail.send(Mail(address, *render(words)), key, kind=kind, account=True)


async def _event_time(event: str) -> datetime:
    """When an event was told to us."""
    rows = await get_database().run(Step(SERVICE, _RECEIVED, {"id": event}))
    return rows[0][0] if rows else clock.now()


_RECEIVED = "select received_at from sigma.webhook_events where source = 'stripe' and id = %(id)s"
