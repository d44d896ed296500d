"""What is done to many leads at once: asked for by an operator, carried out by a job in small steps, each on record.

Nothing happens for `GRACE`: until then a run can be taken back, and no lead is changed; that it was asked for and taken
back stays on record. Whom nothing can be done for is passed over, and each step's record has how many those are so far,
by reason (reasons.py). Later it can be stopped, and flags can be put back; a mail that is on its way, or a lead that
was erased, cannot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.sql import SQL, Composed
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import NotLikeThat
from sigma_app.core.jobs import queue_job
from sigma_app.features.console import leads, reasons
from sigma_app.features.console.leads import Count, LeadFilter
from sigma_app.features.console.reasons import PASSED
from sigma_app.features.console.service import NothingToDo, acting, record
from sigma_app.features.waitlist import service as waitlist
from sigma_app.session.operators import deputy, is_operator
from sigma_app.session.store import Session

Action = Literal["invite", "flag", "unflag", "erase"]
ACTIONS: tuple[Action, ...] = ("invite", "flag", "unflag", "erase")
CARRY_ON = "console:carry_on"
GRACE = timedelta(seconds=10)
UNDO = timedelta(days=30)  # from when it was asked for: so long its flags can be put back
STEP = 50  # leads of one transaction: invitations hold the line meanwhile
LONGEST_REASON = 200  # characters
NAMED = 5  # leads, which a question calls by their addresses


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator wants done, and to whom: the leads of `ids`, or, without any, all that `filter` finds."""

    action: Action
    filter: LeadFilter
    ids: Sequence[UUID] = ()
    reason: str = ""

    @classmethod
    def read(cls, action: str, wanted: LeadFilter, ids: Sequence[UUID], reason: str) -> Wish:
        """A wish as a form brings it.

        Raises:
            NotLikeThat: there is no such action, or a flag has no reason.
        """
        if action not in ACTIONS:
            raise NotLikeThat("Choose what to do with them.", "action")
        reason = " ".join(reason.split())[:LONGEST_REASON]
        if action == "flag" and not reason:
            raise NotLikeThat("Say why, for whoever sees the flag later.", "reason")
        return cls(action, wanted, tuple(dict.fromkeys(ids)), reason)


async def begin(session: Session, wish: Wish, seen: Outlook) -> UUID:
    """Have a wish carried out, from `GRACE` on; the run's id.

    Args:
        session: the operator's.
        wish: what to do.
        seen: what the operator was told of it: nobody who joined since is taken. An imported lead
            joined when its file says, so one of a file that comes in meanwhile may be.

    Raises:
        NotAnOperator, DatabaseUnavailable: nothing will be done.
    """
    about = {"leads": [str(one) for one in wish.ids]} if wish.ids else {"filter": wish.filter.on_record()}
    async with acting(session, f"leads.{wish.action}", None, **about) as transaction:
        connection = await transaction.connection()
        made = await connection.execute(
            _BEGIN,
            {
                "operator": session.user_id,
                "action": wish.action,
                "reason": wish.reason or None,
                "filter": Jsonb(wish.filter.as_query()),
                "ids": list(wish.ids) or None,
                "total": seen.about.number,
                "about": seen.about.about,
                "seen_at": seen.at,
                "grace": GRACE,
            },
        )
        run = made.scalar_one()
        await queue_job(transaction, CARRY_ON, after=GRACE, run=str(run))
    return run


async def stop(session: Session, run: UUID) -> None:
    """Let a run end where it is; of one that has not begun nothing stays but what is on record.

    Raises:
        NothingToDo: it has ended, or there is none.
        NotAnOperator, DatabaseUnavailable: it goes on.
    """
    async with acting(session, "run.stop", run) as transaction:
        connection = await transaction.connection()
        if not (await connection.execute(_STOP, {"run": run})).rowcount:
            raise NothingToDo


async def undo(session: Session, run: UUID) -> None:
    """Have the flags of a run put back as they were before, but for those that were changed since.

    Raises:
        NothingToDo: it goes on, changed no flag, had them put back already, is older than `UNDO`, or there is none.
        NotAnOperator, DatabaseUnavailable: they stay.
    """
    async with acting(session, "run.undo", run) as transaction:
        connection = await transaction.connection()
        if not (await connection.execute(_UNDO, {"run": run, "undo": UNDO})).rowcount:
            raise NothingToDo
        await queue_job(transaction, CARRY_ON, run=str(run))


async def carry_on(run: UUID) -> bool:
    """One step of a run, in a transaction of its own; whether another has to follow.

    A step that is taken twice, since a worker died of the first, goes on where the first one ended. Whoever asked for
    the run and is no operator any more has it stopped.
    """
    async with get_database().cursor(SERVICE) as cursor:
        await cursor.execute("select operator from sigma.bulk_runs where id = %s", [run])
        found = await cursor.fetchone()
    if found is None:
        return False
    operator: UUID | None = found["operator"]
    if operator is None or not await is_operator(operator):
        async with get_database().transaction(SERVICE) as transaction:
            await (await transaction.connection()).execute(_STOP_WITHOUT_OPERATOR, {"run": run})
        return False
    async with get_database().transaction(deputy(operator)) as transaction:
        connection = await transaction.connection()
        row = (await connection.execute(_HOLD, {"run": run})).mappings().one_or_none()
        if row is None:
            return False
        if row["state"] == "undoing":
            return await _put_back(transaction, run)
        return await _step(transaction, dict(row))


async def _step(transaction: AsyncSession, run: Mapping[Any, Any]) -> bool:
    connection = await transaction.connection()
    due = await _next_leads(transaction, run)
    if not due:
        await connection.execute(_END, {"run": run["id"], "state": "done"})
        return False
    why_not = await _why_not(transaction, run, [lead for lead, _ in due])
    able = [lead for lead, why in why_not.items() if why is None]
    done = [str(lead) for lead in await _do(transaction, run, able)]
    passed = Counter(why for why in why_not.values() if why)
    if len(done) < len(able):
        passed[reasons.MEANWHILE] = len(able) - len(done)
    told = {PASSED: passed + Counter(await _passed_so_far(transaction, run["id"]))} if passed else {}
    await record(transaction, f"lead.{run['action']}", run["id"], leads=done, **told)
    at, last = (due[-1][1], due[-1][0])
    await connection.execute(
        _ADVANCE, {"run": run["id"], "done": len(done), "passed": len(due) - len(done), "at": at, "last": last}
    )
    return True


async def _why_not(transaction: AsyncSession, run: Mapping[str, Any], ids: Sequence[UUID]) -> Mapping[UUID, str | None]:
    """Of each lead why the run passes it over; None for those that it does not."""
    statement = SQL("select id, {} from public.leads as lead where id = any(%(ids)s)").format(
        reasons.reason(run["action"])
    )
    rows = await _rows(transaction, statement, {"ids": list(ids), "reason": run["reason"]})
    return dict.fromkeys(ids, reasons.GONE) | dict(rows)


async def _passed_so_far(transaction: AsyncSession, run: UUID) -> Mapping[str, int]:
    connection = await transaction.connection()
    return (await connection.execute(_PASSED_SO_FAR, {"run": str(run), "passed": PASSED})).scalar_one_or_none() or {}


async def _next_leads(transaction: AsyncSession, run: Mapping[str, Any]) -> Sequence[tuple[UUID, datetime | None]]:
    """The leads of the next step, after those that were looked at; a filter's begin with the newest that was seen."""
    if run["ids"]:
        taken = run["done"] + run["passed_over"]
        return [(one, None) for one in run["ids"][taken : taken + STEP]]
    condition, values = LeadFilter.read(run["filter"]).condition()
    statement = SQL(
        "select id, created_at from (select *, lower(email) as address from public.leads) as leads"
        " where {} and (created_at, id) < (coalesce(%(last_at)s, %(asked_at)s), coalesce(%(last)s, %(highest)s::uuid))"
        " order by created_at desc, id desc limit %(step)s"
    ).format(condition)
    # A run of a version that did not note what was seen begins with when it was asked for.
    place = {"last_at": run["last_at"], "asked_at": run["created_at"], "last": run["last_id"], "highest": _HIGHEST}
    return await _rows(transaction, statement, {**values, **place, "step": STEP})


async def _rows(transaction: AsyncSession, statement: Composed, values: Mapping[str, Any]) -> Sequence[Any]:
    """The rows of a statement that psycopg composed."""
    connection = await transaction.connection()
    driver = (await connection.get_raw_connection()).driver_connection
    async with driver.cursor() as cursor:  # pyright: ignore[reportOptionalMemberAccess]
        await cursor.execute(statement, values)
        return await cursor.fetchall()


async def _do(transaction: AsyncSession, run: Mapping[str, Any], leads: Sequence[UUID]) -> list[UUID]:
    """Do it to the leads of a step; to which of them it was done."""
    match run["action"]:
        case "invite":
            return [lead for lead in leads if await invite(transaction, lead)]
        case "erase":
            return await waitlist.erase(transaction, leads)
        case _:
            return [lead for lead in leads if await _flag(transaction, run, lead)]


async def _flag(transaction: AsyncSession, run: Mapping[str, Any], lead: UUID) -> bool:
    """Flag a lead, or take its flag away, and keep the one of before; whether that changed it."""
    reason = run["reason"] if run["action"] == "flag" else None
    changed, before = await waitlist.flag(transaction, lead, reason)
    if changed:
        await (await transaction.connection()).execute(_KEEP, {"run": run["id"], "lead": lead, "flag": before})
    return changed


async def invite(transaction: AsyncSession, lead: UUID) -> bool:
    """Invite a lead, unless one of `reasons.WORDS` stands against it; whether it was. In a transaction of SERVICE."""
    return await why_not_invited(transaction, lead) is None and await waitlist.invite(transaction, lead)


async def why_not_invited(transaction: AsyncSession, lead: UUID) -> str | None:
    """Which of `reasons.WORDS` keeps a lead from being invited; None for none. In a transaction of SERVICE."""
    return (await _why_not(transaction, {"action": "invite", "reason": None}, [lead]))[lead]


async def _put_back(transaction: AsyncSession, run: UUID) -> bool:
    connection = await transaction.connection()
    looked_at = (await connection.execute(_PUT_BACK, {"run": run, "step": STEP})).all()
    if back := [str(lead) for lead, put in looked_at if put]:
        await record(transaction, "lead.flag back", run, leads=back)
    if len(looked_at) == STEP:
        return True
    await connection.execute(_END, {"run": run, "state": "undone"})
    return False


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a wish would do, as things stand."""

    about: Count
    """How many leads it is about."""
    judged: int
    """How many of them were looked at one by one: all, or, of more than `leads.EXACT`, the first of the list."""
    more: bool
    """Whether there are more than were looked at; `about`, which may be an estimate, does not tell."""
    passed: Mapping[str, int]
    """How many of those would be passed over, by reason: `reasons.WORDS`."""
    at: datetime
    """When that was so, by the database's clock."""
    flagged: int = 0
    """How many of those to whom it would be done have a flag now."""
    names: Sequence[str] = ()
    """The addresses of those to whom it would be done, where at most `NAMED` were picked."""

    @property
    def will_do(self) -> int:
        """To how many of those that were looked at it would be done."""
        return self.judged - sum(self.passed.values())


async def outlook(cursor: AsyncCursor[dict[str, Any]], wish: Wish) -> Outlook:
    """Whom a wish is about, and to whom of them it would not be done, and why; as an operator.

    Raises:
        DatabaseUnavailable, psycopg.Error: it could not be asked.
    """
    at = await leads.now(cursor)
    about = Count(len(wish.ids)) if wish.ids else await leads.count(cursor, wish.filter)
    await cursor.execute(*judging(wish))
    found = await cursor.fetchall()
    counts: dict[str | None, int] = {row["why"]: row["many"] for row in found}
    flagged = sum(row["flagged"] for row in found if row["why"] is None)
    judged = sum(counts.values())
    passed = {why: many for why, many in counts.items() if why}
    if wish.ids and judged < len(wish.ids):
        passed[reasons.GONE], judged = len(wish.ids) - judged, len(wish.ids)
    names = await _names(cursor, wish) if len(wish.ids) <= NAMED else ()
    return Outlook(about, judged, about.about or about.number > leads.EXACT, passed, at, flagged, names)


async def _names(cursor: AsyncCursor[dict[str, Any]], wish: Wish) -> Sequence[str]:
    statement = SQL("select email from public.leads as lead where id = any(%(ids)s) and {} is null order by email")
    await cursor.execute(statement.format(reasons.reason(wish.action)), {"ids": list(wish.ids), "reason": wish.reason})
    return [row["email"] for row in await cursor.fetchall()]


def judging(wish: Wish) -> tuple[Composed, dict[str, Any]]:
    """The SELECT of how many of the first leads of a wish there are by reason, and its values; first as the list is."""
    if wish.ids:
        condition, values = SQL("id = any(%(ids)s)"), {"ids": list(wish.ids)}
        table, order = SQL("public.leads"), SQL("created_at desc")
    else:
        condition, values = wish.filter.condition()
        # `using`: the way of the index, see paging.Key
        table, order = wish.filter.table, SQL("address using ~<~" if wish.filter.q else "created_at desc, id desc")
    statement = SQL(
        "select why, count(*) as many, count(flag) as flagged from (select {} as why, flag from"
        " (select * from {} where {} order by {} limit {}) as lead) as judged group by why"
    ).format(reasons.reason(wish.action), table, condition, order, leads.EXACT)
    return statement, {**values, "reason": wish.reason}


async def forget_old() -> None:
    """Forget why the flags of runs were set, and those of before, once their time to be put back is over."""
    async with get_database().cursor(SERVICE) as cursor:
        await cursor.execute(
            "delete from sigma.bulk_changes using sigma.bulk_runs as run"
            " where run_id = run.id and run.ended_at is not null and run.created_at < now() - %s",
            [UNDO],
        )
        await cursor.execute(
            "update sigma.bulk_runs set reason = null"
            " where reason is not null and ended_at is not null and created_at < now() - %s",
            [UNDO],
        )


_HIGHEST = UUID(int=2**128 - 1)
_BEGIN = text(
    "insert into sigma.bulk_runs (operator, action, reason, filter, ids, total, about, last_at, starts_at)"
    " values (:operator, :action, :reason, :filter, :ids, :total, :about, :seen_at, now() + :grace) returning id"
)
_STOP = text(
    "update sigma.bulk_runs set state = 'stopped', ended_at = now(), filter = filter - 'q'"
    " where id = :run and state in ('waiting', 'running')"
)
_STOP_WITHOUT_OPERATOR = text(
    "update sigma.bulk_runs set state = 'stopped', ended_at = now(), filter = filter - 'q'"
    " where id = :run and state in ('waiting', 'running', 'undoing')"
)
_UNDO = text(
    "update sigma.bulk_runs set state = 'undoing', ended_at = null"
    " where id = :run and state in ('done', 'stopped') and action in ('flag', 'unflag') and done > 0"
    " and created_at > now() - :undo"
)
_HOLD = text(
    "select * from sigma.bulk_runs where id = :run and state in ('waiting', 'running', 'undoing')"
    " and starts_at <= now() for update"
)
_ADVANCE = text(
    "update sigma.bulk_runs set state = 'running', done = done + :done, passed_over = passed_over + :passed,"
    " last_at = :at, last_id = :last where id = :run"
)
# What was searched for is the beginning of somebody's address, and nobody needs it any more.
_END = text("update sigma.bulk_runs set state = :state, ended_at = now(), filter = filter - 'q' where id = :run")
_PASSED_SO_FAR = text(
    "select detail -> :passed from sigma.audit_log where subject = :run and jsonb_exists(detail, :passed)"
    " order by id desc limit 1"
)
_KEEP = text(
    "insert into sigma.bulk_changes (run_id, lead_id, flag) values (:run, :lead, :flag) on conflict do nothing"
)
# A flag that somebody has changed since stays as they left it.
_PUT_BACK = text("""
with due as (
  delete from sigma.bulk_changes as change using (
    select lead_id from sigma.bulk_changes where run_id = :run limit :step
  ) as next
  where change.run_id = :run and change.lead_id = next.lead_id
  returning change.lead_id, change.flag
), put as (
  update public.leads set flag = due.flag from due, sigma.bulk_runs as run
  where leads.id = due.lead_id and run.id = :run and leads.flag is not distinct from run.reason
  returning leads.id
)
select due.lead_id, put.id is not null from due left join put on put.id = due.lead_id
""")
