"""Why somebody has access, or why not: what they pay for, as it was last read at Stripe, and every change since.

For the operator, at the console and on the command line; a cursor reads what its role may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncCursor

from sigma_app.features.billing import money
from sigma_app.features.billing.access import RULES


class PaidFor(NamedTuple):
    """A purchase or a subscription."""

    at: datetime
    """When it was begun."""
    kind: str
    """"purchase" or "subscription"."""
    id: str
    what: str
    """The price, by its name or its id."""
    price: str
    """What it costs, such as "$29.00 a month"; "" where the price is not known here."""
    status: str
    told: Sequence[str]
    """What else there is to say of it, such as "renews on 2026-12-28"."""


class Change(NamedTuple):
    """A change of somebody's access, or of why they have it; "" for what there is not."""

    at: datetime
    before: bool
    after: bool
    rule: str
    price: str
    subject: str
    """The id of the purchase or the subscription that decided."""
    cause: str
    event: str

    @property
    def words(self) -> str:
        """The rule, as its owner reads it."""
        return RULES.get(self.rule, self.rule)


async def paid_for(cursor: AsyncCursor[dict[str, Any]], user: UUID) -> list[PaidFor]:
    """What somebody bought and subscribed to, as any customer of theirs, the oldest first.

    Raises:
        psycopg.Error: it could not be read.
    """
    await cursor.execute(_PAID_FOR, [user])
    return [_paid_for(row) for row in await cursor.fetchall()]


def _paid_for(row: Mapping[str, Any]) -> PaidFor:
    known = row["amount"] is not None
    price = money.recurring(row["amount"], row["currency"], row["every"], row["every_count"]) if known else ""
    told = _of_subscription(row) if row["kind"] == "subscription" else _of_purchase(row)
    return PaidFor(row["at"], row["kind"], row["id"], row["what"], price, row["status"], told)


def _of_subscription(row: Mapping[str, Any]) -> list[str]:
    goes_on = row["status"] in ("active", "trialing") and row["cancel_at"] is None
    times = {
        "renews on" if goes_on else "period ends": row["current_period_end"],
        "canceled for": row["cancel_at"],
        "past due since": row["past_due_since"],
        "ended on": row["ended_at"],
    }
    told = [f"{words} {at.astimezone(UTC):%Y-%m-%d}" for words, at in times.items() if at]
    return [*told, *([f"for {row['end_reason']}"] if row["end_reason"] else [])]


def _of_purchase(row: Mapping[str, Any]) -> list[str]:
    told = [f"{money.words(row['paid'], row['paid_in'])} in all"]
    if row["refunded"]:
        told.append(f"{money.words(row['refunded'], row['paid_in'])} given back")
    return [*told, *([f"dispute {row['dispute']}"] if row["dispute"] else [])]


async def access_changes(cursor: AsyncCursor[dict[str, Any]], user: UUID) -> list[Change]:
    """Every change of somebody's access, the oldest first.

    Raises:
        psycopg.Error: it could not be read.
    """
    await cursor.execute(_CHANGES, [user])
    return [Change(**row) for row in await cursor.fetchall()]


_PAID_FOR = """
    select one.*, coalesce(price.lookup_key, one.price_id) as what, price.amount, price.currency, price.every,
      price.every_count
    from billing.customers as customer
    cross join lateral (
      select created_at as at, 'subscription' as kind, id, price_id, status, current_period_end, cancel_at,
        past_due_since, ended_at, end_reason, null::bigint as paid, null::text as paid_in, null::bigint as refunded,
        null::text as dispute
      from billing.subscriptions where customer_id = customer.id
      union all
      select created_at, 'purchase', id, price_id, status, null, null, null, null, null, amount, currency, refunded,
        dispute
      from billing.purchases where customer_id = customer.id
    ) as one
    left join billing.prices as price on price.id = one.price_id
    where customer.user_id = %s order by one.at
"""
_CHANGES = """
    select at, before, after, rule, coalesce(price_id, '') as price, coalesce(subject, '') as subject, cause,
      coalesce(event_id, '') as event
    from billing.access_changes where user_id = %s order by id
"""
