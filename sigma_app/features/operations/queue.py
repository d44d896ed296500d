"""How the queue stands, of all processes: it is in the database."""

from __future__ import annotations

from typing import NamedTuple

from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.jobs import SILENCE


class QueueNow(NamedTuple):
    """How the queue stands."""

    jobs: dict[str, int]
    """How many there are by status: "todo", "doing", "failed"."""
    oldest: float
    """How many seconds the oldest due one waits."""
    workers: int
    """How many workers said lately that they live."""


async def queue_now() -> QueueNow:
    """How the queue stands right now.

    Raises:
        DatabaseUnavailable, psycopg.Error: it could not be read.
    """
    ((jobs, oldest, workers),) = await get_database().run(Step(SERVICE, _NOW, [SILENCE.total_seconds()]))
    return QueueNow(jobs, oldest, workers)


_NOW = """
select coalesce(jsonb_object_agg(status, jobs), '{}'), coalesce(max(oldest), 0)::float, (
  select count(*) from procrastinate.procrastinate_workers where last_heartbeat > now() - make_interval(secs => %s)
)
from (
  select job.status::text, count(*) as jobs,
    extract(epoch from now() - min(coalesce(job.scheduled_at, event.at))
      filter (where job.status = 'todo' and (job.scheduled_at is null or job.scheduled_at <= now()))) as oldest
  from procrastinate.procrastinate_jobs as job
    left join procrastinate.procrastinate_events as event on event.job_id = job.id and event.type = 'deferred'
  where job.status in ('todo', 'doing', 'failed')
  group by job.status
) as by_status
"""
