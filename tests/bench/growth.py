"""The numbers of /admin/growth at a million leads: as the page reads them, and by counting the leads themselves."""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import AsyncCursor
from rich.console import Console

from sigma_app.core.database import SERVICE, Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from sigma_app.features.growth import jobs, service
from sigma_app.features.growth.service import Span
from sigma_app.session.operators import reader
from tests.bench.report import Bar, Ratio, Report, Row, Sample
from tests.bench.scratch import scratch_cluster

Cursor = AsyncCursor[dict[str, Any]]
Ask = Callable[[Cursor], Awaitable[object]]

LEADS, VISITS = 1_000_000, 500_000
DAYS = 730  # over which the leads are spread: what a page of 365 days reads, with as many before
SOURCES = 300
ROUNDS = 5
COUNTING = "counting the leads by source"
YEAR, MONTH, TODAY = "365 days by source", "30 days by source", "today alone, by everything"
COHORT = "what became of those of 731 days"

_OPERATOR = uuid4()
_ACCOUNT = """
    insert into auth.users (id, email, raw_app_meta_data) values (%s, 'operator@example.com', '{"role": "admin"}')
"""
_LEADS = """
    insert into leads (email, created_at, confirmed_at, invited_at, signed_up_at, customer_at, utm_source, utm_medium,
      referrer, landing_path, referral_code)
    select 'f' || n || '@example.com', at, case when n %% 3 > 0 then at + interval '1 hour' end,
      case when n %% 6 = 1 then at + interval '2 hours' end, case when n %% 12 = 1 then at + interval '3 hours' end,
      case when n %% 60 = 1 then at + interval '4 hours' end, 'source-' || (n * 7919::bigint) %% %s, 'mail',
      'https://www.site-' || n %% 50 || '.example/post', '/', case when n %% 9 = 0 then 'code' end
    from generate_series(1, %s) as n,
      lateral (select now() - (n::float / %s) * %s * interval '1 day' as at) as moment
"""
_VISITS = """
    insert into sigma.visits
    select now() - (n::float / %s) * 35 * interval '1 day', '/', 'source-' || (n * 7919::bigint) %% %s, 'mail', '',
      'site-' || n %% 50 || '.example', ''
    from generate_series(1, %s) as n
"""
_BY_SOURCE = """
    select lower(utm_source), (created_at at time zone 'UTC')::date >= %(first)s, count(*) from leads
    where created_at >= %(since)s::date::timestamp at time zone 'UTC'
    group by 1, 2
"""


def measure(options: argparse.Namespace) -> Report:
    """Read the page's numbers as an operator, all ways in turn, and check that they are those of the leads."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch, scratch_cluster(Path(scratch)) as owner_url:
        migrate(owner_url)
        with psycopg.connect(owner_url, autocommit=True) as owner, Console(stderr=True).status("A million leads"):
            owner.execute(_ACCOUNT, [_OPERATOR])
            owner.execute(_LEADS, [SOURCES, LEADS, LEADS, DAYS])
            owner.execute(_VISITS, [VISITS, SOURCES, VISITS])
            owner.execute("vacuum analyze")
        rolled, found = asyncio.run(_measure(login_url(owner_url), options.rounds or ROUNDS))
    counting = Sample(found[COUNTING])
    rows = [Row(COUNTING, counting, "ms")]
    for name in (YEAR, MONTH, TODAY, COHORT):
        bar = Bar(1, at_most=True) if name == YEAR else None
        rows.append(
            Row(name, Sample(found[name]), "ms", ratios=[Ratio(COUNTING, Sample(found[name]).over(counting), bar)])
        )
    notes = [
        f"{LEADS:,} leads over {DAYS} days, {VISITS:,} visits over 35, {SOURCES} sources. Both ways told the same.",
        f"Keeping all the days that were over, once, took {rolled:.1f} s.",
    ]
    return Report("growth", f"The numbers of growth at {LEADS:,} leads", rows, notes)


async def _measure(url: str, rounds: int) -> tuple[float, dict[str, list[float]]]:
    today = datetime.now(UTC).date()
    year, month = (Span(today - timedelta(days=days - 1), today) for days in (365, 30))
    longest = Span(today - timedelta(days=service.LONGEST_SPAN - 1), today)
    async with Database(url, pool_size=3) as database:
        with serve_requests_from(database):
            started = time.perf_counter()
            await jobs.roll_up(0)
            rolled = time.perf_counter() - started

            async def ask(about: Ask) -> object:
                async with database.cursor(reader(_OPERATOR)) as cursor:
                    return await about(cursor)

            async def counting(cursor: Cursor) -> object:
                await cursor.execute(_BY_SOURCE, {"first": year.since, "since": year.before.since})
                return await cursor.fetchall()

            async def today_alone(cursor: Cursor) -> object:
                await cursor.execute("select * from sigma.growth(%(day)s, %(day)s, '')", {"day": today})
                return await cursor.fetchall()

            ways: dict[str, Ask] = {
                COUNTING: counting,
                YEAR: lambda cursor: service.read(cursor, year, "source"),
                MONTH: lambda cursor: service.read(cursor, month, "source"),
                TODAY: today_alone,
                COHORT: lambda cursor: service.read_cohort(cursor, longest),
            }
            await _check(database, year)
            found: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(rounds):
                for name, about in ways.items():
                    started = time.perf_counter()
                    await ask(about)
                    found[name].append(1000 * (time.perf_counter() - started))
    return rolled, found


async def _check(database: Database, span: Span) -> None:
    """The sources that are told apart, those that are not, and all together: as counting the leads has them."""
    async with database.cursor(SERVICE) as cursor:
        told = await service.read(cursor, span, "source")
        await cursor.execute(
            "select count(*) as all from leads where (created_at at time zone 'UTC')::date between %s and %s",
            [span.since, span.until],
        )
        counted = (await cursor.fetchone() or {})["all"]
    summed = sum(one.now.joined for one in told.values.values())
    if not told.total.now.joined == summed == counted:
        raise RuntimeError(json.dumps({"total": told.total.now.joined, "by source": summed, "counted": counted}))
