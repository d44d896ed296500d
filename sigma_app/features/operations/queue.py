"""How the queue stands, of all processes: it is in the database. And another try for what failed in it, or its end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.errors import RaiseException, UniqueViolation
from psycopg.sql import SQL
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import SigmaError
from sigma_app.core.jobs import SILENCE

_LONGEST = 80  # characters of an argument


class QueueNow(NamedTuple):
    """How the queue stands."""

    jobs: dict[str, int]
    """How many there are by status: "todo", "doing", "failed"."""
    later: int
    """How many of those to do are not due yet."""
    oldest: float
    """How many seconds the oldest due one waits."""
    workers: int
    """How many workers said lately that they live; a process has one for all queues, and one for each that is apart."""
    heard_at: datetime | None
    """When the latest did."""


class DoneMeanwhile(SigmaError):
    """Somebody else did something to these jobs at this very moment. Nothing was done; look again."""

    status = 409


async def queue_now() -> QueueNow:
    """How the queue stands right now.

    Raises:
        DatabaseUnavailable, psycopg.Error: it could not be read.
    """
    ((jobs, later, oldest, workers, heard_at),) = await get_database().run(
        Step(SERVICE, _NOW, [SILENCE.total_seconds()])
    )
    return QueueNow(jobs, later, oldest, workers, heard_at)


async def try_again(transaction: AsyncSession, job: int | None = None, task: str | None = None) -> int:
    """Put failed jobs back into the queue, in a transaction of SERVICE; how many.

    One stays as it is where another one of its kind waits already.

    Args:
        transaction: with whose commit they are there.
        job: only this one.
        task: only those of this name, such as "mail:forget".

    Raises:
        DoneMeanwhile: nothing was put back.
    """
    connection = await transaction.connection()
    try:
        return len((await connection.execute(_AGAIN, {"job": job, "task": task})).all())
    except DBAPIError as error:
        if isinstance(error.orig, UniqueViolation | RaiseException):
            raise DoneMeanwhile from error
        raise


async def drop(transaction: AsyncSession, job: int) -> str | None:
    """Delete a failed job with its errors, in a transaction of SERVICE; its name, or None where there is none."""
    connection = await transaction.connection()
    return (await connection.execute(_DROP, {"job": job})).scalar_one_or_none()


def shown_arguments(args: Mapping[str, Any]) -> dict[str, str]:
    """The arguments of a job as an operator sees them: ids and words, and nothing that leads to somebody's address."""
    return {name: _shown(name, value) for name, value in args.items() if name != "_request"}


def _shown(name: str, value: Any) -> str:
    said = str(value)
    if name in ("sealed", "digest") or "@" in said:
        return "not shown"
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"


JOBS = SQL("""
select job.id, job.task_name as task, job.queue_name as queue, job.status::text as status, job.args, job.attempts,
  job.scheduled_at as due, job.args ->> '_request' as request,
  (select min(at) from procrastinate.procrastinate_events where job_id = job.id and type = 'deferred') as queued,
  (select max(at) from procrastinate.procrastinate_events where job_id = job.id and type = 'started') as started,
  failure.failed_at, failure.error
from procrastinate.procrastinate_jobs as job
  left join lateral (
    select failed_at, error from sigma.job_errors where job_id = job.id order by id desc limit 1
  ) as failure on true
""")
"""Every job with its latest error, for a cursor of whoever may read them."""

_NOW = """
select coalesce(jsonb_object_agg(status, jobs), '{}'), coalesce(max(later), 0), coalesce(max(oldest), 0)::float,
  (select count(*) from procrastinate.procrastinate_workers where last_heartbeat > now() - make_interval(secs => %s)),
  (select max(last_heartbeat) from procrastinate.procrastinate_workers)
from (
  select job.status::text, count(*) as jobs,
    count(*) filter (where job.status = 'todo' and job.scheduled_at > now()) as later,
    extract(epoch from now() - min(coalesce(job.scheduled_at, event.at))
      filter (where job.status = 'todo' and (job.scheduled_at is null or job.scheduled_at <= now()))) as oldest
  from procrastinate.procrastinate_jobs as job
    left join procrastinate.procrastinate_events as event on event.job_id = job.id and event.type = 'deferred'
  where job.status in ('todo', 'doing', 'failed')
  group by job.status
) as by_status
"""
# A lock for waiting lets one of its kind wait: of several that failed the latest, and none where one waits already.
_AGAIN = text("""
with again as materialized (
  select distinct on (coalesce(job.queueing_lock, job.id::text)) job.id
  from procrastinate.procrastinate_jobs as job
  where job.status = 'failed' and job.id = coalesce(cast(:job as bigint), job.id)
    and job.task_name = coalesce(cast(:task as text), job.task_name)
    and not exists (
      select from procrastinate.procrastinate_jobs as other
      where other.status = 'todo' and other.queueing_lock = job.queueing_lock
    )
  order by coalesce(job.queueing_lock, job.id::text), job.id desc
)
select procrastinate.procrastinate_retry_job_v2(id, now(), null, null, null) from again
""")
_DROP = text("""
delete from procrastinate.procrastinate_jobs where id = :job and status = 'failed' returning task_name
""")
