"""Which of Stripe's events that we keep are about somebody: by every id of theirs, since not each names their customer.

A refund or a dispute names a payment and its charge, an `invoice_payment` its invoice. What of that is whose stands in
the events beside it, in our own tables, and at Stripe. The index webhook_events_naming has the same ids as `_NAMED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.gateways import stripe_objects as stripe


async def ids_of(known: Sequence[str]) -> list[str]:
    """All ids of Stripe's that belong together with these, as far as this database knows, and these.

    Args:
        known: customers, or anything of theirs.

    Raises:
        DatabaseUnavailable: it could not be read.
    """
    if not known:
        return []
    steps = Step(SERVICE, _UNCOMPILED), Step(SERVICE, _IDS, {"known": list(known)})
    return [found for (found,) in await get_database().run(*steps)]


async def ids_at_stripe(customers: Sequence[str]) -> list[str]:
    """The ids of what these customers paid, by Stripe: a dispute of long ago names nothing else.

    Raises:
        PaymentsUnavailable, PaymentsRefused: they could not be read.
    """
    return [found for customer in customers async for found in stripe.all_charges(customer)]


async def events_of(ids: Sequence[str]) -> list[dict[str, Any]]:
    """The events that are kept and name one of these: what Stripe told us, which is ids and no names.

    Raises:
        DatabaseUnavailable: they could not be read.
    """
    if not ids:
        return []
    rows = await get_database().run(Step(SERVICE, _EVENTS, {"ids": list(ids)}))
    return [{"id": event, "type": kind, "received_at": at} for event, kind, at in rows]


async def forget_events(session: AsyncSession, ids: Sequence[str]) -> bool:
    """Remove the events that name one of these, in a transaction of SERVICE.

    While one of these is a customer of an account, those that were not worked yet stay, since they may be about its
    access. What is worked at this moment stays as well.

    Returns:
        Whether there is nothing of theirs left to come: neither an event nor the customer.
    """
    if not ids:
        return True
    connection = await session.connection()
    await connection.execute(_FORGET, {"ids": list(ids)})
    return (await connection.execute(_ENDED, {"ids": list(ids)})).scalar_one()


_NAMED: LiteralString = """
array[event.customer, event.body #>> '{data,object,id}', event.body #>> '{data,object,payment_intent}',
  event.body #>> '{data,object,charge}', event.body #>> '{data,object,invoice}',
  event.body #>> '{data,object,parent,subscription_details,subscription}']
"""
# How many ids belong together is estimated at millions, which Postgres would compile machine code for: half a second.
_UNCOMPILED = "select set_config('jit', 'off', true)"
_IDS = f"""
with recursive known as (
  select unnest(%(known)s::text[]) as id
), theirs as (
  select id from known
  union select id from billing.checkouts where customer_id in (select id from known)
  union select id from billing.subscriptions where customer_id in (select id from known)
  union select id from billing.purchases where customer_id in (select id from known)
  union select payment_intent from billing.purchases
    where customer_id in (select id from known) and payment_intent is not null
), together as (
  select id from theirs
  union
  select beside.id
  from together
    join sigma.webhook_events as event on event.source = 'stripe' and {_NAMED} && array[together.id]
    cross join unnest({_NAMED}) as beside (id)
  where beside.id is not null
)
select id from together order by id
"""  # noqa: S608 - a piece of our own
_EVENTS = f"""
select id, type, received_at from sigma.webhook_events as event
where source = 'stripe' and {_NAMED} && %(ids)s::text[] order by received_at, id
"""  # noqa: S608 - a piece of our own
_CUSTOMERS = "select from billing.customers where id = any(cast(:ids as text[]))"
_FORGET = text(f"""
delete from sigma.webhook_events where source = 'stripe' and id = any(array(
  select id from sigma.webhook_events as event
  where source = 'stripe' and {_NAMED} && cast(:ids as text[])
    and (handled_at is not null or not exists ({_CUSTOMERS}))
  for update skip locked
))
""")  # noqa: S608 - pieces of our own
# Counted, since to see whether there is one it would be looked for among all of them.
_ENDED = text(f"""
select not exists ({_CUSTOMERS}) and (
  select count(*) from sigma.webhook_events as event where source = 'stripe' and {_NAMED} && cast(:ids as text[])
) = 0
""")  # noqa: S608 - pieces of our own
