"""An embedded Postgres for one benchmark, with its default durability, taken away afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sigma_app.embedded import postgres
from tests.conftest import remove, settings_for


@contextmanager
def scratch_cluster(directory: Path) -> Iterator[str]:
    """Yields the owner's address."""
    cluster = postgres.start(settings_for(directory / "data"))
    try:
        yield cluster.owner_url()
    finally:
        remove(cluster)
