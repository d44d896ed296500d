"""Takes what the stand-in keeps to where a hosted Supabase project can load it: a directory of plain files.

    data.sql      users, identities, profiles, leads and what belongs to them, for psql, in one transaction
    files.jsonl   a line for each stored file: its bucket, its name, its SHA-256, what it says of itself
    files/        their bytes, each named by its SHA-256
    manifest.json how many rows of each table and how many files, the SHA-256 of the two files above, what stays behind

Everything is as of one moment, and streams: a million rows never are in memory. It moves neither sessions nor tokens,
keys, queued jobs or mails. docs/supabase.md has the steps.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from sigma_app.core.connecting import connect
from sigma_app.core.errors import StartError
from sigma_app.core.migrations import head
from sigma_app.embedded.supabase.storage.content import Content, is_digest

DATA, LIST, FILES, MANIFEST = "data.sql", "files.jsonl", "files", "manifest.json"
_CHUNK = 1024 * 1024  # bytes of a file at a time

Advance = Callable[[int], None]  # told how many more rows and files are written


@dataclass(frozen=True)
class Table:
    """A table whose rows move."""

    schema: LiteralString
    name: LiteralString
    instead: Mapping[str, LiteralString] = field(default_factory=dict)
    """By column, what moves in the place of its value."""
    without: tuple[str, ...] = ()
    """Columns that do not move; those that Postgres computes never do."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


# GoTrue writes an empty text and cannot read NULL. What a mail could still verify does not move: its token does not.
_NO_TOKEN: dict[str, LiteralString] = dict.fromkeys(
    (
        *("confirmation_token", "recovery_token", "reauthentication_token", "phone_change_token", "phone_change"),
        *("email_change_token_new", "email_change_token_current", "email_change"),
    ),
    "''",
)
TABLES = (
    Table(
        "auth",
        "users",
        {
            **_NO_TOKEN,
            "email_change_sent_at": "null",
            "email_change_confirm_status": "0",
            "instance_id": "coalesce(instance_id, '00000000-0000-0000-0000-000000000000')",
            "aud": "coalesce(aud, 'authenticated')",
            "role": "coalesce(role, 'authenticated')",
            "raw_app_meta_data": "coalesce(raw_app_meta_data, '{}')",
            "raw_user_meta_data": "coalesce(raw_user_meta_data, '{}')",
        },
    ),
    Table("auth", "identities"),
    Table("public", "profiles"),
    Table("public", "leads"),
    Table("sigma", "lead_links"),
    Table("sigma", "consents", without=("id",)),  # a number that nothing refers to
    Table("sigma", "earned"),
    Table("sigma", "suppressions"),
)
_BUCKETS = Table("storage", "buckets", without=("type",))

_BEGIN = """\
-- Made by `python -m sigma_app export-supabase`, for a database that Sigma has migrated to revision {revision}:
-- psql "$DATABASE_URL" -f data.sql
\\set ON_ERROR_STOP on
\\encoding UTF8
begin;
set local statement_timeout = 0;
set local datestyle = iso;
do $$
declare
  place text;
  filled boolean;
begin
  if to_regclass('sigma.alembic_version') is null then
    raise exception 'Sigma has not migrated this database yet; nothing was loaded'
      using hint = 'Set DATABASE_URL to it and run: python -m sigma_app migrate';
  end if;
  if (select version_num from sigma.alembic_version) <> '{revision}' then
    raise exception 'this database is at another revision than the export, {revision}; nothing was loaded'
      using hint = 'Bring the older of the two up to date with: python -m sigma_app migrate';
  end if;
  foreach place in array '{{{tables}}}'::text[] loop
    execute format('select exists (select from %s)', place) into filled;
    if filled then
      raise exception '% holds rows already; nothing was loaded', place
        using hint = 'An export is loaded once, into a project without users and leads.';
    end if;
  end loop;
end
$$;
-- No trigger of either side: nobody is mailed, no profile is made twice, every time stays what it was.
set local session_replication_role = replica;
create temporary table moved_buckets (like storage.buckets including defaults) on commit drop;
"""
_END = """\
set local session_replication_role = origin;
insert into storage.buckets select * from moved_buckets on conflict do nothing;
-- What a trigger keeps elsewhere: how many wait in each stretch of the line.
insert into sigma.line_blocks select line_key >> 10, count(*) from public.leads where line_key is not null group by 1;
commit;
"""
_COLUMNS = """
select attname from pg_catalog.pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''
order by attnum
"""
_WAITING = """
select count(*) from procrastinate.procrastinate_jobs
where status in ('todo', 'doing') and queueing_lock is null -- the others come back by themselves
"""
_OBJECTS = """
select bucket_id, name, version, owner_id, metadata, user_metadata from storage.objects order by bucket_id, name
"""


@contextmanager
def snapshot(owner_url: str) -> Iterator[psycopg.Connection]:
    """The database as it is now, for the length of the block, whatever is written meanwhile."""
    with connect(owner_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("set local statement_timeout = 0")
        connection.execute("set local datestyle = iso")
        connection.execute("set local timezone = utc")
        connection.execute("set local client_encoding = utf8")
        yield connection


def count(connection: psycopg.Connection) -> int:
    """How many rows and files there are to write."""
    places = [sql.Identifier(table.schema, table.name) for table in TABLES]
    each = [
        sql.SQL("(select count(*) from {})").format(place) for place in (*places, sql.Identifier("storage", "objects"))
    ]
    row = connection.execute(sql.SQL("select {}").format(sql.SQL(" + ").join(each))).fetchone()
    return row[0] if row else 0


def waiting_jobs(connection: psycopg.Connection) -> int:
    """How many jobs have still to run, and would not move."""
    row = connection.execute(_WAITING).fetchone()
    return row[0] if row else 0


def write(
    connection: psycopg.Connection, storage: Path, directory: Path, left_out: Sequence[str], advance: Advance
) -> dict[str, int]:
    """Write the export into a directory that is there and empty.

    Args:
        connection: the `snapshot`.
        storage: where the stand-in keeps the bytes of files.
        directory: where to write; every file gets mode 0600.
        left_out: what stays behind, for the manifest.
        advance: told of progress.

    Returns:
        How many rows of each table, and "files".

    Raises:
        StartError: a file that a row names is not there.
    """
    with _new(directory / DATA) as out:
        rows = _write_data(connection, out, advance)
    digests = {DATA: out.digest}
    with _new(directory / LIST) as out:
        files = _write_files(connection, storage, directory, out, advance)
    digests[LIST] = out.digest
    manifest = {
        "made_at": datetime.now(UTC).isoformat(),
        "revision": head(),
        "rows": rows,
        "files": files,
        "sha256": digests,
        "left_out": left_out,
    }
    with _new(directory / MANIFEST) as out:
        out.write(json.dumps(manifest, indent=2).encode() + b"\n")
    return rows | {"files": files}


def _write_data(connection: psycopg.Connection, out: _Output, advance: Advance) -> dict[str, int]:
    """Write `data.sql`; how many rows of each table."""
    rows: dict[str, int] = {}
    out.write(_BEGIN.format(revision=head(), tables=",".join(map(str, TABLES))).encode())
    for table in TABLES:
        rows[str(table)] = _write_rows(connection, table, str(table), out, advance)
    rows[str(_BUCKETS)] = _write_rows(connection, _BUCKETS, "moved_buckets", out, lambda _: None)
    out.write(_END.encode())
    return rows


def _write_rows(connection: psycopg.Connection, table: Table, place: str, out: _Output, advance: Advance) -> int:
    """Write a table's rows as a COPY into `place`; how many they are."""
    found = [name for (name,) in connection.execute(_COLUMNS, [str(table)]) if name not in table.without]
    values = [sql.SQL(table.instead[name]) if name in table.instead else sql.Identifier(name) for name in found]
    source = sql.Identifier(table.schema, table.name)
    names = sql.SQL(", ").join(map(sql.Identifier, found)).as_string(connection)
    out.write(f"copy {place} ({names}) from stdin;\n".encode())
    rows = 0
    query = sql.SQL("copy (select {} from {}) to stdout").format(sql.SQL(", ").join(values), source)
    with connection.cursor().copy(query) as blocks:
        for block in blocks:
            out.write(block)
            more = bytes(block).count(b"\n")  # one ends each row; those inside a value are written as \n
            rows += more
            advance(more)
    out.write(b"\\.\n")
    return rows


def _write_files(connection: psycopg.Connection, storage: Path, directory: Path, out: _Output, advance: Advance) -> int:
    """Write the list of files and their bytes; how many files there are."""
    (directory / FILES).mkdir(0o700)
    content = Content(storage)
    files = 0
    with connection.cursor("objects", row_factory=dict_row) as objects:
        for row in objects.execute(_OBJECTS):
            digest = row["version"]
            source = content.place(digest) if is_digest(digest) else None
            if source is None or not source.exists():
                raise StartError(
                    f"The file {row['bucket_id']}/{row['name']} is listed, and its content is not in {storage}."
                    " It may just have been removed: try again. If it stays, remove the file, or restore its content."
                )
            _copy(source, directory / FILES / digest)
            about = row["metadata"] or {}
            listed = {
                "bucket": row["bucket_id"],
                "name": row["name"],
                "sha256": digest,
                "owner": row["owner_id"],
                "content_type": about.get("mimetype"),
                "cache_control": about.get("cacheControl"),
                "metadata": row["user_metadata"],
            }
            out.write(json.dumps(listed).encode() + b"\n")
            files += 1
            advance(1)
    return files


def _copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, unless another row had the same."""
    if target.exists():
        return
    with source.open("rb") as read, _new(target) as out:
        while block := read.read(_CHUNK):
            out.write(block)
    if out.digest != target.name:
        raise StartError(f"{source} does not hold what its name says: the disk, or somebody, has changed it.")


class _Output:
    """A file being written, and the SHA-256 of what was."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """In hexadecimal digits."""
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write more."""
        self._file.write(data)
        self._hash.update(data)


@contextmanager
def _new(path: Path) -> Iterator[_Output]:
    """A file that nobody else may read, and that was not there before."""
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        yield _Output(file)
