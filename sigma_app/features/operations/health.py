"""Whether this process can do its work: its database, the schema, the queue behind it, and the disk.

What fails is a name and a sentence, never an address or a number of anybody's: balancers ask without a password.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import NamedTuple

import psycopg
from anyio import to_thread
from rich.filesize import pick_unit_and_suffix

from sigma_app.core import migrations
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.features.operations.queue import QueueNow, queue_now
from sigma_app.gateways.database import database_directory
from sigma_app.settings import get_settings

LATE = timedelta(minutes=5)
"""How long a job that is due may wait before the queue counts as behind."""
LITTLE = 256 * 1024 * 1024  # bytes of free disk


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    says: str
    needed: bool = True
    """Whether requests cannot be answered without it."""


class Standing(NamedTuple):
    """What was looked at."""

    checks: list[Check]
    """Each thing that this process needs."""
    queue: QueueNow | None
    """How the queue stands; None where the database does not say."""


async def checks() -> Standing:
    """How each thing that this process needs stands now, and the queue, which takes long to count where it is long."""
    try:
        queue = await queue_now()
    except (DatabaseUnavailable, psycopg.Error):
        queue = None
    found = await _database(queue)
    disk = await to_thread.run_sync(_disk)
    return Standing([*found, *([disk] if disk else [])], queue)


async def _database(queue: QueueNow | None) -> list[Check]:
    silent = [Check("database", False, "It does not answer.")]
    if queue is None:
        return silent
    try:
        ((revision,),) = await get_database().run(Step(SERVICE, _REVISION))
    except (DatabaseUnavailable, psycopg.Error):
        return silent
    wanted = _head()
    ours = revision == wanted
    at_head = Check("migrations", ours, "At head." if ours else f"At {revision}, not {wanted}.")
    behind = queue.oldest > LATE.total_seconds()
    # A queue that is behind keeps no page from anybody: worth a call, and no reason to send visitors elsewhere.
    in_time = Check("queue", not behind, f"Its oldest due job waits for {queue.oldest:.0f} s.", needed=False)
    return [Check("database", True, "It answers."), at_head, in_time]


def free_space() -> int | None:
    """How many bytes are free where least are: the files of storage, and the database, which root keeps elsewhere.

    None where nothing is kept on this machine.
    """
    settings = get_settings()
    kept = [] if settings.is_hosted("auth") else [settings.data_dir]
    kept += [] if settings.is_hosted("database") else [settings.data_dir, database_directory(settings)]
    if not kept:
        return None
    return min(shutil.disk_usage(place if place.exists() else "/").free for place in kept)


def _disk() -> Check | None:
    free = free_space()
    if free is None:
        return None
    unit, name = pick_unit_and_suffix(free, ["bytes", "KiB", "MiB", "GiB", "TiB"], 1024)
    return Check("disk", free >= LITTLE, f"{free / unit:.1f} {name} free.")


@cache
def _head() -> str:
    return migrations.head()


_REVISION = "select version_num from sigma.alembic_version"
