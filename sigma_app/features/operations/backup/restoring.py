"""Putting a backup into an empty Sigma: checked first, in one transaction, and compared afterwards.

Roles belong to a whole cluster, so no dump has them. They are made as migrations make them: the schema is laid once,
and taken away again for the one in the dump, which may be an older one and is then migrated forward.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import psycopg
from psycopg import sql

from sigma_app.core import migrations
from sigma_app.core.connecting import connect, session_address
from sigma_app.features.operations.backup import container, tables
from sigma_app.features.operations.backup.errors import NotRestored
from sigma_app.features.operations.backup.making import DUMP, FILES
from sigma_app.features.operations.backup.manifest import Manifest
from sigma_app.gateways import programs
from sigma_app.gateways.database import owner_url
from sigma_app.gateways.files import holds_files, put_file
from sigma_app.settings import Settings

Report = Callable[[str], None]

_MOST_NAMED = 5


def restore(settings: Settings, archive: ZipFile, found: Manifest, report: Report = lambda _: None) -> None:
    """Put an open backup, which was checked, into the database and the data directory of these settings.

    Args:
        settings: the target.
        archive: of the backup.
        found: its manifest.
        report: told what is done now.

    Raises:
        NotRestored: the target holds data, or the database took it not; nothing was changed.
        Differs: the database took it, and holds something else now.
        DatabaseRefused, MigrationError, ProgramFailed: nothing was restored.
    """
    url = owner_url(settings)
    refuse_newer(found)
    refuse_data(settings)
    placed: list[Path] = []
    try:
        report("files")
        for name in found.members:
            if name.startswith(FILES):
                digest = name.removeprefix(FILES)
                placed.append(put_file(settings, digest, container.blocks(archive, name)))
        restore_database(url, archive, found, report)
    except BaseException:
        for path in placed:
            path.unlink(missing_ok=True)
        raise
    report("migrating")
    migrations.migrate(url)


def restore_database(url: str, archive: ZipFile, found: Manifest, report: Report = lambda _: None) -> None:
    """Put the database of a backup into an empty one, and compare each table with what the manifest says.

    Raises:
        NotRestored, DatabaseRefused, MigrationError, ProgramFailed: nothing was restored.
        Differs: something else was.
    """
    report("roles")
    make_room(url)
    report("rows")
    with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
        with archive.open(DUMP) as dump:
            chosen.write("\n".join(_chosen(url, programs.contents(dump))))
            chosen.flush()
        options = ("--no-owner", f"--use-list={chosen.name}")
        with archive.open(DUMP) as dump:
            programs.restore(session_address(url), dump, *options)
    report("comparing")
    with tables.snapshot(url) as connection:
        tables.compare(connection, found.tables)
    with connect(session_address(url), autocommit=True) as owner:
        owner.execute("analyze")


def refuse_newer(found: Manifest) -> None:
    """Refuse a backup whose schema this code does not know.

    Raises:
        NotRestored: that is so.
    """
    if not migrations.knows(found.versions.schema):
        raise NotRestored(
            f"The backup is of a newer Sigma: its schema is at {found.versions.schema}, and this one knows"
            f" {migrations.head()} and older. Check out {_version(found)}, then try again. Nothing was changed."
        )


def refuse_data(settings: Settings) -> None:
    """Refuse a target that holds anything of anybody's.

    Raises:
        NotRestored: it does; the message says what.
        DatabaseRefused: it does not answer.
    """
    with connect(owner_url(settings)) as connection:
        held = [f"{rows} in {table}" for table, rows in _rows(connection).items() if rows]
    if held:
        named = ", ".join(held[:_MOST_NAMED]) + (" and more" if len(held) > _MOST_NAMED else "")
        raise NotRestored(
            f"The database holds rows already: {named}. A backup is restored into an empty Sigma: set SIGMA_DATA_DIR to"
            " a new directory, or DATABASE_URL to an empty database. Nothing was changed."
        )
    if holds_files(settings):
        raise NotRestored(
            f"{settings.data_dir / 'storage'} holds files already. A backup is restored into an empty Sigma: set"
            " SIGMA_DATA_DIR to a new directory. Nothing was changed."
        )


def make_room(url: str) -> None:
    """Make the roles that the dump speaks of, and leave an empty database.

    Raises:
        DatabaseRefused, MigrationError: it could not be done.
    """
    if _has_auth(url) and not migrations.lays_auth(url):
        raise NotRestored(
            "DATABASE_URL: that is a Supabase project, whose accounts and files are Supabase's own. A backup of Sigma's"
            " own database moves there by restoring it here and python -m sigma_app export-supabase (docs/supabase.md)."
        )
    migrations.migrate(url)
    migrations.downgrade(url, "base")
    with connect(url, autocommit=True) as owner:
        owner.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(migrations.VERSION_SCHEMA)))


def _chosen(url: str, contents: list[str]) -> list[str]:
    """What of a dump this user may put into a database: only a superuser may make event triggers."""
    with connect(url) as connection:
        (superuser,) = connection.execute(_SUPERUSER).fetchone() or (False,)
    return contents if superuser else [line for line in contents if " EVENT TRIGGER " not in line]


def _has_auth(url: str) -> bool:
    with connect(url) as connection:
        return connection.execute("select from pg_catalog.pg_namespace where nspname = 'auth'").fetchone() is not None


def _rows(connection: psycopg.Connection) -> dict[str, int]:
    """How many rows each table holds that is not filled by starting Sigma alone."""
    found = {}
    for place in tables.places(connection):
        if place.schema != "procrastinate" and str(place) not in _FILLED_BY_A_START:
            counting = sql.SQL("select count(*) from {}").format(sql.Identifier(place.schema, place.name))
            found[str(place)] = (connection.execute(counting).fetchone() or (0,))[0]
    return found


def _version(found: Manifest) -> str:
    return "a newer version" if found.versions.sigma == "unknown" else found.versions.sigma


_SUPERUSER = "select rolsuper from pg_catalog.pg_roles where rolname = current_user"
_FILLED_BY_A_START = {
    *("sigma.alembic_version", "sigma.line_blocks", "storage.buckets"),
    *(
        "billing.products",
        "billing.prices",
        "sigma.sandbox_objects",
        "sigma.sandbox_requests",
        "sigma.sandbox_settings",
    ),
}
"""Beside the queue: the version, and what a start lays for the sandbox of payments."""
