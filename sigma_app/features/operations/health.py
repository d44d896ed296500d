"""Whether this process can do its work: its database, the schema, the queue behind it, and the disk.

What fails is a name and a sentence, never an address or a number of anybody's: balancers ask without a password.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import psycopg
from anyio import to_thread

from sigma_app.core import migrations
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.features.operations.queue import queue_now
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


async def checks() -> list[Check]:
    """Each thing that this process needs, as it stands now."""
    found = await _database()
    disk = await to_thread.run_sync(_disk)
    return [*found, *([disk] if disk else [])]


async def _database() -> list[Check]:
    try:
        ((revision,),) = await get_database().run(Step(SERVICE, _REVISION))
        late = (await queue_now()).oldest
    except (DatabaseUnavailable, psycopg.Error):
        return [Check("database", False, "It does not answer.")]
    wanted = _head()
    ours = revision == wanted
    at_head = Check("migrations", ours, "At head." if ours else f"At {revision}, not {wanted}.")
    behind = late > LATE.total_seconds()
    # A queue that is behind keeps no page from anybody: worth a call, and no reason to send visitors elsewhere.
    queue = Check("queue", not behind, f"Its oldest due job waits for {late:.0f} s.", needed=False)
    return [Check("database", True, "It answers."), at_head, queue]


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
    return None if free is None else Check("disk", free >= LITTLE, f"{free // 1024**2} MiB are free.")


@cache
def _head() -> str:
    return migrations.head()


_REVISION = "select version_num from sigma.alembic_version"
