"""`python -m sigma_app restore`: puts a backup into an empty Sigma."""

from __future__ import annotations

from pathlib import Path

import click

from sigma_app.cli import server_file, signals
from sigma_app.cli.backup import described, opened
from sigma_app.cli.database import running_database
from sigma_app.cli.progress import Steps
from sigma_app.core.errors import StartError
from sigma_app.gateways.keys import missing_key_files
from sigma_app.settings import get_settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> None:
    """Put the backup FILE into an empty Sigma: a new SIGMA_DATA_DIR, or a DATABASE_URL without tables.

    Everything in it is checked first, and each table is compared afterwards. What holds data already is never
    overwritten. A backup of an older Sigma is migrated to this one's schema.
    """
    from sigma_app.features.operations.backup.restoring import restore

    settings = get_settings()
    if server := server_file.find(settings):
        raise StartError(f"{server.base_url} is running. Stop it first; nothing was changed.")
    with (
        opened(settings, file) as (archive, found),
        Steps() as steps,
        steps.step("Restore") as step,
        signals.deferred(),
        running_database(settings, step.update, new=True),
        signals.interruptible(),
    ):
        restore(settings, archive, found, step.update)
    print(f"Restored: {described(found)}.")
    if missing := missing_key_files(settings):
        print(
            f"Before the first start, copy {' and '.join(missing)} into {settings.data_dir}, from the data directory of"
            " the Sigma that was backed up: no backup has them. A start without makes new ones, with which everybody"
            " signs in again, and codes in mails that are open fail."
        )
    print("Start Sigma, then: python -m sigma_app reconcile. What else follows is in docs/operations/backup.md.")
