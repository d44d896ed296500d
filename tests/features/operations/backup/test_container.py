"""The file that a backup is: whole, hashed and sealed, or refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from sigma_app.features.operations.backup import container
from sigma_app.features.operations.backup.errors import BackupError, Damaged, NeedsPassphrase, WrongPassphrase
from sigma_app.features.operations.backup.manifest import FORMAT, Manifest, Versions

SECRET = "correct horse battery staple"
LARGE = os.urandom(3_000_000)
MEMBERS = {"large": LARGE, "files/x": b"x", "empty": b""}

NewBackup = Callable[..., Path]


@pytest.fixture(params=[None, SECRET], ids=["open", "sealed"])
def secret(request: pytest.FixtureRequest) -> str | None:
    return request.param


def write(path: Path, secret: str | None = None) -> Path:
    with container.writing(path, secret) as packing:
        for name, data in MEMBERS.items():
            with packing.member(name, squeeze=name == "large") as out:
                out.write(data)
        made_at = datetime(2026, 11, 28, tzinfo=UTC)
        versions = Versions("abc", "0013", "18.1", "18.1")
        packing.finish(Manifest(FORMAT, "whole", made_at, versions, {}, dict(packing.members), 1, []))
    return path


def read(path: Path, secret: str | None = None) -> dict[str, bytes]:
    """Every member of a backup that is what was written."""
    with container.reading(path, lambda: secret) as archive:
        found = container.manifest_of(archive)
        container.check(archive, found)
        return {name: b"".join(container.blocks(archive, name)) for name in found.members}


def test_what_was_written_is_read_again(tmp_path: Path, secret: str | None):
    path = write(tmp_path / "backup.zip", secret)
    assert read(path, secret) == MEMBERS
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o600
    assert container.is_sealed(path) == bool(secret)


def test_checking_tells_how_far_it_is(tmp_path: Path):
    told: list[int] = []
    with container.reading(write(tmp_path / "backup.zip"), lambda: None) as archive:
        container.check(archive, container.manifest_of(archive), told.append)
    assert sum(told) == len(LARGE) + 1


def test_a_sealed_one_needs_its_passphrase(tmp_path: Path):
    path = write(tmp_path / "backup.zip", SECRET)
    with pytest.raises(NeedsPassphrase):
        read(path)
    with pytest.raises(WrongPassphrase):
        read(path, SECRET.upper())
    assert LARGE[:100] not in path.read_bytes()


def test_what_fails_while_it_is_written_leaves_nothing(tmp_path: Path, secret: str | None):
    with (
        pytest.raises(ZeroDivisionError),
        container.writing(tmp_path / "backup.zip", secret) as packing,
        packing.member("large") as out,
    ):
        out.write(LARGE)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_ever_overwritten(tmp_path: Path):
    path = write(tmp_path / "backup.zip")
    before = path.read_bytes()
    with pytest.raises(BackupError, match="is there already"):
        write(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("length", [0, 100, 2_000_000, -1, -100_000])
def test_what_was_cut_short_is_refused(tmp_path: Path, secret: str | None, length: int):
    path = write(tmp_path / "backup.zip", secret)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Damaged):
        read(path, secret)


@pytest.mark.parametrize("part", [0.3, 0.7])
def test_a_changed_byte_is_noticed(tmp_path: Path, secret: str | None, part: float):
    path = write(tmp_path / "backup.zip", secret)
    data = bytearray(path.read_bytes())
    data[int(len(data) * part)] ^= 1
    path.write_bytes(data)
    with pytest.raises(Damaged):
        read(path, secret)


@pytest.mark.parametrize("change", ["other", "missing", "more", "no manifest"])
def test_members_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path, change: str):
    with ZipFile(write(tmp_path / "backup.zip")) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if change == "other":
        members["large"] = bytes(len(LARGE))
    elif change == "missing":
        del members["files/x"]
    elif change == "more":
        members["../evil"] = b""
    else:
        del members["manifest.json"]
    with ZipFile(tmp_path / "changed.zip", "w", ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    said = {"other": "large", "missing": "files/x is missing", "more": "evil", "no manifest": "no manifest"}
    with pytest.raises(Damaged, match=said[change]):
        read(tmp_path / "changed.zip")


@pytest.mark.parametrize("manifest", [b"", b"[]", b'{"format": 1}', b'{"format": "x"}', b"\xff"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, manifest: bytes):
    with ZipFile(tmp_path / "backup.zip", "w") as archive:
        archive.writestr("manifest.json", manifest)
    with pytest.raises(Damaged, match="manifest cannot be read"):
        read(tmp_path / "backup.zip")


def test_the_manifest_has_the_hash_of_what_was_written(tmp_path: Path):
    with container.reading(write(tmp_path / "backup.zip"), lambda: None) as archive:
        found = container.manifest_of(archive)
    for name, data in MEMBERS.items():
        assert found.members[name].sha256 == hashlib.sha256(data).hexdigest()
        assert found.members[name].size == len(data)
    assert found.made_at == datetime(2026, 11, 28, tzinfo=UTC)


def test_what_is_left_of_one_that_was_killed_is_swept_away_and_what_is_being_written_is_not(tmp_path: Path):
    (tmp_path / f".sigma-1.zip{container.DRAFT}").write_bytes(b"half")
    (tmp_path / "notes.txt").touch()
    with container.writing(tmp_path / "sigma-2.zip", None):
        container.sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [f".sigma-2.zip{container.DRAFT}", "notes.txt"]
