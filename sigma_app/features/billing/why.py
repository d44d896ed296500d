"""Why somebody has access, or why not: what they pay for, as it was last read at Stripe, and every change since.

For the operator, at the console and on the command line; a cursor reads what its role may.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncCursor

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
    status: str
    told: Sequence[str]
    """What else there is to say of it; amounts are in the smallest unit of their currency."""


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
    return [PaidFor(**row) for row in await cursor.fetchall()]


async def access_changes(cursor: AsyncCursor[dict[str, Any]], user: UUID) -> list[Change]:
    """Every change of somebody's access, the oldest first.

    Raises:
        psycopg.Error: it could not be read.
    """
    await cursor.execute(_CHANGES, [user])
    return [Change(**row) for row in await cursor.fetchall()]


_PAID_FOR = """
    select one.created_at as at, kind, one.id, coalesce(price.lookup_key, one.price_id) as what, status, told
    from billing.customers as customer
    cross join lateral (
      select created_at, 'subscription' as kind, id, price_id, status, array_remove(array[
        to_char(current_period_end at time zone 'utc', '"period ends" YYYY-MM-DD'),
        to_char(cancel_at at time zone 'utc', '"canceled for" YYYY-MM-DD'),
        to_char(past_due_since at time zone 'utc', '"past due since" YYYY-MM-DD'),
        'for ' || end_reason
      ], null) as told
      from billing.subscriptions where customer_id = customer.id
      union all
      select created_at, 'purchase', id, price_id, status, array_remove(array[
        format('%%s %%s', amount, currency),
        case when refunded > 0 then format('refunded %%s', refunded) end,
        'dispute ' || dispute
      ], null)
      from billing.purchases where customer_id = customer.id
    ) as one
    left join billing.prices as price on price.id = one.price_id
    where customer.user_id = %s order by one.created_at
"""
_CHANGES = """
    select at, before, after, rule, coalesce(price_id, '') as price, coalesce(subject, '') as subject, cause,
      coalesce(event_id, '') as event
    from billing.access_changes where user_id = %s order by id
"""
