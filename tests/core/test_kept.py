"""Secrets made once: whole or not at all, for their owner alone."""

from __future__ import annotations

import pytest

from sigma_app.core.kept import kept


def test_it_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "below" / "key"
    assert kept(path, lambda: b"first") == kept(path, lambda: b"second") == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_one_that_could_not_be_made_leaves_nothing(tmp_path):
    def fail() -> bytes:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept(tmp_path / "key", fail)
    assert list(tmp_path.iterdir()) == []
