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


def test_a_build_is_given_none_of_our_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_s3cret")
    monkeypatch.setenv("SOMEBODY_ELSES", "theirs")
    monkeypatch.setattr(build, "PROJECT_ROOT", tmp_path)
    assert "STRIPE_SECRET_KEY" not in build._without_our_variables()
    assert build._without_our_variables()["SOMEBODY_ELSES"] == "theirs"
    (tmp_path / ".env").touch()
    assert build._without_our_variables()["STRIPE_SECRET_KEY"] == "sk_live_s3cret"
