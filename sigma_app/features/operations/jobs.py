"""The job of operations: a backup every day, where SIGMA_BACKUP_DIR says where to put it.

It has a queue of its own, which only the workers serve that have such a directory: set it on one machine, and that one
makes them. It is a process of its own, as a person would start it, so that it costs pages no moment of this one's time.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import timedelta

from sigma_app.core import clock
from sigma_app.core.jobs import JobError, job, queue
from sigma_app.features.operations.backup.keeping import backups_in
from sigma_app.settings import PROJECT_ROOT, get_settings

BACKUPS = "backups"
"""The queue."""
EVERY = timedelta(hours=23, minutes=30)
"""How old the newest backup has to be for another one; it is looked at each hour, so the hour stays the same."""
_LONGEST = timedelta(hours=6)
_NAME = "operations:back_up"

logger = logging.getLogger(__name__)


class BackupFailed(JobError):
    """The backup failed; the message has the last line of `python -m sigma_app backup`."""


@job(_NAME, queue=BACKUPS, longest=_LONGEST, queueing_lock=_NAME, lock=_NAME)
async def back_up(timestamp: int) -> None:
    """Make a backup, unless there is one of today.

    Raises:
        BackupFailed: it was not made.
    """
    directory = get_settings().backup_dir
    if directory is None or any(clock.now() - kept.made_at < EVERY for kept in backups_in(directory)[:1]):
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sigma_app", "backup"),
        cwd=PROJECT_ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complained = (output.decode().strip() for output in await process.communicate())
    except asyncio.CancelledError:  # the worker stops, and so does the backup: it leaves nothing
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        raise
    if process.returncode != 0:
        raise BackupFailed(complained.rpartition("\n")[2] or f"It ended with {process.returncode}.")
    logger.info("Backed up: %s", said.partition("\n")[0])


def schedule_backups() -> None:
    """Have this process's workers look each hour whether a backup is due."""
    if (_NAME, "") not in queue.periodic_registry.periodic_tasks:
        queue.periodic(cron="40 * * * *")(back_up)
