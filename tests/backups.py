"""What tests of backups share: one of a full database, and copies of it with something changed.

The fixtures are those of tests/cli and tests/database, whose conftest.py name them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psycopg
import pytest

from tests.conftest import Server
from tests.moving import fill
from tests.sigma import Sigma

SECRET = "correct horse battery staple"


@dataclass
class Source:
    """A Sigma with people and files in it."""

    sigma: Sigma
    url: str

    def back_up(self, directory: Path, **variables: str) -> Path:
        """A backup of it, in a directory of its own."""
        sigma = Sigma(self.sigma.data_dir, variables=self.sigma.variables | variables)
        done = sigma.run("backup", "--to", str(directory))
        assert done.returncode == 0, done.stderr
        (path,) = directory.iterdir()
        return path


@asynccontextmanager
async def full(server: Server, template: str, place: Path) -> AsyncIterator[Source]:
    """A Sigma whose database is one of `server`."""
    name = server.create(template)
    url = server.address(name)
    sigma = Sigma(place / "data", variables={"DATABASE_URL": url})
    await fill(url, sigma.data_dir)
    try:
        yield Source(sigma, url)
    finally:
        server.drop(name)


@pytest.fixture(scope="module")
async def source(server: Server, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Source]:
    """What is backed up; tests only read it."""
    async with full(server, template, tmp_path_factory.mktemp("source")) as source:
        yield source


@pytest.fixture(scope="module")
async def backup(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open backup of it."""
    return source.back_up(tmp_path_factory.mktemp("backup") / "made")


def manifest_of(path: Path) -> dict[str, Any]:
    with ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))


def changed(
    path: Path,
    target: Path,
    members: Callable[[dict[str, bytes]], None] = lambda _: None,
    manifest: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Path:
    """A copy of an open backup with other members, by name, or another manifest."""
    with ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    members(content)
    if "manifest.json" in content:
        said = json.loads(content["manifest.json"])
        manifest(said)
        content["manifest.json"] = json.dumps(said).encode()
    with ZipFile(target, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return target


def rehash(content: dict[str, bytes], said: dict[str, Any]) -> None:
    """Make a manifest true again of members that were changed."""
    said["members"] = {
        name: {"size": len(data), "sha256": sha256(data).hexdigest()}
        for name, data in content.items()
        if name != "manifest.json"
    }


def rows(url: str, table: str) -> list[str]:
    """A table's rows as JSON, in one order."""
    with psycopg.connect(url) as connection:
        return [row for (row,) in connection.execute(f"select to_jsonb(t)::text from {table} as t order by 1".encode())]
