"""Where the bytes of stored files are, for backups: on this disk, unless Supabase keeps them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from sigma_app.core.kept import flush_directory
from sigma_app.embedded.supabase.storage.content import Content, is_digest
from sigma_app.settings import Settings


def stored_file(settings: Settings, version: str | None) -> Path | None:
    """Where the file is that a row of `storage.objects` with this version points to; None where it points to none."""
    return _content(settings).place(version) if is_digest(version) else None


def holds_files(settings: Settings) -> bool:
    """Whether there is any file."""
    return any(path.is_file() for path in (_directory(settings) / "content").rglob("*"))


def put_file(settings: Settings, digest: str, blocks: Iterable[bytes]) -> Path:
    """Put a file in place, whole or not at all, for its owner alone; where it is.

    Args:
        settings: whose data directory.
        digest: the SHA-256 of what it holds, by which it is named; the caller has checked it.
        blocks: what it holds.
    """
    content = _content(settings)
    place = content.place(digest)
    content.make_directory(place.parent)
    draft = place.with_name(f"{digest}.{secrets.token_hex(8)}")
    try:
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    flush_directory(place.parent)
    return place


def _directory(settings: Settings) -> Path:
    return settings.data_dir / "storage"


def _content(settings: Settings) -> Content:
    return Content(_directory(settings))
