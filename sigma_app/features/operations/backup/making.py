"""Making a backup: database, lists and hashes as of one moment, then the stored files that the database names.

    database.dump         pg_dump's custom format, for pg_restore
    accounts.dump         of a Supabase project alone: the rows of its users
    leads_backup.csv      the two lists of the specification, with their columns in its order
    profiles_backup.csv
    files/<sha256>        the bytes of stored files, each once
    manifest.json         what all this is, and the hash of each member and of each table's rows

pg_dump, the lists and the hashes share one exported snapshot, so they agree. Files are copied afterwards; each is named
by what it holds, so none can have changed, but one may have been removed since: the manifest names those.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import LiteralString

import psycopg

from sigma_app.core import migrations
from sigma_app.core.connecting import session_address
from sigma_app.features.operations.backup import container, tables
from sigma_app.features.operations.backup.container import Packing
from sigma_app.features.operations.backup.errors import BackupError
from sigma_app.features.operations.backup.keeping import name_of
from sigma_app.features.operations.backup.manifest import FORMAT, Kind, Manifest, Versions
from sigma_app.features.operations.backup.tables import Place
from sigma_app.gateways import programs
from sigma_app.gateways.database import owner_url
from sigma_app.gateways.files import stored_file
from sigma_app.settings import PROJECT_ROOT, Settings

DUMP, ACCOUNTS, FILES = "database.dump", "accounts.dump", "files/"
OF_A_PROJECT = ("public", "sigma", "billing", "procrastinate")
"""The schemas of a Supabase project that are dumped; the others are Supabase's own, and not the owner's to dump."""
ACCOUNT_TABLES = ("auth.users", "auth.identities")
"""The tables of those others whose rows go along: whom everything belongs to, with the hashes of their passwords."""
LISTS: dict[str, LiteralString] = {
    "leads_backup.csv": "copy (select * from public.leads) to stdout with (format csv, header)",
    "profiles_backup.csv": "copy (select * from public.profiles) to stdout with (format csv, header)",
}
_CHUNK = 1024 * 1024  # bytes of a file at a time
_DUMPING = 'dumping contents of table "'

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Made:
    """A backup that was made."""

    path: Path
    size: int
    """In bytes."""
    manifest: Manifest


def total(settings: Settings) -> int:
    """About how many bytes `make` reads: every table twice, and the files.

    Raises:
        DatabaseRefused, MigrationError: the database does not answer, or is not one to back up.
    """
    _revision(settings)
    with tables.snapshot(owner_url(settings)) as connection:
        whole = migrations.lays_auth(owner_url(settings))
        files = (connection.execute(_FILES_SIZE).fetchone() if whole else None) or (0,)
        return 2 * sum(place.size for place in tables.places(connection)) + files[0]


def make(settings: Settings, directory: Path, passphrase: str | None, advance: Advance = lambda _: None) -> Made:
    """Make a backup in a directory, under the name that its moment gives it.

    Args:
        settings: of what.
        directory: where; made, for its owner alone, if it is not there.
        passphrase: to seal it with, if any.
        advance: told how many more bytes are done, of `total`.

    Raises:
        BackupError: it could not be written; nothing is left of it.
        DatabaseRefused, MigrationError, ProgramFailed: the same.
    """
    revision = _revision(settings)
    _make_directory(directory)
    container.sweep(directory)
    with tables.snapshot(owner_url(settings)) as connection:
        server = connection.info.server_version
        _refuse_a_newer_server(server)
        moment, exported = connection.execute("select now(), pg_export_snapshot()").fetchone() or (None, None)
        if moment is None or exported is None:
            raise BackupError
        path = directory / name_of(moment, sealed=bool(passphrase))
        kind = "whole" if migrations.lays_auth(owner_url(settings)) else "project"
        with container.writing(path, passphrase) as packing:
            included = _dump_all(packing, kind, owner_url(settings), exported, connection, advance)
            _write_lists(packing, connection)
            found = tables.digests(connection, included, advance)
            files, missing = _copy_files(packing, settings, connection, advance) if kind == "whole" else (0, [])
            versions = Versions(_commit(), revision, _spelt(server), programs.version("pg_dump"))
            manifest = Manifest(
                FORMAT, kind, moment.astimezone(UTC), versions, found, dict(packing.members), files, missing
            )
            packing.finish(manifest)
    return Made(path, path.stat().st_size, manifest)


def _revision(settings: Settings) -> str:
    revision = migrations.current(owner_url(settings))
    if revision is None:
        raise BackupError("There is nothing to back up: Sigma has not laid this database yet.")
    return revision


def _make_directory(directory: Path) -> None:
    """Make the last part of a path alone: where more is missing it is a slip of the keyboard, or on a disk that is not
    mounted. That such a disk's mount point is there all the same is not noticed (docs/operations/backup.md)."""
    try:
        directory.mkdir(0o700, exist_ok=True)
    except FileNotFoundError:
        raise BackupError(
            f"{directory.parent}: there is no such directory. Make it, or mount the disk it is on."
        ) from None
    except OSError as error:
        raise BackupError(f"{directory}: {error.strerror}. Name a directory that can be made.") from None


def _refuse_a_newer_server(server: int) -> None:
    ours = programs.version("pg_dump")
    if server // 10000 > int(ours.partition(".")[0]):
        raise BackupError(
            f"The server is Postgres {_spelt(server)}, and pg_dump {ours}, which comes with this Sigma, cannot read it."
            " Update Sigma, or use that server's own pg_dump until then (docs/operations/backup.md)."
        )


def _dump_all(
    packing: Packing, kind: Kind, url: str, exported: str, connection: psycopg.Connection, advance: Advance
) -> list[Place]:
    """Dump what a backup of this kind has of the database; which tables that is."""
    included = tables.places(connection)
    if kind == "project":
        included = [place for place in included if place.schema in OF_A_PROJECT or str(place) in ACCOUNT_TABLES]
    heard = _dumping(included, advance)
    of_then = f"--snapshot={exported}"
    if kind == "whole":
        _dump(packing, DUMP, url, [of_then], heard)
        return included
    users = [f"--table={place}" for place in included if str(place) in ACCOUNT_TABLES]
    _dump(packing, DUMP, url, [of_then, *(f"--schema={schema}" for schema in OF_A_PROJECT)], heard)
    _dump(packing, ACCOUNTS, url, [of_then, "--data-only", *users], heard)
    return included


def _dump(packing: Packing, name: str, url: str, options: Sequence[str], heard: Callable[[str], None]) -> None:
    always = ("--format=custom", "--lock-wait-timeout=60s", "--no-sync")
    with (
        packing.member(name) as out,
        programs.dumping(session_address(url), *always, *options, heard=heard) as blocks,
    ):
        for block in blocks:
            out.write(block)


def _dumping(included: Sequence[Place], advance: Advance) -> Callable[[str], None]:
    """What understands pg_dump's progress, a line for each table."""
    sizes = {str(place): place.size for place in included}

    def heard(line: str) -> None:
        _, begins, table = line.partition(_DUMPING)
        if begins:
            advance(sizes.get(table.rstrip('"'), 0))

    return heard


def _write_lists(packing: Packing, connection: psycopg.Connection) -> None:
    for name, query in LISTS.items():
        with packing.member(name, squeeze=True) as out, connection.cursor().copy(query) as blocks:
            for block in blocks:
                out.write(block)


def _copy_files(
    packing: Packing, settings: Settings, connection: psycopg.Connection, advance: Advance
) -> tuple[int, list[str]]:
    """Copy every stored file; how many rows name one, and which have none any more."""
    count, missing = 0, []
    for bucket, name, version in _named_files(connection):
        count += 1
        place = stored_file(settings, version)
        member = f"{FILES}{version}"
        if member in packing.members:
            continue
        if place is None or not place.exists():
            missing.append(f"{bucket}/{name}")
            continue
        with place.open("rb") as file, packing.member(member) as out:
            while block := file.read(_CHUNK):
                out.write(block)
                advance(len(block))
        if out.sha256 != version:
            raise BackupError(f"{place} does not hold what its name says: the disk, or somebody, has changed it.")
    return count, missing


def _named_files(connection: psycopg.Connection) -> Iterator[tuple[str, str, str | None]]:
    """Bucket, name and version of every stored file."""
    with connection.cursor("files") as rows:
        yield from rows.execute(_FILES)


def _spelt(server: int) -> str:
    """A server's version as people write it."""
    return f"{server // 10000}.{server % 10000}"


def _commit() -> str:
    """The commit that is checked out; "unknown" without git, or its directory."""
    command = ["git", "-C", PROJECT_ROOT, "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


_FILES = "select bucket_id, name, version from storage.objects order by bucket_id, name"
_FILES_SIZE = "select coalesce(sum((metadata ->> 'size')::bigint), 0)::bigint from storage.objects"
