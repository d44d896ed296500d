"""A Postgres to try something in: an embedded cluster of its own, beside the one that serves, and gone afterwards."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from sigma_app.embedded import postgres
from sigma_app.settings import Settings

_PREFIX = "scratch."
_IN_USE = "in-use"


@contextmanager
def scratch_database(settings: Settings) -> Iterator[str]:
    """The owner's address of an empty database, for the length of the block; it is no one else's, and touches nothing.

    What an earlier one left behind, because its process was killed, is taken away first.

    Raises:
        ClusterError: it did not start.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    _sweep(settings)
    home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=settings.data_dir))
    try:
        with (home / _IN_USE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            cluster = postgres.start(_in(home, settings))
            with psycopg.connect(cluster.owner_url(), autocommit=True) as connection:
                connection.execute("alter system set fsync = off")  # it need not survive anything
                connection.execute("select pg_reload_conf()")
            yield cluster.owner_url()
    finally:
        _remove(home, settings)


def _sweep(settings: Settings) -> None:
    for home in settings.data_dir.glob(f"{_PREFIX}*"):
        with suppress(OSError), (home / _IN_USE).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(home, settings)


def _remove(home: Path, settings: Settings) -> None:
    postgres.locate(_in(home, settings)).remove()
    shutil.rmtree(home, ignore_errors=True)


def _in(home: Path, settings: Settings) -> Settings:
    return settings.model_copy(update={"data_dir": home})
