"""Where Sigma may be checked out: awkward paths, private homes, two side by side, with no Node or an old one."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_run import join
from tests.sigma import PROJECT_ROOT, Sigma


def check_out(place: Path) -> Path:
    """A copy of the checkout's own files, with the frontend that is built already."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(listed, cwd=PROJECT_ROOT, capture_output=True, check=True).stdout
    for name in filter(None, files.decode().split("\0")):
        if (PROJECT_ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_ROOT / name, place / name)
    shutil.copytree(PROJECT_ROOT / ".sigma" / "frontend", place / ".sigma" / "frontend")
    return place


@pytest.fixture
def started() -> Iterator[list[Sigma]]:
    """Every Sigma put in here is taken away again."""
    sigmas: list[Sigma] = []
    yield sigmas
    for sigma in sigmas:
        sigma.remove()


def modes_above(path: Path) -> list[int]:
    return [stat.S_IMODE(parent.stat().st_mode) for parent in path.parents]


@pytest.mark.parametrize("name", ["spaces, commas, 'quotes' & $HOME in größe-日本", "d" * 120])
def test_it_runs_in_a_path_of_any_shape(tmp_path: Path, started: list[Sigma], name: str):
    root = check_out(tmp_path / name / "deeper" / ("x" * 40))
    sigma = Sigma(root / ".sigma", root=root)
    started.append(sigma)
    before = modes_above(root / ".sigma")
    sigma.start()
    assert join(sigma, "alice@example.com") == 200
    assert len(sigma.leads("alice@example.com")) == 1
    assert modes_above(root / ".sigma") == before
    assert sigma.stop() == 0


def test_a_home_that_only_its_owner_may_enter_stays_so(tmp_path: Path, started: list[Sigma]):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    root = check_out(home / "sigma")
    sigma = Sigma(root / ".sigma", root=root)
    started.append(sigma)
    sigma.start()
    assert join(sigma, "alice@example.com") == 200
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_two_checkouts_side_by_side_have_nothing_in_common(tmp_path: Path, started: list[Sigma]):
    one, other = (
        Sigma(root / ".sigma", root=root) for root in (check_out(tmp_path / "one"), check_out(tmp_path / "other"))
    )
    started += [one, other]
    one.start()
    other.start()
    assert join(one, "alice@example.com") == 200
    assert (len(one.leads("alice@example.com")), len(other.leads("alice@example.com"))) == (1, 0)
    one.stop()
    assert join(other, "bob@example.com") == 200


@pytest.mark.parametrize("system_node", ["none", "too old"])
def test_the_frontend_builds_once_whatever_node_the_system_has_and_leaves_what_is_committed(
    tmp_path: Path, system_node: str
):
    root = check_out(tmp_path / "a fresh checkout")
    shutil.rmtree(root / ".sigma")
    for words in ("init --quiet", "add --all"):
        subprocess.run(["git", *words.split()], cwd=root, check=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "uname", "git", "env", "tail", "dirname"):
        (tools / tool).symlink_to(shutil.which(tool) or "/bin/false")
    if system_node == "too old":
        (tools / "node").write_text("#!/bin/sh\necho v12.0.0\n")
        (tools / "node").chmod(0o755)
    sigma = Sigma(root / ".sigma", root=root, variables={"PATH": str(tools)})
    done = sigma.run("build")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("bundling") == 1
    assert list((root / ".sigma" / "frontend").glob("*/index.html"))
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True, check=True)
    assert [line for line in changed.stdout.splitlines() if not line.startswith("A  ")] == []
    again = sigma.run("build")
    assert "bundling" not in again.stderr
