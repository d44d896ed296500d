"""The console's list of a million leads: first page, a page in the middle and a search, against the same SQL bare."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from rich.console import Console

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from sigma_app.features.console import leads, paging
from sigma_app.features.console.leads import LeadFilter
from sigma_app.features.console.service import reading
from sigma_app.session.store import Session
from tests.bench.report import Ratio, Report, Row, Sample
from tests.bench.scratch import scratch_cluster

LEADS = 1_000_000
ROUNDS = 5
LOOKS = 100  # a round

_FILL = """
    insert into leads (email, created_at, utm_source, flag)
    select 'person' || n || '@example' || mod(n, 97) || '.com', now() - n * interval '20 seconds',
      case when mod(n, 7) > 0 then 'source ' || mod(n, 7) end, case when mod(n, 1000) = 0 then 'by hand' end
    from generate_series(1, %s) as n
"""
_OPERATOR = """
    insert into auth.users (id, email, email_confirmed_at, raw_app_meta_data)
    values (%s, 'operator@example.com', now(), '{"role": "admin"}')
"""
_COLUMNS = "select id, email, created_at, status, utm_source, referrals, flag from leads"
_BARE = {
    "first page": (f"{_COLUMNS} order by created_at desc, id desc limit 51", ()),
    "page in the middle": (
        f"{_COLUMNS} where (created_at, id) < (%s, %s) order by created_at desc, id desc limit 51",
        ("middle",),
    ),
    "search": (
        f"{_COLUMNS} where lower(email) ~>=~ 'person77' and lower(email) ~<~ 'person78'"
        " order by lower(email) using ~<~ limit 51",
        (),
    ),
}
_OFFSET = f"{_COLUMNS} order by created_at desc, id desc offset {LEADS // 2} limit 51"
OFFSET = "page in the middle, by OFFSET"


def measure(options: argparse.Namespace) -> Report:
    """Read each page by the console's own code and by its bare SQL, in turn."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch, scratch_cluster(Path(scratch)) as owner_url:
        migrate(owner_url)
        account = uuid4()
        with psycopg.connect(owner_url, autocommit=True) as owner, Console(stderr=True).status("A million leads"):
            owner.execute(_OPERATOR, [account])
            owner.execute(_FILL, [LEADS])
            owner.execute("vacuum analyze")
        found = asyncio.run(_look(owner_url, account, options.rounds or ROUNDS))
    rows = []
    for name, times in found.items():
        bare = found.get(f"{name}, bare SQL")
        ratios = [Ratio("the same SQL bare", _medians(times).over(_medians(bare)))] if bare else []
        if name == OFFSET:
            ratios = [Ratio("by key, bare", _medians(times).over(_medians(found["page in the middle, bare SQL"])))]
        rows.append(Row(name, _medians(times), "ms", ratios=ratios, details={"p99 ms": _p99(times)}))
    notes = [
        f"{LEADS:,} leads, pages of {paging.LENGTH}. The console's way is a transaction of an operator's, which asks"
        " whether they are one and is judged by row level security; the bare one is the owner's statement alone."
    ]
    return Report("leads", f"The console's list at {LEADS:,} leads", rows, notes)


async def _look(owner_url: str, account: UUID, rounds: int) -> dict[str, list[list[float]]]:
    now = datetime.now(UTC)
    session = Session(uuid4(), account, "operator@example.com", False, "", now, now)
    bare = await psycopg.AsyncConnection.connect(owner_url, autocommit=True)
    async with bare, Database(login_url(owner_url)) as database:
        with serve_requests_from(database):
            row = await (
                await bare.execute(
                    "select created_at, id from leads order by created_at desc, id desc offset %s limit 1", [LEADS // 2]
                )
            ).fetchone()
            if row is None:
                raise RuntimeError("There are no leads.")
            asked = {
                "first page": {},
                "page in the middle": {"after": f"{row[0]}~{row[1]}"},
                "search": {"q": "person77"},
            }
            ways: dict[str, Callable[[], Awaitable[object]]] = {}
            for name, query in asked.items():
                ways[name] = lambda query=query: _page(session, query)
                ways[f"{name}, bare SQL"] = lambda name=name: _rows(bare, _BARE[name][0], row if _BARE[name][1] else ())
            ways["count of all that match"] = lambda: _count(session)
            ways[OFFSET] = lambda: _rows(bare, _OFFSET, ())
            return await _timed(ways, rounds)


async def _timed(ways: dict[str, Callable[[], Awaitable[object]]], rounds: int) -> dict[str, list[list[float]]]:
    found: dict[str, list[list[float]]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times = []
            for _ in range(LOOKS if name != OFFSET else LOOKS // 10):
                started = time.perf_counter()
                await ways[name]()
                times.append(1000 * (time.perf_counter() - started))
            found[name].append(sorted(times))
    return found


async def _page(session: Session, query: dict[str, str]) -> None:
    wanted = LeadFilter.read(query)
    source, values = leads.listing(wanted)
    async with reading(session) as cursor:
        page = await paging.read(cursor, source, wanted.key, query, values)
    if len(page.rows) != paging.LENGTH:
        raise RuntimeError(f"A page of {len(page.rows)} rows.")


async def _count(session: Session) -> None:
    async with reading(session) as cursor:
        await leads.count(cursor, LeadFilter(source="source 3"))


async def _rows(connection: psycopg.AsyncConnection, statement: str, values: tuple) -> None:
    rows = await (await connection.execute(statement.encode(), values)).fetchall()
    if len(rows) != paging.LENGTH + 1:
        raise RuntimeError(f"A page of {len(rows)} rows.")


def _medians(rounds: list[list[float]]) -> Sample:
    return Sample([times[len(times) // 2] for times in rounds])


def _p99(rounds: list[list[float]]) -> Sample:
    return Sample([times[len(times) * 99 // 100] for times in rounds])
