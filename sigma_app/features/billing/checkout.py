"""Opening Stripe's pages for somebody: a checkout for a plan, and the customer portal.

What is paid is never what a browser says: it names a plan, by a lookup key of ours, and Stripe's price of that key is
the one. Whoever pays is bound to one customer at Stripe, once, before anything else; of two tabs the second waits for a
lock and finds what the first has made, and the unique index has the last word.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, get_database
from sigma_app.features.billing import records
from sigma_app.features.billing.access import decide
from sigma_app.features.billing.catalogue import PLANS
from sigma_app.features.billing.errors import (
    BoughtAlready,
    NotForSale,
    NothingToManage,
    OnItsWay,
    SubscribedAlready,
)
from sigma_app.features.billing.records import on_sale
from sigma_app.features.billing.turns import Line, turn
from sigma_app.gateways import stripe_objects as stripe
from sigma_app.gateways.payments import (
    NotAtStripe,
    PaymentsRefused,
    PaymentsUnavailable,
    asking,
    create_once,
    stripe_client,
)
from sigma_app.models import Checkout, Customer, Price
from sigma_app.session.store import Session
from sigma_app.settings import get_settings

RETURN = "/billing/thanks"
LIVE = ("active", "trialing", "past_due", "unpaid", "paused", "incomplete")
"""A subscription in one of these may ask for money again: nobody needs a second one."""

logger = logging.getLogger(__name__)


async def open_checkout(session: Session, key: str) -> str:
    """Where somebody pays for a plan: the address of a checkout at Stripe, the same one for a second click.

    Args:
        session: who pays.
        key: of a plan, as it was posted.

    Raises:
        NotForSale, SubscribedAlready, BoughtAlready, OnItsWay: they cannot, or need not.
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: it could not be opened.
    """
    price = await _price_of(session, key)
    return await _as_customer(session, lambda customer: _checkout_address(session, customer, price))


async def open_portal(session: Session) -> str:
    """Where somebody manages what they pay for: a fresh address at Stripe's customer portal, for this click alone.

    Raises:
        NothingToManage: they have never been a customer.
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: it could not be opened.
    """
    async with get_database().transaction(SERVICE) as transaction:
        ever = (await transaction.exec(select(Customer.id).where(Customer.user_id == session.user_id))).first()
    if ever is None:
        raise NothingToManage
    return await _as_customer(session, _portal_address)


async def _as_customer(session: Session, act) -> str:
    """Do something as somebody's customer; as a new one where Stripe has deleted the one that we know."""
    customer = await customer_for(session)
    try:
        return await act(customer)
    except NotAtStripe as missing:
        if missing.param != "customer":
            raise
        logger.warning("A customer was deleted at Stripe, and is made anew.")
        await _forget_customer(session, customer)
        return await act(await customer_for(session))


async def customer_for(session: Session) -> str:
    """The customer that somebody is at Stripe, made and bound to them if there is none.

    Raises:
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: there is none, or none yet.
    """
    async with get_database().transaction(SERVICE) as transaction:
        if known := await records.living_customer(transaction, session.user_id):
            return known
    async with turn(Line.VISITORS, str(session.user_id)), get_database().transaction(SERVICE) as transaction:
        # Of two tabs at once the second waits here, and finds what the first has made.
        await transaction.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(str(session.user_id), 0))))
        theirs = (await transaction.exec(select(Customer).where(Customer.user_id == session.user_id))).all()
        if living := next((one for one in theirs if one.deleted_at is None), None):
            return living.id
        made = await create_once(
            stripe_client().v1.customers.create_async,
            {"email": session.email, "metadata": {"sigma_user": str(session.user_id)}},
            key=f"customer/{session.user_id}/{len(theirs)}",
        )
        transaction.add(Customer(id=made.id, user_id=session.user_id, created_at=clock.now()))
    return made.id


async def _forget_customer(session: Session, customer: str) -> None:
    async with turn(Line.VISITORS, str(session.user_id)), get_database().transaction(SERVICE) as transaction:
        locked = await records.lock_customer(transaction, customer)
        if locked:
            await records.mark_deleted(transaction, locked)
            await records.settle(transaction, locked.user_id, "customer deleted")


async def _price_of(session: Session, key: str) -> Price:
    """The price of a plan.

    Raises:
        NotForSale: there is no such plan, or it is not sold at the moment.
    """
    if key not in {plan.key for plan in PLANS}:
        logger.warning("A user asked for a price that is none of ours: %s", session.user_id)
        raise NotForSale
    async with get_database().transaction(session.actor) as transaction:
        sold = await on_sale(transaction)
    if key not in sold:
        raise NotForSale
    return sold[key][0]


async def _checkout_address(session: Session, customer: str, price: Price) -> str:
    mode = "subscription" if price.every else "payment"
    async with turn(Line.VISITORS, str(session.user_id)), get_database().transaction(SERVICE) as transaction:
        locked = await records.lock_customer(transaction, customer)
        if locked is None:
            raise NotAtStripe(param="customer")
        known = await _open_one(transaction, locked, price.id)
        await _refuse_a_second(transaction, session.user_id, customer, mode)
        if known:
            return known
        opened = (await transaction.exec(select(func.count()).where(Checkout.customer_id == customer))).one()
        made = await create_once(
            stripe_client().v1.checkout.sessions.create_async,
            _wanted(session, customer, price, mode),
            key=f"checkout/{customer}/{opened}",
        )
        transaction.add(
            Checkout(
                id=made.id,
                customer_id=customer,
                price_id=price.id,
                status="open",
                created_at=datetime.fromtimestamp(made.created, UTC),
            )
        )
    return made.url or ""


async def _refuse_a_second(transaction: AsyncSession, user: UUID, customer: str, mode: str) -> None:
    """Refuse what somebody has already; Stripe is asked, since its events may be on their way still."""
    for purchase in await records.purchases_of(transaction, user):
        if purchase.status == "processing":
            raise OnItsWay
        if decide([purchase], [], clock.now()).access:
            raise BoughtAlready
    if mode == "subscription":
        for known in await records.subscriptions_of(transaction, user):
            if known.status in LIVE and known.customer_id != customer:
                raise SubscribedAlready
        async for one in stripe.all_subscriptions(customer):
            if one.status in LIVE and await records.is_ours(transaction, one.price):
                raise SubscribedAlready


async def _open_one(transaction: AsyncSession, customer: Customer, price: str) -> str | None:
    """Where the checkout for this price that is open already goes on; those for others are closed.

    What became of each is stored: one that was paid a moment ago counts, although its event is on its way still.
    """
    opened = select(Checkout).where(Checkout.customer_id == customer.id, Checkout.status == "open")
    address = None
    for row in (await transaction.exec(opened.order_by(col(Checkout.created_at)))).all():
        try:
            read = await stripe.read_checkout(row.id)
            if read.status == "open" and (row.price_id != price or address):
                read = await _closed(row.id)
        except NotAtStripe:  # of another Stripe account than the one we ask now
            row.status = "expired"
            continue
        if read.status == "open":
            address = read.url
        else:
            await records.store_checkout(transaction, customer, read)
    return address


async def _closed(checkout: str) -> stripe.Checkout:
    """A checkout that nobody can pay any more, or that was paid just now."""
    with suppress(PaymentsRefused), asking():  # it is open no more
        await stripe_client().v1.checkout.sessions.expire_async(checkout)
    read = await stripe.read_checkout(checkout)
    if read.status == "open":
        raise PaymentsUnavailable
    return read


def _wanted(session: Session, customer: str, price: Price, mode: str) -> Any:
    """The checkout to be opened (https://docs.stripe.com/api/checkout/sessions/create)."""
    settings = get_settings()
    about = {"sigma_user": str(session.user_id), "plan": price.lookup_key or ""}
    wanted: Any = {
        "mode": mode,
        "customer": customer,
        "client_reference_id": str(session.user_id),
        "line_items": [{"price": price.id, "quantity": 1}],
        "metadata": about,
        "success_url": f"{settings.base_url}{RETURN}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{settings.base_url}/billing?said=not-paid",
    }
    if mode == "subscription":
        wanted["subscription_data"] = {"metadata": about}
    else:
        wanted["payment_intent_data"] = {"metadata": about}
        wanted["invoice_creation"] = {"enabled": True}  # a single payment has an invoice to download, too
    if settings.stripe_promotion_codes:
        wanted["allow_promotion_codes"] = True
    if settings.stripe_automatic_tax:
        wanted["automatic_tax"] = {"enabled": True}
        wanted["customer_update"] = {"address": "auto"}  # Stripe Tax goes by the address that is typed there
    return wanted


async def _portal_address(customer: str) -> str:
    wanted: Any = {"customer": customer, "return_url": f"{get_settings().base_url}/billing?said=back"}
    with asking():
        if ours := await stripe.our_portal():  # else what Stripe's dashboard says
            wanted["configuration"] = ours
        opened = await stripe_client().v1.billing_portal.sessions.create_async(wanted)
    return opened.url
