"""Sends the files of an export to a hosted Supabase project, through its own API, and says whose each is."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sigma_app.cli.progress import bar
from sigma_app.core.connecting import connect
from sigma_app.core.errors import StartError
from sigma_app.core.words import counted
from sigma_app.gateways.database import owner_url
from sigma_app.settings import Settings

if TYPE_CHECKING:
    from supabase import AsyncClient

AT_A_TIME = 4  # files under way; each waits for the project most of the time

_OWN = "update storage.objects set owner_id = %s, owner = %s where bucket_id = %s and name = %s and owner_id is null"

File = dict[str, Any]
"""A line of `files.jsonl` (embedded/supabase/export.py)."""


async def upload_files(directory: Path, settings: Settings) -> None:
    """Send every file that is not there yet; safe to call again after an interruption.

    Raises:
        StartError: the export is not whole, the environment names no project, or the project refuses the key or a file.
    """
    from sigma_app.gateways.identity import reaching_supabase

    if not (settings.is_hosted("auth") and settings.is_hosted("database")):
        raise StartError(
            "VITE_SUPABASE_URL: files are sent to the project that it names. Set it, both keys and DATABASE_URL to that"
            " project's (docs/supabase.md)."
        )
    with _listed(directory) as (total, listed):
        waiting = map(json.loads, listed)
        sent = 0

        async def send_next() -> None:
            nonlocal sent
            for file in waiting:
                if await _send(client, directory, file):
                    sent += 1
                advance(1)

        async with reaching_supabase(as_service=True) as client:
            await _check_the_key(client)
            with bar("Sending", total) as advance:
                try:
                    async with asyncio.TaskGroup() as group:
                        for _ in range(AT_A_TIME):
                            group.create_task(send_next())
                except* StartError as refused:
                    raise refused.exceptions[0] from None
        listed.seek(0)
        owned = ((file["owner"], file["owner"], file["bucket"], file["name"]) for file in map(json.loads, listed))
        with connect(owner_url(settings)) as owner, owner.cursor() as cursor:
            cursor.executemany(_OWN, (values for values in owned if values[0]))
    rest = "" if sent == total else f"; {total - sent} were there already"
    print(f"{sent} of {counted(total, 'file')} sent{rest}.")


async def _check_the_key(client: AsyncClient) -> None:
    """Ask for what the service's key alone opens, so that a wrong one is not told once for each file.

    Raises:
        StartError: it is wrong, or nobody is there.
    """
    from supabase import AuthError, AuthRetryableError

    try:
        await client.auth.admin.list_users(per_page=1)
    except AuthRetryableError as error:
        raise StartError(_away(client, error.message)) from None
    except AuthError as error:
        raise StartError(
            f"SUPABASE_SERVICE_ROLE_KEY: {_address(client)} refuses it: {error.message}."
            " Set it to that project's service_role or secret key (Supabase dashboard, Project settings, API keys)."
        ) from None
    except ValueError:  # no JSON, or another
        raise StartError(_away(client, "what answers there is no Supabase")) from None


def _address(client: AsyncClient) -> str:
    return str(client.supabase_url).rstrip("/")


def _away(client: AsyncClient, why: str) -> str:
    return f"VITE_SUPABASE_URL: {_address(client)} does not answer: {why}. Call this again when it does."


async def _send(client: AsyncClient, directory: Path, file: File) -> bool:
    """Send one file; False if one by that name is there."""
    from httpx import HTTPError
    from storage3.exceptions import StorageApiError

    options = {
        "content-type": file["content_type"] or "application/octet-stream",
        "cache-control": (file["cache_control"] or "").removeprefix("max-age="),
        **({"metadata": file["metadata"]} if file["metadata"] else {}),
    }
    try:
        await client.storage.from_(file["bucket"]).upload(
            file["name"],
            directory / "files" / file["sha256"],
            options,  # pyright: ignore[reportArgumentType] - its TypedDict knows no metadata
        )
    except StorageApiError as error:
        if str(error.status) == "409":
            return False
        raise StartError(f"{file['bucket']}/{file['name']}: the project refuses it: {error.message}") from None
    except HTTPError as error:
        raise StartError(_away(client, str(error) or type(error).__name__)) from None
    except OSError as error:
        raise StartError(f"{error.filename}: {error.strerror}. The export is not whole any more.") from None
    return True


@contextmanager
def _listed(directory: Path) -> Iterator[tuple[int, BinaryIO]]:
    """How many files `files.jsonl` lists, and itself, open at its beginning.

    Raises:
        StartError: this is no export, or not all of one.
    """
    try:
        manifest = json.loads((directory / "manifest.json").read_text())
        listed = (directory / "files.jsonl").open("rb")
    except OSError as error:
        raise StartError(f"{error.filename}: {error.strerror}. Name the directory of an export.") from None
    with listed:
        if hashlib.file_digest(listed, "sha256").hexdigest() != manifest["sha256"]["files.jsonl"]:
            raise StartError(f"{directory}: files.jsonl is not the one that was exported.")
        listed.seek(0)
        yield manifest["files"], listed
