"""A file while its bytes arrive: written by threads, hashed on the way, and gone unless it is put in place."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from anyio.to_thread import run_sync

from sigma_app.embedded.supabase.storage import errors

WRITE_BYTES = 1024 * 1024  # gathered before a thread is asked to write: few hops, and twice this memory for each upload
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Incoming:
    """A file being received."""

    def __init__(self, path: Path, file: BinaryIO):
        """Write to `file`, which is open at `path`."""
        self.size = 0
        self.digest = ""
        """SHA-256 of the whole, in hex; known once it is finished."""
        self._path: Path | None = path
        self._file = file
        self._hash = hashlib.sha256()
        self._waiting = bytearray()
        self._writing: asyncio.Future[None] | None = None

    async def write(self, data: bytes | memoryview) -> None:
        """Add bytes.

        Raises:
            StorageError: there is no room for them.
        """
        self.size += len(data)
        self._waiting += data
        if len(self._waiting) >= WRITE_BYTES:
            await self._write_out()

    async def finish(self) -> None:
        """No more bytes come: make sure that they are on the disk.

        Raises:
            StorageError: there is no room for them.
        """
        await self._write_out()
        with explaining_full_disks():
            await self._written()
            await run_sync(self._flush)
        self.digest = self._hash.hexdigest()

    async def head(self, size: int) -> bytes:
        """The first bytes of a finished file."""
        return await run_sync(os.pread, self._file.fileno(), size, 0)

    def become(self, path: Path) -> None:
        """Be at `path` from now on, for somebody else to take away."""
        assert self._path is not None, "a file becomes another once"  # noqa: S101 - a mistake of ours, of nobody who asks
        self._path.rename(path)
        self._path = None

    async def close(self) -> None:
        """Close the file, and take it away unless it became another."""
        with suppress(OSError):  # of which `write` or `finish` has told, or nobody waits for it any more
            await self._written()
        await run_sync(self._close_now)

    async def _write_out(self) -> None:
        """Have a thread write what has gathered, while the next comes in."""
        with explaining_full_disks():
            await self._written()
        waiting, self._waiting = self._waiting, bytearray()
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write_now, waiting)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)  # a thread cannot be stopped, so neither may the file be closed
            self._writing = None

    def _write_now(self, data: bytearray) -> None:
        self._hash.update(data)
        self._file.write(data)

    def _close_now(self) -> None:
        self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def explaining_full_disks() -> Iterator[None]:
    """Raise errors.disk_full() where a disk has no room, or its owner's share is used up."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise errors.disk_full() from error
        raise
