"""How the queue stands, of all processes: it is in the database."""

from __future__ import annotations

from typing import NamedTuple

from sigma_app.core.database import SERVICE, Step, get_database


class QueueNow(NamedTuple):
    """How many jobs there are by status ("todo", "doing", "failed"), and how many seconds the oldest due one waits."""

    jobs: dict[str, int]
    oldest: float


async def queue_now() -> QueueNow:
    """How the queue stands right now.

    Raises:
        DatabaseUnavailable, psycopg.Error: it could not be read.
    """
    rows = await get_database().run(Step(SERVICE, _BY_STATUS))
    return QueueNow({status: count for status, count, _ in rows}, max((oldest for *_, oldest in rows), default=0))


_BY_STATUS = """
select job.status::text, count(*),
  coalesce(extract(epoch from now() - min(coalesce(job.scheduled_at, event.at))
    filter (where job.status = 'todo' and (job.scheduled_at is null or job.scheduled_at <= now()))), 0)::float
from procrastinate.procrastinate_jobs as job
  left join procrastinate.procrastinate_events as event on event.job_id = job.id and event.type = 'deferred'
where job.status in ('todo', 'doing', 'failed')
group by job.status
"""
