"""Keeps the numbers of each day, once it is over."""

from __future__ import annotations

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.jobs import queue
from sigma_app.features.growth import service


# Every hour, not every night: so a night that was missed, and the days before Sigma counted, are soon made up for.
# Where there is nothing to do it costs a query.
@queue.periodic(cron="20 * * * *")
@queue.task(name="growth:roll_up", queueing_lock="growth:roll_up")
async def roll_up(timestamp: int) -> None:
    """Keep the days that are over, each in a transaction of its own, and forget the visits that are old."""
    today = clock.now().date()
    async with get_database().cursor(SERVICE) as cursor:
        days = await service.days_to_roll_up(cursor, today)
    for day in days:
        async with get_database().cursor(SERVICE) as cursor:
            await service.roll_up(cursor, day)
    async with get_database().cursor(SERVICE) as cursor:
        await service.forget_visits(cursor, today)
