"""The bytes of objects: files named by the SHA-256 of what they hold, under the data directory.

    content/ab/<digest>          what rows' `version` points to, each once however many rows do
    incoming/<random>            being received; locked (flock) by the process that does
    incoming/<digest>.<random>   a note: a row that points to this file is about to come, or to go

Two rules keep a file as long as any row points to it, and no longer. Who puts it in place holds its advisory lock until
the row is committed. Who may have taken the last row away takes the same lock, looks, and removes the file only where
no row is left. A process that dies between leaves its note, and `Content.sweep` decides in the same way: when a process
receives its first file, and then with the first of every hour.

No part of a path comes from anybody outside: a digest is checked to be one.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeGuard

import psycopg
from anyio import CancelScope
from anyio.to_thread import run_sync

from sigma_app.core.database import SERVICE
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.kept import flush_directory
from sigma_app.embedded.supabase.storage import errors
from sigma_app.embedded.supabase.storage.acting import Cursor, acting
from sigma_app.embedded.supabase.storage.receiving import Incoming, explaining_full_disks

SWEEP_SECONDS = 3600
_FRESH_SECONDS = 60  # nobody takes so long between making a file and locking it: younger ones are not swept
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HOLD = (
    "select pg_advisory_xact_lock(hashtextextended('storage content ' || version, 0))"
    " from (select version from unnest(%s::text[]) as version order by version) as held"
)
_STILL_NAMED = "select distinct version from storage.objects where version = any(%s)"


class Content:
    """All files of one data directory."""

    def __init__(self, root: Path):
        """Keep them under `root`, which is made when it is needed."""
        self._content = root / "content"
        self._incoming = root / "incoming"
        self._next_sweep = 0.0

    @asynccontextmanager
    async def receive(self) -> AsyncIterator[Incoming]:
        """A new file to write to; leaving takes it away, unless it was put in place.

        Raises:
            StorageError: there is no room for it.
        """
        await self._sweep_now_and_then()
        with explaining_full_disks():
            incoming = await run_sync(self._begin)
        try:
            yield incoming
        finally:
            with CancelScope(shield=True):
                await incoming.close()

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Change]:
        """Around a transaction in which rows that point to files come or go; afterwards removes what nobody needs."""
        change = Change(self)
        try:
            yield change
        except BaseException:
            with CancelScope(shield=True):
                await self._settle(change.comes + change.goes)
            raise
        with CancelScope(shield=True):
            await run_sync(_remove, [note.path for note in change.comes])
            await self._settle(change.goes)

    async def open(self, version: str | None) -> BinaryIO:
        """The file that a row points to, for the caller to close. It can be read even if it is removed meanwhile.

        Raises:
            StorageError: there is none.
        """
        if not is_digest(version):
            raise errors.no_such_content()
        try:
            return await run_sync(lambda: self.place(version).open("rb"))
        except FileNotFoundError:
            raise errors.no_such_content() from None

    async def sweep(self) -> None:
        """Remove what processes that died have left: half received files, and those of which no row came."""
        await self._settle(await run_sync(self._left_behind))

    async def _sweep_now_and_then(self) -> None:
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            await self.sweep()

    async def _settle(self, notes: list[Note]) -> None:
        """Remove the files of which no row is left, and the notes; while the database is away the notes stay."""
        if not notes:
            return
        digests = list({note.digest for note in notes})
        with suppress(DatabaseUnavailable, psycopg.Error):
            async with acting(SERVICE, "") as cursor:
                await hold(cursor, digests)
                await cursor.execute(_STILL_NAMED, [digests])
                named = {row["version"] for row in await cursor.fetchall()}
                gone = [self.place(digest) for digest in digests if digest not in named]
                await run_sync(_remove, [*gone, *(note.path for note in notes)])

    def _left_behind(self) -> list[Note]:
        """The notes of processes that died; the half received files go at once."""
        notes = []
        for path in self._incoming.glob("*"):
            with suppress(OSError), path.open("rb") as file:  # one that another process settles at this moment
                if time.time() - os.fstat(file.fileno()).st_mtime < _FRESH_SECONDS:
                    continue
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                digest = path.name.partition(".")[0]
                if is_digest(digest):
                    notes.append(Note(digest, path))
                else:
                    path.unlink()
        return notes

    def _begin(self) -> Incoming:
        self.make_directory(self._incoming)
        path = self._incoming / secrets.token_hex(8)
        file = open(path, "x+b", opener=_private)  # noqa: SIM115 - `receive` closes it
        fcntl.flock(file, fcntl.LOCK_EX)
        return Incoming(path, file)

    def place(self, digest: str) -> Path:
        """Where the file of this digest is."""
        return self._content / digest[:2] / digest

    def note(self, digest: str) -> Note:
        """A new note about a file, not yet written."""
        return Note(digest, self._incoming / f"{digest}.{secrets.token_hex(8)}")

    def make_directory(self, directory: Path) -> None:
        """Make a directory of ours, and those above, for nobody else to look into."""
        for missing in (self._content.parent, directory.parent, directory):
            with suppress(FileExistsError):
                missing.mkdir(0o700, parents=missing == self._content.parent)
                flush_directory(missing.parent)


@dataclass(frozen=True)
class Note:
    """That somebody is about to decide whether a file stays."""

    digest: str
    path: Path


@dataclass
class Change:
    """What one transaction does to files."""

    _content: Content
    comes: list[Note] = field(default_factory=list)
    goes: list[Note] = field(default_factory=list)

    async def add(self, incoming: Incoming, cursor: Cursor) -> None:
        """Put a finished file in place. `cursor`'s transaction, which is one of SERVICE, then writes the row.

        Raises:
            StorageError: there is no room for it.
        """
        await hold(cursor, [incoming.digest])
        note = self._content.note(incoming.digest)
        self.comes.append(note)
        with explaining_full_disks():
            await run_sync(self._link, incoming, note)

    async def remove(self, versions: Iterable[str | None]) -> None:
        """Say, before the transaction ends, that rows with these versions are gone in it."""
        notes = [self._content.note(version) for version in set(versions) if is_digest(version)]
        self.goes += notes
        await run_sync(_write_notes, notes)

    def _link(self, incoming: Incoming, note: Note) -> None:
        incoming.become(note.path)
        place = self._content.place(note.digest)
        self._content.make_directory(place.parent)
        with suppress(FileExistsError):  # somebody had the same bytes
            os.link(note.path, place)
        flush_directory(place.parent)


async def hold(cursor: Cursor, digests: Iterable[str]) -> None:
    """Until the end of the transaction, let nobody else decide about these files."""
    await cursor.execute(_HOLD, [list(digests)])


def is_digest(version: str | None) -> TypeGuard[str]:
    """Whether a row's version points to a file of ours."""
    return bool(version and _DIGEST.fullmatch(version))


def _write_notes(notes: Iterable[Note]) -> None:
    for note in notes:
        with suppress(OSError):  # no directory, or no room: then a crash at this moment leaves the file for ever
            note.path.touch(0o600)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
