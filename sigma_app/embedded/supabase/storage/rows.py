"""The rows of objects: finding, writing, and asking beforehand whether somebody may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from sigma_app.core.database import SERVICE, Actor
from sigma_app.embedded.supabase.storage import errors
from sigma_app.embedded.supabase.storage.acting import Cursor, acting, trying
from sigma_app.embedded.supabase.storage.actor import Asker
from sigma_app.embedded.supabase.storage.names import Place

_INSERT = (
    "insert into storage.objects (bucket_id, name, owner, owner_id, version, metadata, user_metadata) values"
    " (%(bucket)s, %(name)s, %(owner)s, %(owner_id)s, %(version)s, %(metadata)s, %(user_metadata)s)"
)
_UPSERT = (
    f"{_INSERT} on conflict (name, bucket_id) do update set version = excluded.version, metadata = excluded.metadata,"
    " user_metadata = excluded.user_metadata, owner = coalesce(excluded.owner, objects.owner),"
    " owner_id = coalesce(excluded.owner_id, objects.owner_id) returning *"
)
_FIND = "select * from storage.objects where bucket_id = %s and name = %s"
_ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('storage object ' || %s, 0))"


@dataclass(frozen=True)
class NewRow:
    """What a row shall say."""

    place: Place
    who: Asker
    version: str
    metadata: Mapping[str, Any]
    user_metadata: Mapping[str, Any] | None

    def values(self) -> dict[str, Any]:
        """For the statements."""
        return {
            "bucket": self.place.bucket,
            "name": self.place.name,
            "owner": self.who.owner,
            "owner_id": self.who.owner_id,
            "version": self.version,
            "metadata": Jsonb(self.metadata),
            "user_metadata": None if self.user_metadata is None else Jsonb(self.user_metadata),
        }


async def find(actor: Actor, place: Place, operation: str) -> dict[str, Any]:
    """The row of an object, as `actor` sees it.

    Raises:
        StorageError: they see none.
    """
    async with acting(actor, operation) as cursor:
        await cursor.execute(_FIND, place)
        row = await cursor.fetchone()
    if row is None:
        raise errors.no_such_key()
    return row


async def check_may_write(row: NewRow, operation: str, *, upsert: bool) -> None:
    """Let row level security say whether `row.who` may write it: INSERT, and to replace another SELECT and UPDATE.

    Raises:
        psycopg.Error: they may not.
        StorageError: the name is taken.
    """
    async with trying(row.who.actor, operation) as cursor:
        await _write(cursor, row, upsert=upsert)


async def take_turn(cursor: Cursor, place: Place) -> dict[str, Any] | None:
    """Wait until nobody else writes to `place`, until the end of the transaction; the row that is there now."""
    await cursor.execute(_ONE_AT_A_TIME, [str(place)])
    await cursor.execute(f"{_FIND} for update", place)
    return await cursor.fetchone()


async def write(cursor: Cursor, row: NewRow) -> dict[str, Any]:
    """Write a row, in a turn of one's own, over what is there."""
    await cursor.execute(_UPSERT, row.values())
    written = await cursor.fetchone()
    if written is None:  # a trigger of somebody's skipped it
        raise errors.access_denied()
    return written


async def limits_of(bucket: str, operation: str) -> tuple[int | None, list[str]]:
    """How large files of a bucket may be, in bytes, and of which media types; all of them where there are none.

    Raises:
        StorageError: there is no such bucket.
    """
    async with acting(SERVICE, operation) as cursor:
        await cursor.execute("select file_size_limit, allowed_mime_types from storage.buckets where id = %s", [bucket])
        row = await cursor.fetchone()
    if row is None:
        raise errors.no_such_bucket()
    return row["file_size_limit"], row["allowed_mime_types"] or []


async def _write(cursor: Cursor, row: NewRow, *, upsert: bool) -> None:
    try:
        await cursor.execute(_UPSERT if upsert else _INSERT, row.values())
    except UniqueViolation:
        raise errors.already_exists("KeyAlreadyExists") from None
