"""What was read at Stripe, written into our tables, and access decided anew; whatever writes, as SERVICE.

The lock comes first: `lock_customer` holds everything that one user pays for, then Stripe is read, then what was read
is stored and `settle` decides. So whoever comes second reads later as well, and two deliveries of anything, in any
order and at the same time, end in the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core import clock
from sigma_app.core.jobs import queue_job
from sigma_app.features.billing.access import Decision, decide
from sigma_app.gateways import stripe_objects as stripe
from sigma_app.gateways.payments import NotAtStripe
from sigma_app.models import AccessChange, Checkout, Customer, Price, Product, Purchase, Subscription

OTHER = "other"
"""The status of a subscription to something that is none of ours, or no more."""
GONE = "gone"
"""The status of what Stripe knows no more: deleted there, or of another Stripe account than the one we ask."""


async def lock_customer(session: AsyncSession, customer: str | None) -> Customer | None:
    """The customer, once nobody else works on what its user pays for; None for one that is none of ours."""
    owner = (await session.exec(select(Customer.user_id).where(Customer.id == (customer or "")))).first()
    rows = await lock_user(session, owner) if owner else []
    return next((row for row in rows if row.id == customer), None)


async def living_customer(session: AsyncSession, user: UUID) -> str | None:
    """Who somebody is at Stripe now; a unique index keeps it to one."""
    living = select(Customer.id).where(Customer.user_id == user, col(Customer.deleted_at).is_(None))
    return (await session.exec(living)).first()


async def lock_user(session: AsyncSession, user: UUID) -> list[Customer]:
    """Every customer that somebody is or was, once nobody else works on what they pay for."""
    await session.exec(select(func.sigma.hold_account(user)))  # first, as the deletion of an account does
    theirs = select(Customer).where(Customer.user_id == user).order_by(Customer.id).with_for_update()
    return list((await session.exec(theirs)).all())


async def read_checkout(session: AsyncSession, customer: Customer, checkout: str) -> stripe.Checkout | None:
    """Read a checkout of a customer who is locked, and store what became of it; None where it is not theirs."""
    try:
        read = await stripe.read_checkout(checkout)
    except NotAtStripe:
        await _mark_gone(session, Purchase, checkout)
        return None
    return read if await store_checkout(session, customer, read) else None


async def store_checkout(session: AsyncSession, customer: Customer, read: stripe.Checkout) -> bool:
    """Store what was read of a checkout of a customer who is locked; whether it is theirs, and of something of ours."""
    if read.customer != customer.id or read.price is None or not await is_ours(session, read.price):
        return False
    await session.exec(update(Checkout).where(col(Checkout.id) == read.id).values(status=read.status))
    if is_purchase(read):
        await _put(session, Purchase, purchase_row(read))
    return True


def is_purchase(read: stripe.Checkout) -> bool:
    """Whether a checkout has become something bought once."""
    return read.mode == "payment" and read.status == "complete"


def purchase_row(read: stripe.Checkout) -> dict[str, Any]:
    """The columns of a purchase, by what was read of its checkout."""
    return {
        "id": read.id,
        "customer_id": read.customer,
        "price_id": read.price,
        "payment_intent": read.payment_intent,
        "status": read.payment,
        "amount": read.amount,
        "refunded": read.refunded,
        "currency": read.currency,
        "dispute": read.dispute,
        "created_at": read.created_at,
    }


async def read_subscription(session: AsyncSession, customer: Customer, subscription: str) -> None:
    """Read a subscription of a customer who is locked, and store how it stands."""
    try:
        read = await stripe.read_subscription(subscription)
    except NotAtStripe:
        await _mark_gone(session, Subscription, subscription)
        return
    await store_subscription(session, customer, read)


async def store_subscription(session: AsyncSession, customer: Customer, read: stripe.Subscription) -> None:
    """Store what was read of a subscription of a customer who is locked; one that moved to a price of somebody else's
    stays, as `OTHER`, and opens nothing any more."""
    if read.customer != customer.id:
        return
    if await is_ours(session, read.price):
        await _put(session, Subscription, subscription_row(read))
    elif await session.get(Subscription, read.id):
        await _put(session, Subscription, subscription_row(read) | {"status": OTHER})


def subscription_row(read: stripe.Subscription) -> dict[str, Any]:
    """The columns of a subscription, by what was read of it."""
    row = asdict(read)
    row["customer_id"], row["price_id"] = row.pop("customer"), row.pop("price")
    return row


async def is_ours(session: AsyncSession, price: str) -> bool:
    """Whether a price, past or present, is one of a product that gives access; asks Stripe where we do not know."""
    if (await session.exec(select(Price.id).where(Price.id == price))).first() is not None:
        return True
    try:
        marked = await stripe.is_marked(price)  # first, and without the lock: of what is none of ours there is no copy
    except NotAtStripe:
        return False
    return marked and await read_price(session, price)


async def hold_catalogue(session: AsyncSession) -> None:
    """Let nobody else read the catalogue at Stripe until this transaction ends: a stale reading must not win."""
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended("billing catalogue", 0))))


async def read_product(session: AsyncSession, product: str) -> bool:
    """Read a product and store it; whether it is one of ours. One that Stripe knows no more leaves, with its prices."""
    await hold_catalogue(session)
    try:
        read = await stripe.read_product(product)
    except NotAtStripe:
        for gone in (await session.exec(select(Product).where(Product.id == product))).all():
            await session.delete(gone)
        return False
    return await store_product(session, read)


async def store_product(session: AsyncSession, read: stripe.Product) -> bool:
    """Store what was read of a product; whether it is one of ours."""
    if not read.mark:  # nothing of ours, or no more: then it is not for sale
        await session.exec(update(Product).where(col(Product.id) == read.id).values(active=False))
        return False
    await _put(session, Product, product_row(read))
    return True


def product_row(read: stripe.Product) -> dict[str, Any]:
    """The columns of a product, by what was read of it."""
    return {"id": read.id, "name": read.name, "description": read.description, "active": read.active}


async def read_price(session: AsyncSession, price: str) -> bool:
    """Read a price and store it, with its product if need be; whether it is one of ours. One that is gone leaves."""
    await hold_catalogue(session)
    try:
        read = await stripe.read_price(price)
    except NotAtStripe:
        for gone in (await session.exec(select(Price).where(Price.id == price))).all():
            await session.delete(gone)
        return False
    known = (await session.exec(select(Product.id).where(Product.id == read.product))).first()
    if not known and not await read_product(session, read.product):
        return False
    await store_price(session, read)
    return True


async def store_price(session: AsyncSession, read: stripe.Price) -> None:
    """Store what was read of a price of a product that is stored."""
    if read.lookup_key:  # Stripe gives a key to one price at a time, and tells us of both in any order
        holds = col(Price.lookup_key) == read.lookup_key
        await session.exec(update(Price).where(holds, col(Price.id) != read.id).values(lookup_key=None))
    await _put(session, Price, price_row(read))


def price_row(read: stripe.Price) -> dict[str, Any]:
    """The columns of a price, by what was read of it."""
    row = asdict(read)
    row["product_id"] = row.pop("product")
    return row


async def mark_deleted(session: AsyncSession, customer: Customer) -> None:
    """Note that a customer, who is locked, was deleted at Stripe, which ends their subscriptions; reads how these
    stand."""
    customer.deleted_at = customer.deleted_at or clock.now()
    session.add(customer)
    known = await session.exec(select(Subscription.id).where(Subscription.customer_id == customer.id))
    for subscription in known.all():
        await read_subscription(session, customer, subscription)


async def settle(session: AsyncSession, user: UUID, cause: str, event: str | None = None) -> Decision:
    """Decide whether somebody, who is locked, has access, and write it down; mails them if that changed.

    Args:
        session: whose transaction holds the lock.
        user: whose access.
        cause: what made us look, such as an event's type.
        event: Stripe's id of it, if it was an event.
    """
    decision = await decide_now(session, user)
    written = func.sigma.set_access(
        *(user, decision.access, await living_customer(session, user), decision.price),
        *(decision.rule, decision.subject, cause, event),
    )
    await session.flush()
    changed = (await session.exec(select(written))).one()
    await session.exec(select(func.sigma.tell_billing(user)))
    if changed:
        await queue_job(session, "billing:send_access_changed", user=str(user), opened=decision.access)
    if decision.until:
        wait = max(decision.until - clock.now(), timedelta(0))
        await session.exec(select(func.sigma.queue_look_again(user, "the days of grace are over", clock.now() + wait)))
    return decision


async def decide_now(session: AsyncSession, user: UUID) -> Decision:
    """What follows from the rows that there are."""
    purchases, subscriptions = await purchases_of(session, user), await subscriptions_of(session, user)
    return decide(purchases, subscriptions, clock.now(), await held_by(session, user))


async def held_by(session: AsyncSession, user: UUID) -> str | None:
    """The id of what gave somebody access last, by the record."""
    granted = select(AccessChange.subject).where(AccessChange.user_id == user, col(AccessChange.after).is_(True))
    return (await session.exec(granted.order_by(col(AccessChange.id).desc()).limit(1))).first()


async def purchases_of(session: AsyncSession, user: UUID) -> Sequence[Purchase]:
    """What somebody has bought, the latest first."""
    theirs = col(Purchase.customer_id).in_(select(Customer.id).where(Customer.user_id == user))
    found = await session.exec(select(Purchase).where(theirs).order_by(col(Purchase.created_at).desc()))
    return found.all()


async def subscriptions_of(session: AsyncSession, user: UUID) -> Sequence[Subscription]:
    """What somebody has subscribed to, the latest first."""
    theirs = col(Subscription.customer_id).in_(select(Customer.id).where(Customer.user_id == user))
    found = await session.exec(select(Subscription).where(theirs).order_by(col(Subscription.created_at).desc()))
    return found.all()


async def on_sale(session: AsyncSession) -> dict[str, tuple[Price, Product]]:
    """What is for sale now, by lookup key, as anybody may read it; keys besides those of the catalogue included."""
    sold = (
        select(Price, Product)
        .join(Product, col(Product.id) == col(Price.product_id))
        .where(col(Price.lookup_key).is_not(None), col(Price.active), col(Product.active))
    )
    return {price.lookup_key or "": (price, product) for price, product in (await session.exec(sold)).all()}


async def _mark_gone(session: AsyncSession, model: type[Purchase] | type[Subscription], identity: str) -> None:
    await session.exec(update(model).where(col(model.id) == identity).values(status=GONE, read_at=func.now()))


async def _put(session: AsyncSession, model: type[SQLModel], row: dict[str, Any]) -> None:
    """Insert a row, or give the one of the same id these values."""
    values = row | {"read_at": func.clock_timestamp()}
    others = {name: value for name, value in values.items() if name != "id"}
    await session.exec(insert(model).values(**values).on_conflict_do_update(index_elements=["id"], set_=others))
