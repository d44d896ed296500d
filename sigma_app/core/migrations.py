"""Bringing a database's schema up to date, by any number of processes at once.

The revisions are in `alembic/versions`. A migration runs in one transaction, under an advisory lock that
belongs to that transaction, so it is all or nothing and works behind a transaction pooler too. A database
that is up to date is recognised without importing Alembic, since every start asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from sigma_app.core.connecting import connect
from sigma_app.core.errors import StartError
from sigma_app.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

VERSIONS = PROJECT_ROOT / "alembic" / "versions"
VERSION_SCHEMA = "sigma"  # not `public`, which Supabase serves over REST
VERSION_TABLE = "alembic_version"
ADVISORY_LOCK = 0x5169_6D61  # "Sigma"; any fixed number that nobody else uses
LOCK_TIMEOUT = "5s"  # a waiting ALTER TABLE makes every later query wait behind it: rather fail
TURN_TIMEOUT = "5min"  # how long to wait for another process' migration

Progress = Callable[[str], None]  # called after each revision, such as "0002 leads and profiles"


class MigrationError(StartError):
    """The database could not be migrated. Nothing was changed."""


def head() -> str:
    """The newest revision of this code."""
    found = _revisions()
    heads = found.keys() - set(found.values())
    if len(heads) != 1:
        raise MigrationError(f"alembic/versions must have one head, found {sorted(heads) or 'none'}.")
    return heads.pop()


def knows(revision: str) -> bool:
    """Whether this code has a revision."""
    return revision in _revisions()


def current(owner_url: str) -> str | None:
    """The revision that the database is at, or None when it was never migrated.

    Raises:
        DatabaseRefused: it does not answer.
        MigrationError: its revision cannot be read, or is one that this code does not know.
    """
    with _explained(), connect(owner_url) as connection:
        revision = _current(connection)
    if revision is not None and revision not in _revisions():
        raise MigrationError(
            f"The database is at revision {revision}, newer than this version of Sigma, which knows {head()} and older."
            " Deploy the newer version again, or restore a backup from before its migration. Nothing was changed."
        )
    return revision


def migrate(owner_url: str, progress: Progress | None = None, *, to: str | None = None) -> None:
    """Bring the database up to `head()`, or to a revision; does nothing, quickly, when it is there.

    Raises:
        DatabaseRefused: it does not answer.
        MigrationError: a revision failed, and was undone as a whole; or the database is newer than this code.
    """
    if current(owner_url) != (to or head()):
        _run(owner_url, "upgrade", to or "head", progress)


def downgrade(owner_url: str, revision: str, progress: Progress | None = None) -> None:
    """Take the database back to `revision` ("base" for before the first). Drops data: back up first.

    Raises:
        DatabaseRefused: it does not answer.
        MigrationError: a revision failed, and was undone as a whole; or the database is newer than this code.
    """
    current(owner_url)  # refuses what this code does not know
    _run(owner_url, "downgrade", revision, progress)


def lays_auth(owner_url: str) -> bool:
    """Whether schema auth of a migrated database is Sigma's own, rather than that of a Supabase project.

    Raises:
        DatabaseRefused: it does not answer.
    """
    with connect(owner_url) as connection:
        row = connection.execute("select obj_description(to_regnamespace('auth'), 'pg_namespace')").fetchone()
    return bool(row and row[0] and row[0].startswith("Laid by Sigma"))


def run_sql(name: str) -> None:
    """Run one of the `.sql` files beside the versions, inside the migration that calls this.

    Such a file is never edited after it lands: a change is a new file in a new revision.
    """
    from alembic import op

    statements = (VERSIONS / name).read_text()
    # Without parameters the driver takes the text as it is: several statements, and no meaning in % or in
    # :name.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def take_turn(connection: Connection) -> None:
    """Wait until no other process migrates this database, then bound how long a statement waits for a table.

    Called by `alembic/env.py` at the start of its transaction. Everything here ends with that transaction.
    """
    connection.exec_driver_sql(f"set local lock_timeout = '{TURN_TIMEOUT}'")
    connection.exec_driver_sql(f"select pg_advisory_xact_lock({ADVISORY_LOCK})")
    connection.exec_driver_sql(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
    connection.exec_driver_sql("set local statement_timeout = 0")  # a hosted owner role may carry a short one
    connection.exec_driver_sql(f"create schema if not exists {VERSION_SCHEMA}")


def alembic_config() -> Config:
    """Alembic's configuration, from `[tool.alembic]` in pyproject.toml."""
    from alembic.config import Config

    return Config(toml_file=str(PROJECT_ROOT / "pyproject.toml"))


@contextmanager
def migration_engine(owner_url: str) -> Iterator[Connection]:
    """A SQLAlchemy connection of the owner, for Alembic."""
    from sqlalchemy import NullPool, create_engine

    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _run(owner_url: str, command: str, target: str, progress: Progress | None) -> None:
    from alembic.util import CommandError

    from alembic import command as commands

    config = alembic_config()
    config.attributes |= {"progress": progress, "without_models": True}
    try:
        with _explained(), migration_engine(owner_url) as connection:
            config.attributes["connection"] = connection
            getattr(commands, command)(config, target)
    except CommandError as error:  # such as a revision to go to that there is none of
        raise MigrationError(f"The database could not be migrated: {error}. Nothing was changed.") from error


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what Postgres refuses, itself or through SQLAlchemy, into one line."""
    try:
        yield
    except psycopg.Error as error:
        raise MigrationError(_reason(error)) from error
    except Exception as error:
        # Without importing SQLAlchemy, which a database that is up to date does not need.
        cause = getattr(error, "orig", None)
        if not isinstance(cause, psycopg.Error):
            raise
        raise MigrationError(_reason(cause)) from error


def _reason(error: psycopg.Error) -> str:
    """What Postgres said, in one line, with its hint."""
    said = " ".join((error.diag.message_primary or str(error)).split()).rstrip(".")
    hint = f" {error.diag.message_hint}" if error.diag.message_hint else ""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        hint = " Something holds a table or migrates for long; try again when it is done."
    elif isinstance(error, psycopg.errors.InsufficientPrivilege) and not hint:
        hint = " DATABASE_URL must name the owner of the database, or a user with the owner's rights."
    return f"The database could not be migrated: {said}.{hint} Nothing was changed."


def _revisions() -> dict[str, str | None]:
    """Each revision of this code and the one before it, read from the files' text: Alembic takes long to import."""
    found: dict[str, str | None] = {}
    for path in VERSIONS.glob("*.py"):
        text = path.read_text()
        names = {key: _assigned(text, key) for key in ("revision", "down_revision")}
        if names["revision"]:
            found[names["revision"]] = names["down_revision"]
    return found


def _assigned(text: str, name: str) -> str | None:
    match = re.search(rf'^{name}\b[^=\n]*= *"([^"]+)"', text, re.MULTILINE)
    return match.group(1) if match else None


def _current(connection: psycopg.Connection) -> str | None:
    table = sql.Identifier(VERSION_SCHEMA, VERSION_TABLE)
    try:
        row = connection.execute(sql.SQL("select version_num from {}").format(table)).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    return row[0] if row else None
