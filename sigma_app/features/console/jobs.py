"""The console's jobs: what was asked for and takes a while."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sigma_app.core.jobs import job, queue
from sigma_app.features.console import bulk, importing

_LONGEST = timedelta(hours=6)  # a million leads, fifty at a time


@job(bulk.CARRY_ON, longest=_LONGEST)
async def carry_on(run: str) -> None:
    """Take a run step by step to its end, or to where it is stopped."""
    while await bulk.carry_on(UUID(run)):
        pass


@job(importing.CARRY_ON, longest=_LONGEST)
async def carry_on_importing(identity: str) -> None:
    """Import a judged file step by step to its end."""
    while await importing.carry_on(UUID(identity)):
        pass


@queue.periodic(cron="35 3 * * *")
@queue.task(name="console:forget_files", queueing_lock="console:forget_files")
async def forget_files(timestamp: int) -> None:
    """Once a night, forget the rows of files that nobody imports any more, and the reasons of old runs."""
    await importing.forget_old()
    await bulk.forget_old()
