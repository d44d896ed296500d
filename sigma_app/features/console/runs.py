"""What runs on behalf of operators, as a page shows it: how far it is, and the ways to stop and to undo it.

What goes on, or ended a moment ago, stands open; what was done in the month before is folded away below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import SigmaError
from sigma_app.features.console import bulk, reasons
from sigma_app.features.console.leads import Count
from sigma_app.features.console.parts import QUIET, exactly, moment, when
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session

_WAITING = {"invite": "Inviting", "flag": "Flagging", "unflag": "Taking the flags of", "erase": "Erasing"}
_DONE = {"invite": "invited", "flag": "flagged", "unflag": "unflagged", "erase": "erased"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run, in words: `said` is its state, and `so_far` what moves while it goes on.

    `at` is when it was asked for, also `exactly`.
    """

    id: str
    title: str
    at: str
    exactly: str
    said: str
    so_far: str
    total: int
    looked_at: int
    running: bool
    can_stop: bool
    stop: str
    can_undo: bool


class RunsState(ConsolePage, SessionState):
    """The runs that go on or ended a moment ago, and those before; `said` is why one was not stopped or undone."""

    runs: list[Run] = []  # noqa: RUF012 - a Var, copied for each state
    earlier: list[Run] = []  # noqa: RUF012 - a Var, copied for each state
    said: str = ""

    _topics = frozenset({"runs"})
    _back: dict[UUID, int] = {}  # noqa: RUF012 - of each run that was undone, how many were put back

    @rx.event
    async def stop(self, run: str):
        """Take a run back that has not begun, or end one that has."""
        await self._act(bulk.stop, run)

    @rx.event
    async def undo(self, run: str):
        """Put back what a run changed."""
        await self._act(bulk.undo, run)

    async def _act(self, act: Any, run: str) -> None:
        self.said = ""
        try:
            if session := await self._signed_in():
                await act(session, UUID(str(run)))
        except SigmaError as error:
            self.said = str(error)
        except ValueError:  # a client may send anything
            return
        await self._show(self._topics)

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.said = ""
        await self._read_again(cursor, asked, session, self._topics)

    async def _read_again(
        self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session, changed: frozenset[str]
    ) -> None:
        """Read the runs; what was said of one stays until the next deed."""
        await cursor.execute(_LATEST, {"most": _MOST, "passed": reasons.PASSED, "known": list(self._back)})
        found = await cursor.fetchall()
        counted = {one["id"]: one["back"] for one in found if one["back"] is not None}
        self._back = {one["id"]: (self._back | counted)[one["id"]] for one in found if one["state"] == "undone"}
        told = [_told(one, self._back.get(one["id"], 0)) for one in found]
        fresh = sum(one["fresh"] for one in found)
        self.runs, self.earlier = told[:fresh], told[fresh:]


_MOST = 20
# A run has as many entries on record as steps, so nothing is asked of them that a run cannot have, nor once a second.
_LATEST = """
select run.*, run.ended_at is null or run.ended_at > now() - interval '2 minutes' as fresh,
  case when run.passed_over > 0 then (
    select detail -> %(passed)s from sigma.audit_log
    where subject = run.id::text and detail ? %(passed)s order by audit_log.id desc limit 1
  ) end as passed,
  case when run.state = 'undone' and run.id <> all(%(known)s) then (
    select coalesce(sum(jsonb_array_length(detail -> 'leads')), 0)::bigint from sigma.audit_log
    where subject = run.id::text and action = 'lead.flag back'
  ) end as back
from sigma.bulk_runs as run
where run.ended_at is null or run.created_at > now() - interval '30 days'
order by fresh desc, run.created_at desc limit %(most)s
"""


def _told(run: Mapping[str, Any], back: int) -> Run:
    """A run, in words; `back` is how many were put back, once it is undone."""
    action, state = run["action"], run["state"]
    looked_at = run["done"] + run["passed_over"]
    total = Count(run["total"], run["about"])
    who = f"{total} {'lead' if run['total'] == 1 else 'leads'}"
    waits = state == "waiting" and run["starts_at"] > datetime.now(UTC)
    done = f"{run['done']:,} {_DONE[action]}"
    if run["passed_over"]:
        done += f", {run['passed_over']:,} passed over"
        done += f": {reasons.told(run['passed'])}" if run["passed"] else ""
    kept = run["done"] - back
    said = {
        "waiting": "Begins within seconds." if waits else "Begins as soon as a worker is free.",
        "running": "Under way.",
        "stopped": f"Stopped: {done}." if looked_at else "Taken back before it began: nobody was changed.",
        "done": f"{done[0].upper()}{done[1:]}.",
        "undoing": "Putting them back.",
        "undone": f"{back:,} put back{f', {kept:,} left as they are: changed or gone since' if kept else ''}.",
    }[state]
    return Run(
        id=str(run["id"]),
        title=f"{_WAITING[action]} {who}",
        at=f"{when(run['created_at'])} UTC",
        exactly=exactly(run["created_at"]),
        said=said,
        so_far=f"{done} so far." if state == "running" else "",
        total=max(run["total"], looked_at, 1),
        looked_at=looked_at,
        running=state in ("waiting", "running", "undoing"),
        can_stop=state in ("waiting", "running"),
        stop="Undo" if state == "waiting" else "Stop",
        can_undo=state in ("done", "stopped") and action in ("flag", "unflag") and run["done"] > 0,
    )


def runs() -> rx.Component:
    """The runs that go on or ended a moment ago, each with its bar; above them why one was not stopped or undone.

    That one begins and how it ended is announced, and not how far it is, which moves each second for hours.
    """
    return rx.fragment(
        rx.el.p(RunsState.said, role="alert", class_name="said"),
        rx.el.div(rx.foreach(RunsState.runs, _run), aria_live="polite"),
    )


def earlier_runs() -> rx.Component:
    """Those before, folded away."""
    return rx.cond(
        RunsState.earlier.length() > 0,  # pyright: ignore[reportAttributeAccessIssue] - a Var
        rx.el.details(
            rx.el.summary("Earlier runs", class_name=QUIET),
            rx.foreach(RunsState.earlier, _run),
            class_name="console-fold",
        ),
    )


def _run(run: Any) -> rx.Component:
    return rx.el.div(
        rx.el.p(rx.el.strong(run.title), " · ", moment(run.at, run.exactly)),
        rx.cond(
            run.running,
            rx.el.progress(value=f"{run.looked_at}", max=f"{run.total}", aria_label=run.title),
        ),
        rx.el.p(run.said, " ", rx.el.span(run.so_far, aria_live="off")),
        rx.el.div(
            rx.cond(
                run.can_stop,
                rx.el.button(run.stop, type="button", on_click=RunsState.stop(run.id), class_name=QUIET),
            ),
            rx.cond(
                run.can_undo,
                rx.el.button("Put back", type="button", on_click=RunsState.undo(run.id), class_name=QUIET),
            ),
            class_name="console-actions",
            aria_live="off",
        ),
        key=run.id,
        class_name="console-run",
        custom_attrs={"tabIndex": -1, "data-run": ""},
    )
