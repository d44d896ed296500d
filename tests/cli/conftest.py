from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backups import backup, source
from tests.sigma import Sigma

__all__ = ["backup", "source"]


@pytest.fixture
def sigma(tmp_path: Path) -> Iterator[Sigma]:
    """A Sigma of the test's own, not started yet; taken away at the end."""
    sigma = Sigma(tmp_path / "data")
    yield sigma
    sigma.remove()
