"""People's pictures in Supabase's storage: a private bucket, in it a folder for each user; and other files of theirs.

All but making the bucket, leaving, and telling somebody everything is done as the user, so that the policies of storage
judge it (alembic/versions/0007_pictures.up.sql).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from json import JSONDecodeError
from typing import Any
from uuid import UUID

import httpx

from sigma_app.gateways.accounts import IdentityBusy, IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.gateways.identity import reaching_supabase

BUCKET = "pictures"
KIND = "image/webp"
LONGEST = 15.0  # seconds for all that is asked of storage at once, however slowly its answers come

_LARGEST = 1024 * 1024  # bytes
_MISSING = "not_found"  # of the bucket or the file; versions of storage differ in the code, and not in the status
_SHOWN = 100  # files of one folder; more than one is there only while they change


async def put(tokens: Tokens, name: str, picture: bytes) -> None:
    """Keep a picture in the user's folder.

    Raises:
        IdentityRefused: storage does not want it.
        IdentityUnavailable: it could not be asked; nothing was kept, or what was kept is nobody's yet.
    """
    try:
        await _put(tokens, name, picture)
    except IdentityRefused as refused:
        if refused.code != _MISSING:
            raise
        await _make_bucket()
        await _put(tokens, name, picture)


async def read(tokens: Tokens, name: str) -> bytes | None:
    """A picture of the user's folder; None where there is none of this name.

    Raises:
        IdentityRefused: storage does not give it out.
        IdentityUnavailable: it could not be asked.
    """
    try:
        async with _storage(access_token=tokens.access) as storage:
            picture = await storage.from_(BUCKET).download(_path(tokens.user_id, name))
    except IdentityRefused as refused:
        if refused.code != _MISSING:
            raise
        return None
    if not _is_whole(picture):  # something in front of storage answered, or half of it is missing
        raise IdentityUnavailable
    return picture


async def remove(tokens: Tokens, *names: str) -> None:
    """Remove pictures from the user's folder; those that are not there are gone already.

    Raises:
        IdentityRefused, IdentityUnavailable: they are still there.
    """
    async with _storage(access_token=tokens.access) as storage:
        await storage.from_(BUCKET).remove([_path(tokens.user_id, name) for name in names])


async def remove_all(user_id: UUID) -> None:
    """Remove every picture of somebody who leaves.

    Raises:
        IdentityRefused, IdentityUnavailable: some are still there.
    """
    async with _storage(as_service=True) as storage:
        await _empty(storage.from_(BUCKET), str(user_id))


async def names_of(user_id: UUID) -> list[str]:
    """What is in the user's folder, and in those that they made in it, as storage names it; read as the service.

    Raises:
        IdentityRefused, IdentityUnavailable: it could not be asked.
    """
    async with _storage(as_service=True) as storage:
        return [name async for name in _listed(storage.from_(BUCKET), str(user_id))]


async def read_as_service(bucket: str, name: str) -> bytes | None:
    """A file of whichever bucket; None where there is none of this name.

    Raises:
        IdentityRefused, IdentityUnavailable: it could not be read.
    """
    try:
        async with _storage(as_service=True) as storage:
            return await storage.from_(bucket).download(name)
    except IdentityRefused as refused:
        if refused.code != _MISSING:
            raise
        return None


async def remove_as_service(bucket: str, names: Sequence[str]) -> None:
    """Remove files of whichever bucket; those that are not there are gone already.

    Raises:
        IdentityRefused, IdentityUnavailable: some are still there.
    """
    async with _storage(as_service=True) as storage:
        for start in range(0, len(names), _SHOWN):
            await storage.from_(bucket).remove(names[start : start + _SHOWN])


async def _put(tokens: Tokens, name: str, picture: bytes) -> None:
    async with _storage(access_token=tokens.access) as storage:
        await storage.from_(BUCKET).upload(_path(tokens.user_id, name), picture, {"content-type": KIND})


async def _listed(bucket: Any, folder: str) -> AsyncIterator[str]:
    offset = 0
    while found := await bucket.list(folder, {"limit": _SHOWN, "offset": offset}):
        offset += len(found)
        for entry in found:
            name = f"{folder}/{entry['name']}"
            if entry["id"] is not None:
                yield name
                continue
            async for deeper in _listed(bucket, name):
                yield deeper


async def _empty(bucket: Any, folder: str) -> None:
    """Remove the files of a folder, and those of the folders that its owner made in it with a token of their own.

    Raises:
        IdentityUnavailable: storage says that it removed them, and still lists them.
    """
    seen: set[str] = set()
    while found := await bucket.list(folder, {"limit": _SHOWN}):
        paths = {f"{folder}/{entry['name']}": entry["id"] for entry in found}
        if paths.keys() <= seen:
            raise IdentityUnavailable
        seen |= paths.keys()
        for path, file_id in paths.items():
            if file_id is None:  # a folder is listed for as long as something is in it
                await _empty(bucket, path)
        if files := [path for path, file_id in paths.items() if file_id is not None]:
            await bucket.remove(files)


async def _make_bucket() -> None:
    """At the first picture: a new project has no bucket, and whoever lists those it has finds none of ours before."""
    options: Any = {"public": False, "file_size_limit": _LARGEST, "allowed_mime_types": [KIND]}
    try:
        async with _storage(as_service=True) as storage:
            await storage.create_bucket(BUCKET, options=options)
    except IdentityRefused as refused:
        if refused.code not in ("Duplicate", "ResourceAlreadyExists", "BucketAlreadyExists"):  # somebody was first
            raise


@asynccontextmanager
async def _storage(**who: Any) -> AsyncIterator[Any]:
    """Supabase's storage, whose errors leave the block as those of accounts."""
    from storage3.exceptions import StorageApiError
    from storage3.utils import StorageException

    try:
        async with asyncio.timeout(LONGEST), reaching_supabase(**who) as client:
            yield client.storage
    except StorageApiError as error:
        if str(error.status).startswith("5"):
            raise IdentityUnavailable from error
        if str(error.status) == "429":
            raise IdentityBusy from error
        raise IdentityRefused(_MISSING if str(error.status) == "404" else error.code) from error
    # The last two of an answer that is none of storage's: no JSON, or JSON of something else
    except (StorageException, httpx.HTTPError, TimeoutError, JSONDecodeError, KeyError) as error:
        raise IdentityUnavailable from error


def _is_whole(picture: bytes) -> bool:
    """Whether bytes are as many as their own head says (RFC 9649, 2.4)."""
    return picture[:4] == b"RIFF" and int.from_bytes(picture[4:8], "little") + 8 == len(picture)


def _path(user_id: UUID, name: str) -> str:
    return f"{user_id}/{name}.webp"
