"""Secrets that nobody has to set: made once, kept in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file `path` holds; the first to ask makes it, whole or not at all, with mode 0600."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first, and then theirs counts
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        flush_directory(path.parent)
    return path.read_bytes()


def flush_directory(directory: Path) -> None:
    """Make sure that what was made, linked or renamed in a directory is on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
