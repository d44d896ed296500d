"""Works Stripe's events, which the webhook has kept: a job works those of its customer that wait, the oldest first.

An event that cannot be worked stays with the reason, and stands in nobody's way: those behind it read the same customer
and end the same. Its job tries again as every job does; what is left then is a dead letter, for the operator to see and
to replay (`python -m sigma_app stripe-events`).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.webhooks import mark_failed, mark_handled, put_back, unhandled
from sigma_app.features.billing import events
from sigma_app.features.billing.turns import Line, turn
from sigma_app.gateways.payments import PaymentsUnavailable

SOURCE = "stripe"
LONGEST = timedelta(minutes=5)  # in a turn; half of what a job may take


async def work(event_id: str) -> None:
    """Work an event, and before it those of the same customer that wait.

    Raises:
        PaymentsUnavailable, DatabaseUnavailable, PaymentsRefused: this event waits still; others have their jobs.
        TimeoutError: as these; those before it took too long.
    """
    if not (found := await get_database().run(Step(SERVICE, _CUSTOMER, {"id": event_id}))):
        return  # worked with one before it
    async with turn(Line.WORKER, found[0][0]), asyncio.timeout(LONGEST.total_seconds()):
        rows = await get_database().run(Step(SERVICE, _WAITING, {"id": event_id}))
        for (waiting,) in rows:
            try:
                await _work_one(waiting)
            except Exception as error:
                await mark_failed(SOURCE, waiting, error)
                if waiting == event_id or isinstance(error, PaymentsUnavailable | DatabaseUnavailable):
                    raise


async def replay(transaction: AsyncSession, event_id: str) -> bool:
    """Have an event worked again, also one that was worked, in a transaction of SERVICE; whether there is such a one.

    That is safe: it says what to look at, and Stripe is asked how that stands.
    """
    known = await put_back(transaction, SOURCE, event_id)
    if known:
        await (await transaction.connection()).execute(_QUEUE, {"id": event_id})
    return known


async def replay_waiting(transaction: AsyncSession) -> int:
    """Have all events that wait worked again, in a transaction of SERVICE; how many."""
    connection = await transaction.connection()
    return len((await connection.execute(_REPLAY_WAITING)).all())


async def _work_one(event_id: str) -> None:
    async with get_database().transaction(SERVICE) as session:
        event = await unhandled(session, SOURCE, event_id)
        if event is not None:
            await events.apply(session, event)
            await mark_handled(session, SOURCE, event_id)


_CUSTOMER = """
select coalesce(known.user_id::text, event.customer, event.id)
from sigma.webhook_events as event left join billing.customers as known on known.id = event.customer
where event.source = 'stripe' and event.id = %(id)s and event.handled_at is null
"""
_WAITING = """
with this as (select customer, created_at from sigma.webhook_events where source = 'stripe' and id = %(id)s)
select event.id from sigma.webhook_events as event, this
where event.source = 'stripe' and event.handled_at is null
  and (event.id = %(id)s or event.customer = this.customer and event.created_at <= this.created_at)
order by event.created_at, event.id = %(id)s, event.id
"""
_QUEUE = text("select sigma.queue_stripe_event(:id)")
_REPLAY_WAITING = text("""
with again as (
  update sigma.webhook_events set error = null where source = 'stripe' and handled_at is null returning id
)
select sigma.queue_stripe_event(id) from again
""")
