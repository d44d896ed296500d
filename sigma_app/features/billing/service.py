"""What other features may ask of billing: that somebody leaves, what is kept about them, why they have access, and
that an event is worked again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from sigma_app.core.database import SERVICE, Actor, get_database
from sigma_app.features.billing.access import is_under_way
from sigma_app.features.billing.errors import DebitUnderWay as DebitUnderWay
from sigma_app.features.billing.kept import events_of as events_of
from sigma_app.features.billing.kept import forget_events as forget_events
from sigma_app.features.billing.kept import ids_at_stripe as ids_at_stripe
from sigma_app.features.billing.kept import ids_of as ids_of
from sigma_app.features.billing.records import living_customer, purchases_of, subscriptions_of
from sigma_app.features.billing.standing import standing
from sigma_app.features.billing.why import Change, access_changes, paid_for
from sigma_app.features.billing.work import replay, replay_waiting
from sigma_app.gateways.payments import NotAtStripe, asking, stripe_client
from sigma_app.models import AccessChange, Customer
from sigma_app.session.store import Session

__all__ = [
    "Change",
    "access_changes",
    "close_customer",
    "delete_customer",
    "paid_for",
    "plan_of",
    "refuse_while_under_way",
    "replay",
    "replay_waiting",
    "what_is_kept",
]


async def refuse_while_under_way(user: UUID) -> None:
    """Refuse to let somebody go whose bank debit would be collected afterwards, from nobody.

    Raises:
        DebitUnderWay: there is one.
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().transaction(SERVICE) as session:
        if is_under_way(await purchases_of(session, user), await subscriptions_of(session, user)):
            raise DebitUnderWay


async def close_customer(user: UUID) -> None:
    """Delete somebody's customer at Stripe, which ends what they subscribed to at once; before their account goes.

    Raises:
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: it is still there, or may be.
    """
    if customer := await customer_of(user):
        await delete_customer(customer)


async def delete_customer(customer: str) -> None:
    """Delete a customer at Stripe, unless that was done already.

    Raises:
        PaymentsUnavailable, PaymentsRefused: it is still there, or may be.
    """
    with suppress(NotAtStripe), asking():
        await stripe_client().v1.customers.delete_async(customer)


async def customer_of(user: UUID) -> str | None:
    """Stripe's id of somebody's customer; None for who is none there.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().transaction(SERVICE) as session:
        return await living_customer(session, user)


async def customer_at_stripe(user: UUID) -> dict[str, Any] | None:
    """What Stripe itself has in somebody's customer of what they gave or see there; None for who is none there.

    Neither metadata and descriptions, in which operators write for each other, nor what Stripe may add one day.

    Raises:
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: it could not be read.
    """
    customer = await customer_of(user)
    if customer is None:
        return None
    with suppress(NotAtStripe), asking():
        found = (await stripe_client().v1.customers.retrieve_async(customer)).to_dict()
        return {name: found[name] for name in _THEIRS if name in found}
    return None


async def plan_of(session: Session) -> tuple[str, bool]:
    """What somebody pays, in words, and whether they have access.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    now = await standing(session)
    return now.plan, now.access


async def what_is_kept(user: UUID, actor: Actor) -> dict[str, Any]:
    """Everything that billing holds about somebody.

    Args:
        user: about whom.
        actor: who reads it: they themselves, or SERVICE.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().transaction(actor) as transaction:
        customers = await transaction.exec(select(Customer).where(Customer.user_id == user))
        mine = select(AccessChange).where(AccessChange.user_id == user).order_by(col(AccessChange.id))
        return {
            "customers": [one.model_dump(exclude={"user_id"}) for one in customers.all()],
            "purchases": [one.model_dump() for one in await purchases_of(transaction, user)],
            "subscriptions": [one.model_dump() for one in await subscriptions_of(transaction, user)],
            "access": [_told(one) for one in (await transaction.exec(mine)).all()],
        }


_THEIRS = (
    *("id", "object", "created", "livemode", "name", "individual_name", "business_name", "email", "phone", "address"),
    *("shipping", "preferred_locales", "currency", "balance", "delinquent", "invoice_prefix", "tax_ids", "tax_exempt"),
)
"""Of Stripe's customer, by its API reference: what a person gave at a checkout or in the portal, or sees on a bill."""


def _told(change: AccessChange) -> dict[str, Any]:
    """A change without who of us made it by hand."""
    unsaid = {"user_id", "cause"} if change.rule in ("by hand", "profile deleted") else {"user_id"}
    return change.model_dump(exclude=unsaid)
