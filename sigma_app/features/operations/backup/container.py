"""The file that a backup is: a ZIP archive, whose members are written and read as streams, and hashed on the way.

With a passphrase it is sealed by age (https://age-encryption.org/v1): a key is made for this one backup, the archive is
encrypted to it, and the key to the passphrase; both lie in an outer ZIP. So a sealed backup opens without Sigma, too:
`unzip FILE`, then `age --decrypt --identity key.age --output backup.zip backup.zip.age`.

A backup is written under another name and gets its own once it is whole and on the disk: what is cut short, by whatever
means, never passes for one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import struct
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import pyrage

from sigma_app.core.kept import flush_directory
from sigma_app.features.operations.backup import manifest as manifests
from sigma_app.features.operations.backup.errors import BackupError, Damaged, NeedsPassphrase, WrongPassphrase
from sigma_app.features.operations.backup.manifest import Manifest, Member

age: Any = pyrage  # which has no types

KEY, SEALED = "key.age", "backup.zip.age"
DRAFT = ".draft"
_CHUNK = 1024 * 1024  # bytes of a member at a time
_UNREADABLE = (BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, OSError)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Advance = Callable[[int], None]  # told how many more bytes are done


class Packing:
    """A backup that is being written."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self.members: dict[str, Member] = {}

    @contextmanager
    def member(self, name: str, *, squeeze: bool = False) -> Iterator[Sink]:
        """A new member, to be written in the block; compressed if `squeeze`."""
        about = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        about.compress_type = ZIP_DEFLATED if squeeze else ZIP_STORED
        about.external_attr = 0o600 << 16
        with self._archive.open(about, "w", force_zip64=True) as out:
            sink = Sink(out)
            yield sink
        self.members[name] = Member(sink.size, sink.sha256)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, after all others."""
        with self.member(manifests.NAME) as out:
            out.write(manifest.as_json())


class Sink:
    """A member being written, how long it is and what its SHA-256 is so far."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """In hexadecimal digits."""
        return self._hash.hexdigest()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write more."""
        self._out.write(data)
        self._hash.update(data)
        self.size += len(data)


@contextmanager
def writing(path: Path, passphrase: str | None) -> Iterator[Packing]:
    """Write a backup to `path`, where nothing is yet; sealed, if there is a passphrase. Its file has mode 0600.

    Raises:
        BackupError: it could not be written; nothing is left of it.
    """
    if os.path.lexists(path):
        raise BackupError(f"{path} is there already. No backup was made.")
    draft = path.with_name(f".{path.name}{DRAFT}")
    try:
        with open(draft, "x+b", opener=_private) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # somebody writes it: nobody else sweeps it away
            if passphrase:
                with _sealing(file, passphrase) as inner, _archive(inner) as archive:
                    yield Packing(archive)
            else:
                with _archive(file) as archive:
                    yield Packing(archive)
            file.flush()
            os.fsync(file.fileno())
            draft.rename(path)
        flush_directory(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        if error.errno in _FULL:
            raise BackupError(f"{path.parent}: {error.strerror}. Free some space, or name another directory.") from None
        raise BackupError(f"{error.filename or path}: {error.strerror or error}. No backup was made.") from None
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sweep(directory: Path) -> None:
    """Remove what backups that were killed have left in a directory."""
    for draft in directory.glob(f".*{DRAFT}"):
        with suppress(OSError), draft.open("rb") as file:  # one that is being written
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


@contextmanager
def reading(path: Path, ask: Callable[[], str | None]) -> Iterator[ZipFile]:
    """The archive of a backup.

    Args:
        path: of the backup.
        ask: for the passphrase, if it is sealed; None where there is nobody to ask.

    Raises:
        NeedsPassphrase, WrongPassphrase: it cannot be opened.
        Damaged: it is cut short, was changed, or is no backup.
    """
    if not path.is_file():
        raise Damaged(f"{path} is no file. Name a backup; python -m sigma_app backup list shows those there are.")
    with _unreadable(path), ZipFile(path) as outer:
        sealed = SEALED in outer.namelist()
    if not sealed:
        with _opened(path, path) as archive:
            yield archive
        return
    passphrase = ask()
    if not passphrase:
        raise NeedsPassphrase
    with tempfile.TemporaryFile() as scratch:  # without a name: gone with this process, however it ends
        with _unreadable(path), ZipFile(path) as outer:
            _unseal(outer, scratch, passphrase)
        scratch.seek(0)
        with _opened(path, scratch) as archive:
            yield archive


def is_sealed(path: Path) -> bool:
    """Whether a backup needs a passphrase.

    Raises:
        Damaged: it is no backup.
    """
    with _unreadable(path), ZipFile(path) as outer:
        return SEALED in outer.namelist()


def manifest_of(archive: ZipFile) -> Manifest:
    """What an open backup says of itself.

    Raises:
        Damaged: nothing that can be understood.
    """
    with _unreadable(archive.filename):
        if manifests.NAME not in archive.namelist():
            raise Damaged("There is no manifest in it: this file is no backup of Sigma's, or was damaged.")
        content = archive.read(manifests.NAME)
    return manifests.read(content)


def check(archive: ZipFile, found: Manifest, advance: Advance = lambda _: None) -> None:
    """Compare every member with what the manifest says of it.

    Raises:
        Damaged: one is missing, too much, or has another content.
    """
    names = set(archive.namelist()) - {manifests.NAME}
    _refuse("is missing", found.members.keys() - names)
    _refuse("is nothing that the manifest knows", names - found.members.keys())
    for name, member in found.members.items():
        size, digest = 0, hashlib.sha256()
        for block in blocks(archive, name):
            size += len(block)
            digest.update(block)
            advance(len(block))
        if (size, digest.hexdigest()) != (member.size, member.sha256):
            raise Damaged(f"{name} in the backup is not what was written: its SHA-256 is another. Take another backup.")


def blocks(archive: ZipFile, name: str) -> Iterator[bytes]:
    """The content of a member, in pieces.

    Raises:
        Damaged: it cannot be read.
    """
    with _unreadable(f"{name} in the backup"), archive.open(name) as member:
        while block := member.read(_CHUNK):
            yield block


def _refuse(why: str, names: set[str]) -> None:
    if names:
        raise Damaged(f"{min(names)} {why}: the backup is not what was written. Take another one.")


@contextmanager
def _archive(out: IO[bytes]) -> Iterator[ZipFile]:
    """A new ZIP; closed only when the block ended well, since closing writes."""
    archive = ZipFile(out, "w", ZIP_STORED)
    try:
        yield archive
    except BaseException:
        archive.fp = None  # or its destructor would write the end of an archive that is none
        raise
    archive.close()


@contextmanager
def _sealing(file: IO[bytes], passphrase: str) -> Iterator[IO[bytes]]:
    """A pipe whose other end is encrypted into `file`, by a thread."""
    identity = age.x25519.Identity.generate()
    with _archive(file) as outer:
        outer.writestr(KEY, age.passphrase.encrypt(str(identity).encode(), passphrase))
        reading_end, writing_end = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        failed: list[BaseException] = []

        def encrypt() -> None:
            try:
                with reading_end, outer.open(SEALED, "w", force_zip64=True) as sealed:
                    age.encrypt_io(reading_end, _Noting(sealed, failed), [identity.to_public()])
            except BaseException as error:
                failed.append(error)

        worker = threading.Thread(target=encrypt, name="sealing", daemon=True)
        worker.start()
        try:
            with writing_end:
                yield writing_end
        except BrokenPipeError:
            worker.join()
            raise failed[0] from None
        finally:
            worker.join()
        if failed:
            raise failed[0]


def _unseal(outer: ZipFile, scratch: IO[bytes], passphrase: str) -> None:
    try:
        identity = age.x25519.Identity.from_str(age.passphrase.decrypt(outer.read(KEY), passphrase).decode())
    except (age.DecryptError, age.IdentityError):
        raise WrongPassphrase from None
    failed: list[BaseException] = []
    with outer.open(SEALED) as sealed:
        try:
            age.decrypt_io(sealed, _Noting(scratch, failed), [identity])
        except (age.DecryptError, OSError):
            if failed:
                raise failed[0] from None
            raise Damaged(
                f"{outer.filename} is not what was written: it does not decrypt. Take another backup."
            ) from None


class _Noting:
    """Writes to a file, and keeps what went wrong: age tells it as text."""

    def __init__(self, file: IO[bytes], failed: list[BaseException]) -> None:
        self._file = file
        self._failed = failed

    def write(self, data: bytes) -> int:
        """Called by age."""
        try:
            return self._file.write(data)
        except BaseException as error:
            self._failed.append(error)
            raise

    def flush(self) -> None:
        """Called by age."""


@contextmanager
def _opened(path: Path, file: Any) -> Iterator[ZipFile]:
    with _unreadable(path):
        archive = ZipFile(file)
    with archive:
        yield archive


@contextmanager
def _unreadable(what: object) -> Iterator[None]:
    """What cannot be read is damaged; what the system refuses is said as it is."""
    try:
        yield
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the latter of a place before 0
            raise
        raise Damaged(f"{what} cannot be read: it is cut short or was changed. Take another backup.") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
