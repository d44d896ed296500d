"""Proving that a backup can be restored, by restoring it: into a scratch Postgres that is removed again.

Every member is hashed, every table compared row by row with what the manifest says it was, each stored file looked for,
and the schema brought to the newest version, as a restore would. The database that serves is not touched.
"""

from __future__ import annotations

from collections.abc import Callable
from zipfile import ZipFile

from sigma_app.core import migrations
from sigma_app.core.connecting import connect
from sigma_app.features.operations.backup.errors import Differs
from sigma_app.features.operations.backup.making import FILES
from sigma_app.features.operations.backup.manifest import Manifest
from sigma_app.features.operations.backup.restoring import refuse_newer, restore_database
from sigma_app.gateways.scratch import scratch_database
from sigma_app.settings import Settings

Report = Callable[[str], None]


def verify(settings: Settings, archive: ZipFile, found: Manifest, report: Report = lambda _: None) -> None:
    """Restore an open backup, which was checked, beside everything, and compare.

    Raises:
        Differs: what was restored is not what was backed up.
        NotRestored, ProgramFailed, MigrationError, ClusterError: it could not be restored at all.
    """
    refuse_newer(found)
    report("starting a scratch Postgres")
    with scratch_database(settings) as url:
        restore_database(url, archive, found, report)
        if found.kind == "whole":
            _look_for_files(url, found)
        report("migrating")
        migrations.migrate(url)


def _look_for_files(url: str, found: Manifest) -> None:
    with connect(url) as connection:
        for bucket, name, version in connection.execute("select bucket_id, name, version from storage.objects"):
            if f"{FILES}{version}" not in found.members and f"{bucket}/{name}" not in found.missing:
                raise Differs(f"The file {bucket}/{name} is named by the database, and is not in the backup.")
