"""Secrets that nobody has to set: made once, kept in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """What the file `path` holds; the first to ask makes it, whole or not at all, with mode 0600."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(make())
        try:
            os.link(draft, path)  # fails where another process was first, and then theirs counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
