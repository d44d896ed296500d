"""`python -m sigma_app jobs`: what waits in the queue, what failed for good and why, and another try for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

import click
from psycopg.sql import SQL
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma_app.cli.database import migrated_database
from sigma_app.core.words import counted
from sigma_app.settings import get_settings


@click.command()
@click.option("--retry", type=int, metavar="ID", help="Try this failed job again.")
@click.option("--retry-all", is_flag=True, help="Try all failed jobs again.")
@click.option("--drop", type=int, metavar="ID", help="Delete this failed job: it is not to be done any more.")
def command(retry: int | None, retry_all: bool, drop: int | None) -> None:
    """Show the queue and its dead letters: jobs that failed for good, each with its last error."""
    with migrated_database(get_settings(), lambda _: None):
        if drop is not None:
            sys.exit(asyncio.run(_drop(drop)))
        if retry is not None or retry_all:
            sys.exit(asyncio.run(_try_again(retry)))
        counts, failed = asyncio.run(_read())
        print(", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "The queue is empty.")
        warn_without_worker()
        if failed:
            Console().print(_table(failed))


async def _try_again(job: int | None) -> int:
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console.service import record
    from sigma_app.features.operations.service import try_again
    from sigma_app.gateways.database import serving_requests

    async with serving_requests(), get_database().transaction(SERVICE) as transaction:
        again = await try_again(transaction, job)
        if again:
            await record(transaction, "job.retry", job, jobs=again)
    if job is not None and not again:
        print(f"There is no failed job {job}, or another one of its kind waits already.", file=sys.stderr)
        return 1
    print(f"{counted(again, 'job')} put back into the queue.")
    return 0


async def _drop(job: int) -> int:
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console.service import record
    from sigma_app.features.operations.service import drop
    from sigma_app.gateways.database import serving_requests

    async with serving_requests(), get_database().transaction(SERVICE) as transaction:
        task = await drop(transaction, job)
        if task:
            await record(transaction, "job.drop", job, task=task)
    if task is None:
        print(f"There is no failed job {job}.", file=sys.stderr)
        return 1
    print(f"{task}, job {job}: deleted.")
    return 0


async def _read() -> tuple[Mapping[str, int], Sequence[Mapping[str, Any]]]:
    """How many jobs there are by status, and the latest that failed."""
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.operations.service import JOBS, queue_now
    from sigma_app.gateways.database import serving_requests

    async with serving_requests():
        counts = (await queue_now()).jobs
        async with get_database().cursor(SERVICE) as cursor:
            await cursor.execute(JOBS + SQL(" where job.status = 'failed' order by job.id desc limit 50"))
            return counts, await cursor.fetchall()


def warn_without_worker() -> None:
    """Say on standard error that nobody works on the queue, if so."""
    if not asyncio.run(_workers_alive()):
        print("No worker is running: start the server, or python -m sigma_app worker.", file=sys.stderr)


async def _workers_alive() -> int:
    from sigma_app.features.operations.service import queue_now
    from sigma_app.gateways.database import serving_requests

    async with serving_requests():
        return (await queue_now()).workers


def _table(failed: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("ID", "Job", "Tries", "Failed (UTC)", "Last error", box=None)
    for job in failed:
        when = f"{job['failed_at'].astimezone(UTC):%Y-%m-%d %H:%M}" if job["failed_at"] else ""
        error = (job["error"] or "this version knows no such job").partition("\n")[0]
        table.add_row(str(job["id"]), job["task"], str(job["attempts"]), when, Text(error))
    return table
