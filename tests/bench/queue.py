"""Jobs per second, and how soon a new one is taken up: Sigma's worker against the library's own.

Both drain the same number of jobs that do nothing, on one embedded Postgres with its default durability, ten at a time;
then both wait while jobs come in one by one.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import psycopg
from procrastinate import App, PsycopgConnector
from rich.console import Console

from sigma_app.core import jobs
from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from tests.bench.report import Ratio, Report, Row, Sample
from tests.bench.scratch import scratch_cluster

ROUNDS = 5
JOBS = 1000
COMING = 200
GAP_SECONDS = 0.01
SIGMA = "Sigma's worker"
BARE = "procrastinate's own"

_QUEUE = """
    select sigma.queue_job('bench:note', jsonb_build_object('queued_at', extract(epoch from clock_timestamp())))
    from generate_series(1, %s)
"""

_waits: list[float] = []
"""Of the jobs that ran: seconds between queueing and running."""


@jobs.job("bench:note")
async def note(queued_at: float) -> None:
    """Note how long this job waited."""
    _waits.append(time.time() - queued_at)


Drain = Callable[[], Awaitable[None]]
Working = Callable[[], AbstractAsyncContextManager[None]]


def measure(options: argparse.Namespace) -> Report:
    """Let both drain and wait, in turn."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch, scratch_cluster(Path(scratch)) as owner_url:
        migrate(owner_url)
        rates, p50, p99 = asyncio.run(_measure(owner_url, options.rounds or ROUNDS))
    rows = [
        Row(
            name,
            rates[name],
            "jobs/s",
            ratios=[Ratio(BARE, rates[name].over(rates[BARE]))] if name != BARE else [],
            details={"pick-up p50 ms": p50[name], "pick-up p99 ms": p99[name]},
        )
        for name in (BARE, SIGMA)
    ]
    latency = p50[SIGMA].over(p50[BARE])
    notes = [
        f"{JOBS} jobs a round, 10 at a time; pick-up of {COMING} jobs that come {GAP_SECONDS * 1000:.0f} ms apart.",
        f"Pick-up p50 of Sigma's worker is {latency.median:.2f} times the library's own.",
    ]
    return Report("queue", "Background jobs", rows, notes)


async def _measure(owner_url: str, rounds: int) -> tuple[dict[str, Sample], dict[str, Sample], dict[str, Sample]]:
    login = login_url(owner_url)
    found: dict[str, dict[str, list[float]]] = {name: {"rate": [], "p50": [], "p99": []} for name in (BARE, SIGMA)}
    async with Database(login, 10) as database:
        with serve_requests_from(database), Console(stderr=True).status("Working"):
            contenders: dict[str, tuple[Drain, Working]] = {
                BARE: (lambda: _drain_bare(login), lambda: _bare_working(login)),
                SIGMA: (lambda: jobs.work(login, until_idle=True), lambda: jobs.working(login)),
            }
            for number in range(rounds):
                for name in (BARE, SIGMA) if number % 2 else (SIGMA, BARE):
                    drain, working = contenders[name]
                    found[name]["rate"].append(await _rate(owner_url, drain))
                    waits = await _latencies(owner_url, working)
                    found[name]["p50"].append(1000 * waits[len(waits) // 2])
                    found[name]["p99"].append(1000 * waits[len(waits) * 99 // 100])
    columns = [{name: Sample(measures[key]) for name, measures in found.items()} for key in ("rate", "p50", "p99")]
    return columns[0], columns[1], columns[2]


async def _rate(owner_url: str, drain: Drain) -> float:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(_QUEUE, [JOBS])
    _waits.clear()
    started = time.perf_counter()
    await drain()
    elapsed = time.perf_counter() - started
    if len(_waits) != JOBS:
        raise RuntimeError(f"{len(_waits)} of {JOBS} jobs ran")
    return JOBS / elapsed


async def _latencies(owner_url: str, working: Working) -> list[float]:
    async with working(), await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner:
        await owner.execute(_QUEUE, [1])  # once the first ran, the worker listens
        _waits.clear()
        while not _waits:  # noqa: ASYNC110 - the job's own list
            await asyncio.sleep(GAP_SECONDS)
        await asyncio.sleep(1)
        _waits.clear()
        for _ in range(COMING):
            await owner.execute(_QUEUE, [1])
            await asyncio.sleep(GAP_SECONDS)
        async with asyncio.timeout(30):
            while len(_waits) < COMING:  # noqa: ASYNC110
                await asyncio.sleep(GAP_SECONDS)
    return sorted(_waits)


def _bare(login: str) -> App:
    """The library as its manual shows it, but for the schema, the rights and the task, which are ours."""
    connector = PsycopgConnector(conninfo=login, configure=jobs._become_worker, min_size=1, max_size=4)
    app = App(connector=connector, worker_defaults={"concurrency": jobs.CONCURRENCY, "install_signal_handlers": False})
    app.tasks["bench:note"] = jobs.queue.tasks["bench:note"]
    return app


async def _drain_bare(login: str) -> None:
    app = _bare(login)
    async with app.open_async():
        await app.run_worker_async(wait=False, listen_notify=False, delete_jobs="successful")


@asynccontextmanager
async def _bare_working(login: str):
    app = _bare(login)
    async with app.open_async():
        worker = asyncio.create_task(app.run_worker_async(delete_jobs="successful"))
        try:
            yield
        finally:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker
