"""Running a plan: one transaction, as the role of the token and with the settings that PostgREST makes for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import psycopg
from psycopg.pq.abc import PGresult

from sigma_app.core.database import Database
from sigma_app.core.errors import DatabaseBusy, DatabaseUnavailable
from sigma_app.core.exchange import Bound
from sigma_app.embedded.supabase.rest.answer import Answer, Result
from sigma_app.embedded.supabase.rest.errors import database_away, database_busy, from_postgres, unsendable
from sigma_app.embedded.supabase.rest.identity import Identity
from sigma_app.embedded.supabase.rest.plan import Plan
from sigma_app.embedded.supabase.rest.request import Request

# Schema `extensions` is searched as well, as on a hosted project; it need not exist.
_SETTINGS = """select
  set_config('search_path', '"public", "extensions"', true), set_config('role', $1, true),
  set_config('request.jwt.claims', $2, true), set_config('request.method', $3, true),
  set_config('request.path', $4, true), set_config('request.headers', $5, true),
  set_config('request.cookies', $6, true), set_config('statement_timeout', $7, true),
  set_config('transaction_read_only', $8, true)"""
Approve = Callable[[Sequence[PGresult]], None]
_TIME_ZONE = ", set_config('timezone', $9, true)"


async def run(database: Database, request: Request, identity: Identity, plan: Plan, seconds: float) -> Answer:
    """Do what `plan` says, wholly or not at all.

    Args:
        database: where.
        request: whose settings count.
        identity: on whose behalf.
        plan: made of the request.
        seconds: how long one statement may take.

    Raises:
        Refusal: what Postgres said, or that the database is away; nothing was saved.
    """
    result, estimate = await exchange(database, request, identity, plan, seconds)
    if estimate is not None and (plan.most_counted is None or (result.total or 0) > plan.most_counted):
        counted = max(result.total or 0, estimate) if plan.most_counted is not None else estimate
        result = Result(counted, result.rows, result.body, result.headers, result.status)
    return plan.answer(result).as_set_by(result)


async def exchange(
    database: Database, request: Request, identity: Identity, plan: Plan, seconds: float
) -> tuple[Result, int | None]:
    """The plan's result, and the number of rows that Postgres estimates if it was asked to."""

    def approve(results: Sequence[PGresult]) -> None:
        for check in plan.checks:
            check(Result.of(results[1]))

    statements = [settings(request, identity, plan.writes, seconds), plan.statement]
    if plan.estimate:
        statements.append(plan.estimate)
    results = await ask(database, identity, statements, approve if plan.checks or plan.commits_apart else None)
    return Result.of(results[1]), _estimated(results[2]) if plan.estimate else None


async def ask(
    database: Database, identity: Identity, statements: Sequence[Bound], approve: Approve | None = None
) -> Sequence[PGresult]:
    """Run statements, and turn what goes wrong into PostgREST's errors.

    Raises:
        Refusal: that.
    """
    try:
        return await database.exchange(*statements, approve=approve)
    except DatabaseBusy:
        raise database_busy() from None
    except DatabaseUnavailable:
        raise database_away() from None
    except UnicodeEncodeError:
        raise unsendable() from None
    except psycopg.Error as error:
        raise from_postgres(error, identity.is_anonymous) from None


def settings(request: Request, identity: Identity, writes: bool, seconds: float) -> Bound:
    """The first statement of every transaction."""
    values = [
        identity.role,
        identity.claims,
        request.method,
        request.path,
        request.headers_setting(),
        request.cookies_setting(),
        str(round(seconds * 1000)),
        "off" if writes else "on",
    ]
    if request.preferences.timezone is None:
        return Bound(_SETTINGS, values)
    return Bound(_SETTINGS + _TIME_ZONE, [*values, request.preferences.timezone])


def _estimated(result: PGresult) -> int:
    """The rows of an EXPLAIN (FORMAT JSON)."""
    (explained,) = json.loads(result.get_value(0, 0) or b"[]")
    return int(explained["Plan"]["Plan Rows"])
