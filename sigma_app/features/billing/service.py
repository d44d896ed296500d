"""What other features may ask of billing: that somebody leaves, and what is kept about them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from sigma_app.core.database import SERVICE, get_database
from sigma_app.features.billing.errors import DebitUnderWay
from sigma_app.features.billing.records import living_customer, purchases_of, subscriptions_of
from sigma_app.features.billing.standing import standing
from sigma_app.gateways.payments import NotAtStripe, asking, stripe_client
from sigma_app.models import AccessChange, Customer
from sigma_app.session.store import Session


async def refuse_while_under_way(user: UUID) -> None:
    """Refuse to let somebody go whose bank debit would be collected afterwards, from nobody.

    Raises:
        DebitUnderWay: there is one.
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().transaction(SERVICE) as session:
        if any(one.status == "processing" for one in await purchases_of(session, user)):
            raise DebitUnderWay


async def close_customer(user: UUID) -> None:
    """Delete somebody's customer at Stripe, which ends what they subscribed to at once; before their account goes.

    Raises:
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: it is still there, or may be.
    """
    async with get_database().transaction(SERVICE) as session:
        customer = await living_customer(session, user)
    if customer:
        await delete_customer(customer)


async def delete_customer(customer: str) -> None:
    """Delete a customer at Stripe, unless that was done already.

    Raises:
        PaymentsUnavailable, PaymentsRefused: it is still there, or may be.
    """
    with suppress(NotAtStripe), asking():
        await stripe_client().v1.customers.delete_async(customer)


async def plan_of(session: Session) -> tuple[str, bool]:
    """What somebody pays, in words, and whether they have access.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    now = await standing(session)
    return now.plan, now.access


async def what_is_kept(session: Session) -> dict[str, Any]:
    """Everything that billing holds about whoever is signed in, read as them.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().transaction(session.actor) as transaction:
        customers = await transaction.exec(select(Customer).where(Customer.user_id == session.user_id))
        mine = select(AccessChange).where(AccessChange.user_id == session.user_id).order_by(col(AccessChange.id))
        return {
            "customers": [one.model_dump(exclude={"user_id"}) for one in customers.all()],
            "purchases": [one.model_dump() for one in await purchases_of(transaction, session.user_id)],
            "subscriptions": [one.model_dump() for one in await subscriptions_of(transaction, session.user_id)],
            "access": [_told(one) for one in (await transaction.exec(mine)).all()],
        }


def _told(change: AccessChange) -> dict[str, Any]:
    """A change without who of us made it by hand."""
    unsaid = {"user_id", "cause"} if change.rule in ("by hand", "profile deleted") else {"user_id"}
    return change.model_dump(exclude=unsaid)
