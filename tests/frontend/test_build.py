"""What is kept of an export."""

from __future__ import annotations

from pathlib import Path

import pytest

from sigma_app.frontend import build


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An export as Reflex leaves it, and a place of the test's own for what is kept."""
    directory = tmp_path / "exported"
    for name in ("index.html", "not-found.html", "not-found/index.html", "sitemap.xml", "assets/app-1a2b.js"):
        for suffix in ("", ".br", ".gz"):
            file = directory / f"{name}{suffix}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
    monkeypatch.setattr(build, "_EXPORTED", directory)
    monkeypatch.setattr(build, "BUILDS", tmp_path / "builds")
    build.BUILDS.mkdir()
    return directory


def names(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def test_only_compressed_files_that_will_be_served_as_they_are_are_kept(exported: Path):
    build._keep(build.BUILDS / "new")
    assets = {"assets/app-1a2b.js", "assets/app-1a2b.js.br", "assets/app-1a2b.js.gz"}
    assert names(build.BUILDS / "new") == {"index.html", "404.html", "sitemap.xml"} | assets


def test_the_builds_of_older_sources_are_dropped(exported: Path):
    (build.BUILDS / "old").mkdir()
    build._keep(build.BUILDS / "new")
    assert [path.name for path in build.BUILDS.iterdir()] == ["new"]
    assert (build.BUILDS / "new" / "404.html").read_text() == "not-found.html"
