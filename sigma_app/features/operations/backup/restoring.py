"""Putting a backup into an empty Sigma: checked first, in one transaction, and compared afterwards.

Roles belong to a whole cluster, so no dump has them. They are made as migrations make them: the schema is laid once,
and taken away again for the one in the dump, which may be an older one and is then migrated forward.

A backup of a Supabase project is another thing: accounts and files are Supabase's own there, so the schema is laid by
migrations, and the rows alone are put into it, in a project as well as in a Postgres of Sigma's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import psycopg
from psycopg import sql

from sigma_app.core import migrations
from sigma_app.core.connecting import connect, session_address
from sigma_app.features.operations.backup import container, tables
from sigma_app.features.operations.backup.errors import NotRestored
from sigma_app.features.operations.backup.making import ACCOUNT_TABLES, ACCOUNTS, DUMP, FILES
from sigma_app.features.operations.backup.manifest import Manifest, Table
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
    expected = found.tables
    if found.kind == "whole":
        make_room(url)
        report("rows")
        _restore_whole(url, archive)
    else:
        lay_schema(url, found)
        report("rows")
        expected = _restore_rows(url, archive, found)
    report("comparing")
    with tables.snapshot(url) as connection:
        tables.compare(connection, expected)
    with connect(session_address(url), autocommit=True) as owner:
        owner.execute("analyze")


def _restore_whole(url: str, archive: ZipFile) -> None:
    """Everything of a dump, schema and rows, into a database with nothing in it."""
    with connect(url) as connection:
        (superuser,) = connection.execute(_SUPERUSER).fetchone() or (False,)

    def wanted(entry: str) -> bool:
        return superuser or " EVENT TRIGGER " not in entry  # only a superuser may make one

    with _chosen(archive, DUMP, wanted) as (dump, chosen):
        programs.restore(session_address(url), (dump, ["--no-owner", chosen]))


def _restore_rows(url: str, archive: ZipFile, found: Manifest) -> dict[str, Table]:
    """The rows of a Supabase project, into a schema that was laid for them; which tables they are.

    No trigger runs, so nobody is mailed and no profile is made twice. Tables that are somebody else's than Sigma's are
    not there, and are left to that somebody (docs/operations/backup.md).
    """
    with connect(url, autocommit=True) as owner:
        there = {str(place) for place in tables.places(owner)}
        for name in ACCOUNT_TABLES:
            if name in found.tables and migrations.lays_auth(url):
                _add_columns(owner, name, found.tables[name])
    loaded = {name: table for name, table in found.tables.items() if name in there and name != _VERSION}

    def wanted(entry: str) -> bool:
        schema, _, rest = entry.partition(" TABLE DATA ")[2].partition(" ")
        theirs = " SEQUENCE SET public " in entry  # none of Sigma's is there
        return not theirs and (not schema or f"{schema}.{rest.split(' ')[0]}" in loaded)

    with _chosen(archive, ACCOUNTS, wanted) as (users, chosen_users), _chosen(archive, DUMP, wanted) as (dump, chosen):
        programs.restore(
            session_address(url),
            (users, ["--data-only", "--no-owner", chosen_users]),
            (dump, ["--data-only", "--no-owner", chosen]),
            before="set session_replication_role = replica;\n",
        )
    return loaded


def _add_columns(owner: psycopg.Connection, name: str, table: Table) -> None:
    """Give a table of our own auth the columns that Supabase's has by now, so that no row is refused."""
    place = sql.Identifier(*name.split("."))
    for column, kind in table.columns.items():
        known = owner.execute("select coalesce(to_regtype(%s)::text, 'text')", [kind]).fetchone() or ("text",)
        statement = sql.SQL("alter table {} add column if not exists {} " + known[0])  # a type's own name
        owner.execute(statement.format(place, sql.Identifier(column)))


@contextmanager
def _chosen(archive: ZipFile, name: str, wanted: Callable[[str], bool]) -> Iterator[tuple[IO[bytes], str]]:
    """A dump, to be read once, and the option that has pg_restore take of it what is wanted."""
    with archive.open(name) as dump:
        entries = programs.contents(dump)
    with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen, archive.open(name) as dump:
        chosen.write("\n".join(filter(wanted, entries)))
        chosen.flush()
        yield dump, f"--use-list={chosen.name}"


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


def lay_schema(url: str, found: Manifest) -> None:
    """Lay the schema that a project's rows were in, with its roles.

    Raises:
        DatabaseRefused, MigrationError: it could not be done.
    """
    if migrations.current(url) not in (None, found.versions.schema):
        migrations.downgrade(url, "base")
    migrations.migrate(url, to=found.versions.schema)


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


_VERSION = f"{migrations.VERSION_SCHEMA}.{migrations.VERSION_TABLE}"
_SUPERUSER = "select rolsuper from pg_catalog.pg_roles where rolname = current_user"
_FILLED_BY_A_START = {
    *("sigma.alembic_version", "sigma.line_blocks", "storage.buckets"),
    *("sigma.visits", "sigma.growth_days"),
    *(
        "billing.products",
        "billing.prices",
        "sigma.sandbox_objects",
        "sigma.sandbox_requests",
        "sigma.sandbox_settings",
    ),
}
"""Beside the queue: the version, what a start lays for the sandbox of payments, and who looked at its pages since."""
