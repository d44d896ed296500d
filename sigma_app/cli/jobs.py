"""`python -m sigma_app jobs`: what waits in the queue, what failed for good and why, and another try for it."""

from __future__ import annotations

import sys
from datetime import UTC

import click
import psycopg
from psycopg.errors import UniqueViolation
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sigma_app.cli.database import migrated_database
from sigma_app.core.connecting import connect
from sigma_app.gateways.database import owner_url
from sigma_app.settings import Settings, get_settings

_COUNTS = "select status::text, count(*) from procrastinate.procrastinate_jobs group by 1 order by 1"
_FAILED = """
    select job.id, job.task_name, job.attempts, failure.failed_at, split_part(failure.error, chr(10), 1)
    from procrastinate.procrastinate_jobs as job
      left join lateral (
        select error, failed_at from sigma.job_errors where job_id = job.id order by id desc limit 1
      ) as failure on true
    where job.status = 'failed' order by job.id desc limit 50
"""
_ALIVE = """
    select count(*) from procrastinate.procrastinate_workers
    where last_heartbeat > now() - %s::interval
"""
_FAILED_IDS = """
    select id from procrastinate.procrastinate_jobs where status = 'failed' and (id = %(id)s or %(id)s is null)
    order by id
"""
_AGAIN = "select procrastinate.procrastinate_retry_job_v2(%s, now(), null, null, null)"


@click.command()
@click.option("--retry", type=int, metavar="ID", help="Try this failed job again.")
@click.option("--retry-all", is_flag=True, help="Try all failed jobs again.")
def command(retry: int | None, retry_all: bool) -> None:
    """Show the queue and its dead letters: jobs that failed for good, each with its last error."""
    settings = get_settings()
    with migrated_database(settings, lambda _: None), connect(owner_url(settings), autocommit=True) as owner:
        if retry is not None or retry_all:
            failed = [job for (job,) in owner.execute(_FAILED_IDS, {"id": retry})]
            if retry is not None and not failed:
                print(f"There is no failed job {retry}.", file=sys.stderr)
                sys.exit(1)
            again = sum(_try_again(owner, job) for job in failed)
            print(f"{again} {'job' if again == 1 else 'jobs'} put back into the queue.")
            return
        counts = owner.execute(_COUNTS).fetchall()
        print(", ".join(f"{count} {name}" for name, count in counts) or "The queue is empty.")
        warn_without_worker(settings)
        if failed := owner.execute(_FAILED).fetchall():
            Console().print(_table(failed))


def _try_again(owner: psycopg.Connection, job: int) -> bool:
    try:
        owner.execute(_AGAIN, [job])
    except UniqueViolation:
        print(f"Job {job} stays as it is: another one of its kind waits already.", file=sys.stderr)
        return False
    return True


def warn_without_worker(settings: Settings) -> None:
    """Say on standard error that nobody works on the queue, if so."""
    from sigma_app.core.jobs import SILENCE

    with connect(owner_url(settings), autocommit=True) as owner:
        (alive,) = owner.execute(_ALIVE, [SILENCE]).fetchone() or (0,)
    if not alive:
        print("No worker is running: start the server, or python -m sigma_app worker.", file=sys.stderr)


def _table(failed: list[tuple]) -> Table:
    table = Table("ID", "Job", "Tries", "Failed (UTC)", "Last error", box=None)
    for job_id, name, tries, at, error in failed:
        when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else ""
        table.add_row(str(job_id), name, str(tries), when, Text(error or "this version knows no such job"))
    return table
