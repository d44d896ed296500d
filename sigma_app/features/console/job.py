"""/admin/job: one job of the queue: what it is to do, each error, and another try or its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL

from sigma_app.features.console import asked as asks
from sigma_app.features.console import job_words, queue
from sigma_app.features.console.deeds import Deeds, asking, button, outcome
from sigma_app.features.console.parts import Fact, Row, console_page, facts, nothing_here, page, part, table, when
from sigma_app.features.console.queue import ONE, STATES, due
from sigma_app.features.console.queue import ROUTE as LIST
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.operations import service as operations
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.parts import ALARM

ERRORS = ("When (UTC)", "Error")


class JobState(ConsolePage, Deeds, SessionState):
    """One job. `found` is whether there is one by the number in the address."""

    found: bool = False
    name: str = ""
    about: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    errors: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    failed: bool = False

    _topics = frozenset({"jobs"})
    _id: int = 0

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self._id = asks.number(asked) or 0
        await cursor.execute(operations.JOBS + SQL(" where job.id = %s"), [self._id])
        job = await cursor.fetchone()
        self.found = job is not None
        self.name, self.about, self.errors, self.failed = "", [], [], False
        if job:
            self.name, self.about = job_words.named(job["task"]), _about(job)
            self.failed = job["status"] == "failed"
            await cursor.execute(_ERRORS, [self._id])
            self.errors = [
                Row(str(one["id"]), [when(one["failed_at"]), one["error"]]) for one in await cursor.fetchall()
            ]

    @rx.event
    async def try_again(self):
        """Put it back into the queue."""

        async def do(session: Session) -> str:
            await queue.try_again(session, self._id)
            return "It is in the queue again. One that succeeds is gone from here."

        async for _ in self._do("try-again", do, asked=False):
            yield

    @rx.event
    async def drop(self):
        """Delete it."""

        async def do(session: Session) -> str:
            return f"Deleted, and not to be done any more: {job_words.named(await queue.drop(session, self._id))}."

        async for _ in self._do("drop", do):
            yield


def _about(job: Mapping[str, Any]) -> list[Fact]:
    state = queue.state_of(job)
    known = [
        Fact("Number", str(job["id"])),
        Fact("In the code", job["task"]),
        Fact("State", STATES.get(state, state)),
        Fact("Queue", job["queue"]),
        *(Fact(name, value) for name, value in job_words.arguments(job["args"]).items()),
        Fact("Tries", str(job["attempts"])),
    ]
    times = (("Queued", when(job["queued"])), ("Begun last", when(job["started"])), ("Due", due(job)))
    known += [Fact(name, at if at == "now" else f"{at} UTC") for name, at in times if at]
    known.append(Fact("Request", job["request"] or "none: it runs by itself, or by the command line"))
    return known


_ERRORS = "select id, failed_at, error from sigma.job_errors where job_id = %s order by id desc limit 100"


def job() -> rx.Component:
    """One job."""
    return console_page(
        JobState,
        "Job",
        outcome(JobState),
        rx.cond(
            JobState.found,
            rx.el.div(
                part(JobState.name, facts(JobState.about)),
                part(
                    "What went wrong",
                    table("Errors, latest first", ERRORS, JobState.errors, empty="Nothing so far."),
                ),
                rx.cond(
                    JobState.failed,
                    part(
                        "What can be done",
                        rx.el.div(
                            button(JobState, "try-again", "Try again", JobState.try_again),
                            asking(
                                JobState,
                                "drop",
                                "Delete",
                                "It is gone with its errors, and what it was to do is not done: a mail is not sent, an "
                                "account does not go. There is no way back.",
                                JobState.drop,
                                yes="Delete it",
                                look=ALARM,
                            ),
                            class_name="console-deeds",
                        ),
                    ),
                ),
            ),
            nothing_here("There is no such job. One that succeeded is gone.", LIST, "All jobs"),
        ),
        here=LIST,
        of_one=True,
    )


PAGES = [page(job, ONE, "Job", JobState)]
