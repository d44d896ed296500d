"""A place in line among a million leads: as the database tells it, and by counting everybody ahead."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from rich.console import Console

from sigma_app.core.migrations import migrate
from tests.bench.report import Ratio, Report, Row, Sample
from tests.bench.scratch import scratch_cluster

LEADS = 1_000_000
ROUNDS = 5
LOOKUPS = 200  # a round
SIGMA = "place in line"
COUNTING = "counting everybody ahead"
NOTHING = "a query that asks nothing"
CONFIRMING = "confirming"

_LEADS = """
    insert into leads (email, confirmed_at, line_number, line_key, share_code, referrals)
    select 'f' || n || '@example.com', now(), n, n, 'code' || n, mod(n, 7)
    from generate_series(1, %s) as n
"""
_COUNTING = """
    select 1 + count(*) from leads as other, leads as mine where mine.line_number = %s
      and (other.line_key < mine.line_key or (other.line_key = mine.line_key and other.line_number > mine.line_number))
"""
_PLACE = "select sigma.place(id) from leads where line_number = %s"


def measure(options: argparse.Namespace) -> Report:
    """Look places up at random, all ways in turn, and check that they agree."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch, scratch_cluster(Path(scratch)) as owner_url:
        migrate(owner_url)
        with psycopg.connect(owner_url, autocommit=True) as owner, Console(stderr=True).status("A million leads"):
            owner.execute(_LEADS, [LEADS])
            owner.execute("vacuum analyze")
            _check(owner)
            found = _look_up(owner, options.rounds or ROUNDS)
    rows = [
        Row(
            name,
            Sample([times[len(times) // 2] for times in found[name]]),
            "ms",
            ratios=[Ratio(NOTHING, _medians(found[name]).over(_medians(found[NOTHING])))] if name != NOTHING else [],
            details={"p99 ms": Sample([times[len(times) * 99 // 100] for times in found[name]])},
        )
        for name in found
    ]
    notes = [f"{LEADS:,} leads in line; {LOOKUPS} look-ups a round, at random places. Both ways told the same place."]
    return Report("line", f"Place in line at {LEADS:,} leads", rows, notes)


def _look_up(owner: psycopg.Connection, rounds: int) -> dict[str, list[list[float]]]:
    chance = random.Random(7)  # noqa: S311 - the same places each time
    ways: dict[str, Callable[[int], object]] = {
        NOTHING: lambda _: owner.execute("select 1").fetchone(),
        SIGMA: lambda number: owner.execute(_PLACE, [number]).fetchone(),
        COUNTING: lambda number: owner.execute(_COUNTING, [number]).fetchone(),
        CONFIRMING: lambda number: owner.execute(
            "with new as (insert into leads (email) values (%s) returning id) select id from new",
            [f"new-{number}-{time.perf_counter_ns()}@example.com"],
        ).fetchone(),
    }
    found: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, ask in ways.items():
            times = []
            for _ in range(LOOKUPS if name != COUNTING else LOOKUPS // 10):
                number = chance.randint(1, LEADS)
                if name == CONFIRMING:
                    row = ask(number)
                    started = time.perf_counter()
                    owner.execute("select sigma.confirm(%s, 5)", row)  # pyright: ignore[reportArgumentType]
                else:
                    started = time.perf_counter()
                    ask(number)
                times.append(1000 * (time.perf_counter() - started))
            found[name].append(sorted(times))
    return found


def _medians(rounds: list[list[float]]) -> Sample:
    return Sample([times[len(times) // 2] for times in rounds])


def _check(owner: psycopg.Connection) -> None:
    for number in range(1, LEADS, LEADS // 20):
        told, counted = (owner.execute(query, [number]).fetchone() for query in (_PLACE, _COUNTING))
        if told != counted:
            raise RuntimeError(f"Lead {number} is told place {told}, and counting says {counted}")
