"""Where a running server of this checkout says that it runs: `server.json` in the data directory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from sigma_app.settings import Settings


@dataclass(frozen=True)
class RunningServer:
    """A server that serves from this data directory."""

    pid: int
    started_at: float
    """When the process started, in seconds since 1970, so that a number used again is not taken for it."""
    base_url: str


@contextmanager
def announced(settings: Settings) -> Iterator[None]:
    """Say for the length of the block that this process serves."""
    server = RunningServer(os.getpid(), psutil.Process().create_time(), settings.base_url)
    file = _file(settings)
    file.write_text(json.dumps(asdict(server)))
    try:
        yield
    finally:
        if find(settings) == server:
            file.unlink(missing_ok=True)


def find(settings: Settings) -> RunningServer | None:
    """The server that serves from this data directory now, if one does."""
    try:
        server = RunningServer(**json.loads(_file(settings).read_text()))
        alive = abs(psutil.Process(server.pid).create_time() - server.started_at) < 1
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return server if alive else None


def _file(settings: Settings) -> Path:
    return settings.data_dir / "server.json"
