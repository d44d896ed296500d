"""Where the running servers of a data directory say that they run: a file for each process in `servers/`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    serves_auth: bool = True
    """Whether it serves Supabase's API itself, rather than being joined to one elsewhere."""

    @property
    def alive(self) -> bool:
        """Whether that process still runs."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started_at) < 1
        except psutil.Error:
            return False


@contextmanager
def announced(settings: Settings) -> Iterator[None]:
    """Say for the length of the block that this process serves."""
    server = RunningServer(
        os.getpid(), psutil.Process().create_time(), settings.base_url, not settings.is_hosted("auth")
    )
    file = _directory(settings) / f"{server.pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(server)))
    draft.replace(file)  # at once, so that nobody reads half of it
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find(settings: Settings, *, serving_auth: bool = False) -> RunningServer | None:
    """The server that serves from this data directory now, the newest if several do.

    Args:
        settings: which data directory.
        serving_auth: look only at those that serve Supabase's API themselves.
    """
    fitting = (server for server in _running(settings) if server.serves_auth or not serving_auth)
    return max(fitting, key=lambda server: server.started_at, default=None)


def _running(settings: Settings) -> Iterator[RunningServer]:
    """Every server that runs; the files of those that were killed are swept away."""
    for file in _directory(settings).glob("*.json"):
        try:
            server = RunningServer(**json.loads(file.read_text()))
        except FileNotFoundError:  # it stopped while we looked
            continue
        except (OSError, ValueError, TypeError):
            server = None
        if server and server.alive:
            yield server
        else:
            with suppress(OSError):  # somebody else's, who may look only
                file.unlink()


def _directory(settings: Settings) -> Path:
    return settings.data_dir / "servers"
