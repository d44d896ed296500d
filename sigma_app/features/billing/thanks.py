"""What became of a checkout that somebody comes back from, by Stripe's own word; it grants nothing.

Access is the webhook's to give. Should its event be late, a job reads the customer at Stripe as an event would have.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Literal

from sqlmodel import func, select

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.limits import Limiter
from sigma_app.features.billing.checkout import LIVE
from sigma_app.gateways import stripe_objects as stripe
from sigma_app.gateways.payments import NotAtStripe
from sigma_app.models import Customer
from sigma_app.session.store import Session

LATE = timedelta(seconds=5)
"""How long an event may take before Stripe is asked without it."""
_CHECKOUT = re.compile(r"cs_[A-Za-z0-9_]{1,250}")

logger = logging.getLogger(__name__)

Outcome = Literal["paid", "processing", "failed", "open", "expired", "over", "unknown"]


@dataclass(frozen=True, slots=True)
class Thanks:
    """What became of it."""

    outcome: Outcome
    url: str = ""
    """Where an open one goes on."""


async def outcome_of(session: Session, checkout: str) -> Thanks:
    """How a checkout of whoever is signed in stands at Stripe.

    Args:
        session: who asks.
        checkout: its id, as it stands in the address, where anybody may write anything.

    Raises:
        PaymentsUnavailable, DatabaseUnavailable: it could not be read.
    """
    if not _CHECKOUT.fullmatch(checkout) or await _limiter().wait(str(session.user_id)):
        return Thanks("unknown")
    try:
        read = await stripe.read_checkout(checkout)
    except NotAtStripe:
        return Thanks("unknown")
    if not await _is_theirs(session, read):
        logger.warning("A user asked for the checkout of somebody else: %s", session.user_id)
        return Thanks("unknown")
    if read.status != "complete":
        return Thanks("open", read.url or "") if read.status == "open" else Thanks("expired")
    if read.mode == "subscription":
        subscription = await stripe.read_subscription(read.subscription or "")
        if subscription.status not in LIVE:
            return Thanks("over")
        return Thanks("paid" if read.payment_status != "unpaid" else "processing")
    back = read.dispute == "lost" or 0 < read.amount <= read.refunded
    return Thanks("over" if back else read.payment)


@cache
def _limiter() -> Limiter:
    """Each look asks Stripe, whose limit is one for everybody."""
    return Limiter("thanks", "30/minute")


async def look_if_late(session: Session, cause: str) -> None:
    """Have Stripe read in a moment, should its event not have come by then; `cause` is for the record of access."""
    async with get_database().transaction(SERVICE) as transaction:
        again = func.sigma.queue_look_again(session.user_id, cause, clock.now() + LATE)
        await transaction.exec(select(again))


async def _is_theirs(session: Session, read: stripe.Checkout) -> bool:
    async with get_database().transaction(session.actor) as transaction:
        mine = select(Customer.id).where(Customer.user_id == session.user_id, Customer.id == read.customer)
        bound = (await transaction.exec(mine)).first() is not None
    return bound and read.user == str(session.user_id)
