"""/admin/jobs: what waits, runs and failed in the queue, and who works on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL

from sigma_app.core.errors import SigmaError
from sigma_app.core.jobs import Backoff
from sigma_app.core.words import counted
from sigma_app.features.console import asked as asks
from sigma_app.features.console import job_words, paging
from sigma_app.features.console.deeds import Deeds, asking, outcome
from sigma_app.features.console.paging import Key
from sigma_app.features.console.parts import (
    Fact,
    Row,
    choice,
    console_page,
    filters,
    no_rows,
    numbers,
    page,
    pager,
    part,
    table,
    when,
)
from sigma_app.features.console.service import acting
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.operations import service as operations
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session

ROUTE = "/admin/jobs"
ONE = "/admin/job"
HEADINGS = ("Job", "What it does", "State", "For", "Tries", "Due (UTC)", "Last error")
STATES = {"failed": "failed for good", "due": "due now", "doing": "running", "later": "scheduled for later"}
_KINDS = (("", "Anything"), *sorted(job_words.JOBS.items(), key=lambda one: one[1]))
_CONDITIONS: Mapping[str, LiteralString] = {
    "": "job.status in ('todo', 'doing', 'failed')",
    "failed": "job.status = 'failed'",
    "due": "job.status = 'todo' and (job.scheduled_at is null or job.scheduled_at <= now())",
    "doing": "job.status = 'doing'",
    "later": "job.status = 'todo' and job.scheduled_at > now()",
}
_LATEST_FIRST = Key({"id": "bigint"})
_FAILED_KINDS = """
select task_name as task, count(*) from procrastinate.procrastinate_jobs where status = 'failed'
group by task_name order by count(*) desc, task_name limit 50
"""


class NoFailedJob(SigmaError):
    """There is no such failed job any more, or another one of its kind waits already. Nothing was done."""

    status = 404


@dataclass(frozen=True, slots=True)
class FailedKind:
    """The failed jobs of one task, by its name and in words."""

    task: str
    words: str
    count: str
    """In words, such as "3 failed"."""


async def try_again(session: Session, job: int | None = None, task: str | None = None) -> int:
    """Put a failed job back into the queue, or all of one task; how many.

    Raises:
        NotAnOperator, NoFailedJob, DoneMeanwhile, DatabaseUnavailable: nothing was done.
    """
    detail = {"task": task} if task else {}
    async with acting(session, "job.retry", job, **detail) as transaction:
        again = await operations.try_again(transaction, job, task)
        if not again:
            raise NoFailedJob
    return again


async def drop(session: Session, job: int) -> str:
    """Delete a failed job: it is not to be done any more. Its task's name.

    Raises:
        NotAnOperator, NoFailedJob, DatabaseUnavailable: nothing was done.
    """
    async with acting(session, "job.drop", job) as transaction:
        if (task := await operations.drop(transaction, job)) is None:
            raise NoFailedJob
    return task


class JobsState(ConsolePage, Deeds, SessionState):
    """How the queue stands, the kinds that failed, and a page of the list."""

    now: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    worked: str = ""
    idle: bool = False
    failed: list[FailedKind] = []  # noqa: RUF012 - a Var, copied for each state
    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    which: str = ""
    task: str = ""
    newer: str = ""
    older: str = ""

    _topics = frozenset({"jobs"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.which, self.task = asks.one_of(asked, "state", STATES), asks.one_of(asked, "task", job_words.JOBS)
        conditions = [
            SQL(_CONDITIONS[self.which]),
            *([SQL("job.task_name = %(task)s")] if self.task else []),
        ]
        source = operations.JOBS + SQL(" where ") + SQL(" and ").join(conditions)
        found = await paging.read(cursor, source, _LATEST_FIRST, asked, {"task": self.task})
        self.rows = [_row(one) for one in found.rows]
        self.newer, self.older = paging.ways(ROUTE, asked, found)
        await cursor.execute(_FAILED_KINDS)
        self.failed = [
            FailedKind(one["task"], job_words.named(one["task"]), f"{one['count']:,} failed")
            for one in await cursor.fetchall()
        ]

    async def _read_besides(self) -> None:
        queue = await operations.queue_now()
        self.now = [
            *standing(queue),
            Fact("oldest due one waits", lasting(queue.oldest)),
            Fact("workers", f"{queue.workers:,}"),
        ]
        self.idle = not queue.workers
        heard = "" if queue.heard_at is None else f" The last was heard of at {when(queue.heard_at)} UTC."
        self.worked = f"No worker is running, so nothing is done.{heard}" if self.idle else ""

    @rx.event
    async def try_all_again(self, task: str):
        """Put all failed jobs of a task back into the queue."""

        async def do(session: Session) -> str:
            again = await try_again(session, task=str(task))
            return f"{counted(again, 'job is', 'jobs are')} in the queue again."

        async for _ in self._do(str(task), do):
            yield


def standing(queue: operations.QueueNow) -> list[Fact]:
    """How many jobs there are in each of `STATES`, and where they are listed."""
    now = {
        "failed": queue.jobs.get("failed", 0),
        "due": queue.jobs.get("todo", 0) - queue.later,
        "doing": queue.jobs.get("doing", 0),
        "later": queue.later,
    }
    return [Fact(words, f"{now[state]:,}", f"{ROUTE}?state={state}") for state, words in STATES.items()]


def state_of(job: Mapping[str, Any]) -> str:
    """How a job stands: one of `STATES`, or the queue's own word for one that is done."""
    if job["status"] == "todo":
        return "later" if job["due"] and job["due"] > datetime.now(UTC) else "due"
    return job["status"]


def lasting(seconds: float) -> str:
    """A time in words that fit a small place, such as "3 min"."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def due(job: Mapping[str, Any]) -> str:
    """When a job that waits is to run."""
    return {"due": "now", "later": when(job["due"])}.get(state_of(job), "")


def _row(job: Mapping[str, Any]) -> Row:
    arguments, state = job_words.arguments(job["args"]), state_of(job)
    return Row(
        str(job["id"]),
        [
            str(job["id"]),
            job_words.named(job["task"]),
            STATES.get(state, state),
            ", ".join(f"{name}: {value}" for name, value in arguments.items()),
            str(job["attempts"]),
            due(job),
            (job["error"] or "").partition("\n")[0],
        ],
        href=f"{ONE}?id={job['id']}",
        tone="bad" if state == "failed" else "",
    )


def jobs() -> rx.Component:
    """The queue."""
    return console_page(
        JobsState,
        "Jobs",
        outcome(JobsState),
        part(
            "Now",
            numbers(JobsState.now),
            rx.cond(JobsState.idle, rx.el.p(JobsState.worked, role="status", class_name="console-warning")),
        ),
        _failed_kinds(JobsState.failed),
        part(
            "In the queue",
            filters(
                choice("State", "state", JobsState.which, (("", "Any"), *STATES.items())),
                choice("What it does", "task", JobsState.task, _KINDS),
                action=ROUTE,
            ),
            table(
                "Jobs, newest first",
                HEADINGS,
                JobsState.rows,
                empty=no_rows(
                    "Nothing waits, runs or has failed.",
                    asked=(JobsState.which + JobsState.task) != "",
                    matches="No job matches.",
                    href=ROUTE,
                    everything="Show all jobs",
                ),
                numbers=("Tries",),
            ),
            pager(JobsState.newer, JobsState.older),
            intro=f"One that succeeds is gone. One that fails is tried {Backoff.TRIES} times, in about "
            f"{round(Backoff.altogether() / timedelta(hours=1))} hours, then it stays. "
            "What is scheduled for later waits for its time, as a second look at what was deleted does, or for its "
            "next try.",
        ),
        here=ROUTE,
    )


def _failed_kinds(kinds: Any) -> rx.Component:
    def line(kind: FailedKind) -> rx.Component:
        return rx.el.li(
            rx.el.p(kind.words, rx.el.span(f" · {kind.count} · {kind.task}", class_name="fine-print")),
            asking(
                JobsState,
                kind.task,
                "Try all again",
                "Each of them goes back into the queue and is tried now. What made them fail should be mended by then.",
                JobsState.try_all_again(kind.task),
                yes="Try all again",
            ),
            key=kind.task,
        )

    listed = rx.el.ul(rx.foreach(kinds, line), class_name="console-list")
    return rx.cond(kinds.length() > 0, part("Failed for good", listed))


PAGES = [page(jobs, ROUTE, "Jobs", JobsState)]
