"""Background jobs: queued in the transaction that causes them, run by a worker in this or another process.

The queue is procrastinate's, in Postgres, in a schema of its own. A feature declares a job with
`@job("feature:verb")` in its jobs.py, and queues it with `queue_job` (SQL: `sigma.queue_job`) in the
transaction that makes it necessary: it commits with its cause or not at all. A job may run more than once, since a
worker can die between doing its work and saying so: each is written so that the second time changes nothing.

A job that fails is tried again, later and later; one that fails for good stays, with its errors, for the operator
(`python -m sigma_app jobs`). One that succeeds is deleted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from psycopg import AsyncConnection
from sqlalchemy import cast, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.connecting import CONNECT_SECONDS, session_address
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable, SigmaError, without_message
from sigma_app.core.logs import request_id
from sigma_app.core.metrics import JOB_SECONDS, JOBS
from sigma_app.core.spans import span

CONCURRENCY = 10  # jobs at a time in one worker, and of each queue apart; they wait for others most of the time
HEARTBEAT = timedelta(seconds=5)
SILENCE = timedelta(seconds=20)  # a worker that was not heard of for so long is dead, and its jobs run again
GRACE = timedelta(seconds=5)  # for jobs in hand when the worker is told to stop; then they go back into the queue
FAREWELL = timedelta(seconds=3)  # for its last words to the database
LONGEST = timedelta(minutes=10)  # a job under way for longer has ended, and its worker could not say so; but see `job`
QUEUE = "default"  # what sigma.queue_job puts a job into
UPKEEP = "upkeep"  # the queue's care for itself, which is every worker's
POLL = timedelta(seconds=1)  # when jobs that were to wait are looked for; new ones announce themselves
RECONNECT = timedelta(seconds=2)

logger = logging.getLogger(__name__)
# It repeats the error's message, which may hold what people typed; the failures are ours to log, below.
logging.getLogger("procrastinate").setLevel(logging.CRITICAL)

queue = App(connector=PsycopgConnector())


class _Heard(JobManager):
    """The queue's own, that notes when the database last heard of a worker of this process."""

    heard_at: float | None = None  # seconds of the monotonic clock
    tried_at: float | None = None  # when a worker last asked for the database, in vain or not

    async def register_worker(self) -> int:
        worker = await super().register_worker()
        self.heard_at = time.monotonic()
        return worker

    async def update_heartbeat(self, worker_id: int) -> None:
        await super().update_heartbeat(worker_id)
        self.heard_at = time.monotonic()


queue.job_manager = _heard = _Heard(queue.connector)


def silent_for() -> timedelta | None:
    """How long the database has not heard of the workers of this process; None where it never has."""
    return _ago(_heard.heard_at)


def idle_for() -> timedelta | None:
    """How long the workers of this process have done nothing, not even look for a database that is away."""
    return _ago(max((at for at in (_heard.heard_at, _heard.tried_at) if at is not None), default=None))


def _ago(at: float | None) -> timedelta | None:
    return None if at is None else timedelta(seconds=time.monotonic() - at)


class JobError(SigmaError):
    """A job could not do its work."""

    retry = True
    """Whether trying again can help."""
    retry_after: timedelta | None = None
    """How long the service that refused asks us to wait."""


class WorkerStopped(SigmaError):
    """A worker stopped by itself: it could not say that it lives, or no longer heard of new jobs."""


class Backoff(BaseRetryStrategy):
    """Tries ten times: again after 5 s, 15 s, 45 s and so on up to six hours, each a quarter more or less."""

    TRIES = 10
    FIRST = timedelta(seconds=5)
    FACTOR = 3
    LONGEST = timedelta(hours=6)
    JITTER = 0.25

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """When to run `job` again after `exception`, or None for never."""
        if isinstance(exception, asyncio.CancelledError):  # the worker stops: somebody else's turn, at once
            return RetryDecision(retry_in={"seconds": 0})
        if job.attempts + 1 >= self.TRIES or (isinstance(exception, JobError) and not exception.retry):
            return None
        wait = self._wait(job.attempts)
        wait *= random.uniform(1 - self.JITTER, 1 + self.JITTER)  # noqa: S311 - spreads the load, guards nothing
        if isinstance(exception, JobError) and exception.retry_after:
            wait = max(wait, exception.retry_after)
        return RetryDecision(retry_in={"seconds": wait.total_seconds()})  # pyright: ignore[reportArgumentType]

    @classmethod
    def altogether(cls) -> timedelta:
        """From the first try to the last, a quarter more or less."""
        return sum(map(cls._wait, range(cls.TRIES - 1)), timedelta())

    @classmethod
    def _wait(cls, attempts: int) -> timedelta:
        return min(cls.FIRST * cls.FACTOR**attempts, cls.LONGEST)


_longest: dict[str, float] = {}


def job(name: str, *, longest: timedelta = LONGEST, **options: Any) -> Callable[[Any], Any]:
    """Declare the async function below as what the job `name` does; retried as `Backoff` says.

    Args:
        name: "feature:verb".
        longest: how long it may be under way before it counts as one that never ended.
        options: of procrastinate's tasks.
    """
    _longest[name] = longest.total_seconds()
    return queue.task(**{"name": name, "retry": Backoff(), **options})


async def queue_job(session: AsyncSession, name: str, *, after: timedelta | None = None, **arguments: Any) -> None:
    """Queue a job in the transaction of `session`, which is one of SERVICE.

    Args:
        session: whose commit queues it.
        name: as declared with `job`.
        after: how long it waits at least.
        arguments: what JSON can hold; ids rather than addresses, since failed jobs stay.
    """
    at = datetime.now(UTC) + after if after else None
    await session.exec(select(func.sigma.queue_job(name, cast(arguments, JSONB), at)))


@asynccontextmanager
async def working(
    login_url: str, queues: Sequence[str] | None = None, apart: Sequence[str] = ()
) -> AsyncIterator[None]:
    """Run the jobs of these queues, or of all, inside the block; at its end those in hand are finished, or go back.

    Each queue that is named in `apart` has slots of its own: however long its jobs take, they keep no others waiting.
    """
    worker = asyncio.create_task(_work_for_ever(login_url, queues, apart), name="worker")
    try:
        yield
    finally:
        worker.cancel()
        await asyncio.wait([worker], timeout=(GRACE + FAREWELL).total_seconds())
        worker.cancel()  # of one that cannot say goodbye, because the database is away
        await asyncio.wait([worker], timeout=FAREWELL.total_seconds())


async def work(
    login_url: str, queues: Sequence[str] | None = None, apart: Sequence[str] = (), *, until_idle: bool = False
) -> None:
    """Run the jobs of these queues, or of all, until cancelled, or, with `until_idle`, until none is due.

    Queues in `apart` are run besides, as in `working`.

    Raises:
        ConnectorException, WorkerStopped: the database went away; jobs in hand are taken up by whoever comes next.
    """
    connector = PsycopgConnector(
        conninfo=session_address(login_url),
        configure=_become_worker,
        min_size=1,
        max_size=3 + len(apart),  # each hears of its new jobs over one
        timeout=CONNECT_SECONDS,
        kwargs={"connect_timeout": CONNECT_SECONDS},
    )
    with queue.replace_connector(connector):
        try:
            await connector.open_async()
            await retry_stalled_jobs()
            shares = [[*queues, UPKEEP] if queues else None, *([name] for name in apart)]
            await _all_of(_run(share, until_idle) for share in shares)
        finally:
            await connector.close_async()


async def _all_of(workers: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run these side by side; where one ends of an error the others end, too.

    Raises:
        Exception: what the first of them raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _run(queues: Sequence[str] | None, until_idle: bool) -> None:
    """One worker, which stops without a word where its connection fails: the others must not go on without it."""
    await queue.run_worker_async(
        queues=queues,  # pyright: ignore[reportArgumentType] - None is all
        concurrency=CONCURRENCY,
        wait=not until_idle,
        listen_notify=not until_idle,
        fetch_job_polling_interval=POLL.total_seconds(),
        delete_jobs="successful",
        update_heartbeat_interval=HEARTBEAT.total_seconds(),
        stalled_worker_timeout=SILENCE.total_seconds(),
        shutdown_graceful_timeout=GRACE.total_seconds(),
        install_signal_handlers=False,
        task_middleware=[_keep_error],
    )
    if not until_idle:
        raise WorkerStopped


async def retry_stalled_jobs() -> None:
    """Put back into the queue what nobody works on any more: jobs of workers that died, and those that never ended.

    One that was begun as often as a job may be is a dead letter: it may be what its workers died of.
    """
    manager = queue.job_manager
    silent = await manager.get_stalled_jobs(seconds_since_heartbeat=SILENCE.total_seconds())
    endless = await queue.connector.execute_query_all_async(
        _ENDLESS, seconds=LONGEST.total_seconds(), longest=json.dumps(_longest)
    )
    attempts = {row["id"]: row["attempts"] for row in endless} | {one.id: one.attempts for one in silent if one.id}
    for job_id, tried in attempts.items():
        with suppress(ConnectorException):  # another worker was first
            if tried + 1 >= Backoff.TRIES:
                await manager.finish_job_by_id_async(job_id, Status.FAILED, delete_job=False)
                await _record(job_id, "Its worker ended, or could not say what became of it, at every try.")
                continue
            try:
                await manager.retry_job_by_id_async(job_id, datetime.now(UTC))
            except UniqueViolation:  # one of its kind waits already, for the lock that this one holds
                await manager.finish_job_by_id_async(job_id, Status.FAILED, delete_job=True)


async def _record(job_id: int, error: str) -> None:
    """Keep why a job failed; the job fails as it does even if that fails, too."""
    try:
        await get_database().run(
            Step(SERVICE, "INSERT INTO sigma.job_errors (job_id, error) VALUES (%s, %s)", [job_id, error])
        )
    except (DatabaseUnavailable, psycopg.Error) as lost:
        logger.warning("Why a job failed could not be kept: %s", type(lost).__name__)


_ENDLESS = (
    "SELECT job.id, job.attempts FROM procrastinate_jobs AS job JOIN procrastinate_events AS event"
    " ON event.job_id = job.id WHERE job.status = 'doing' AND event.type = 'started'"
    " GROUP BY job.id HAVING max(event.at)"
    " < now() - make_interval(secs => coalesce((%(longest)s::jsonb ->> job.task_name)::float, %(seconds)s))"
)


# Without retry: the next minute does it again anyhow, and a retry would meet the lock of that one.
@queue.periodic(cron="* * * * *")
@queue.task(name="core:retry_stalled_jobs", queue=UPKEEP, queueing_lock="core:retry_stalled_jobs")
async def retry_stalled_jobs_regularly(timestamp: int) -> None:
    """Once a minute, however many workers there are."""
    await retry_stalled_jobs()


async def _work_for_ever(login_url: str, queues: Sequence[str] | None, apart: Sequence[str]) -> None:
    while True:
        _heard.tried_at = time.monotonic()
        try:
            await work(login_url, queues, apart)
        except Exception as error:  # whatever it is, a server without a worker must not look like one that works
            logger.warning("The worker ended and starts again: %s", without_message(error))
        await asyncio.sleep(RECONNECT.total_seconds())


async def _become_worker(connection: AsyncConnection) -> None:
    """For the session, which is the worker's own: the service's rights, and the schema that its queries leave out."""
    await connection.set_autocommit(True)
    await connection.execute("set role service_role")
    await connection.execute("set search_path = procrastinate")


async def _keep_error(call_next: Callable, context: JobContext, _: Any) -> Any:
    """Work for the request that caused the job, and keep why a try failed; the queue itself only knows that it did."""
    request_id.set(str(context.job.task_kwargs.pop("_request", "")))  # the job's own task: nothing to set back
    name = context.job.task_name
    try:
        with JOB_SECONDS.labels(name).time(), span(f"job {name}", "CONSUMER", sigma_attempt=context.job.attempts + 1):
            result = await call_next()
        JOBS.labels(name, "done").inc()
        return result
    except Exception as error:
        JOBS.labels(name, "failed").inc()
        known = isinstance(error, SigmaError)  # its message is ours, others may repeat what people typed
        last = context.task.get_retry_exception(error, context.job) is None
        words = "Job %s failed for good: %s" if last else "Job %s failed: %s"
        logger.log(logging.ERROR if last else logging.WARNING, words, name, error if known else without_message(error))
        kept = f"{type(error).__name__}: {error}" if known else without_message(error)
        if context.job.id is not None:
            await _record(context.job.id, kept)
        raise
