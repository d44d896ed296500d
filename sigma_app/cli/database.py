"""The database during a command: started if it is the embedded one, migrated, and stopped by its last user."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from sigma_app.cli.progress import Steps
from sigma_app.core.migrations import migrate
from sigma_app.embedded import postgres
from sigma_app.gateways.database import owner_url
from sigma_app.settings import Settings

T = TypeVar("T")


@contextmanager
def running_database(settings: Settings, report: Callable[[str], None]) -> Iterator[None]:
    """Have the database up inside the block.

    The embedded one is stopped at the end unless another command of ours still uses it: each user holds a shared
    lock, and whoever can turn it into an exclusive one is the last.
    """
    if settings.is_hosted("database"):
        yield
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "postgres.users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        report("starting Postgres")
        cluster = postgres.start(settings)
        try:
            yield
        finally:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                cluster.stop()


@contextmanager
def migrated_database(settings: Settings, report: Callable[[str], None]) -> Iterator[None]:
    """Have the database up inside the block, at the newest revision."""
    with running_database(settings, report):
        report("checking the schema")
        migrate(owner_url(settings), lambda revision: report(f"migrated: {revision}"))
        yield


@contextmanager
def migrated_database_while(settings: Settings, steps: Steps, do: Callable[[], T]) -> Iterator[T]:
    """As `migrated_database`, starting in a thread while `do` runs; yields what `do` returned."""
    with ExitStack() as stack:
        with steps.step("Database") as step, ThreadPoolExecutor(max_workers=1) as pool:
            ready = pool.submit(stack.enter_context, migrated_database(settings, step.update))
            result = do()
            ready.result()
        yield result
