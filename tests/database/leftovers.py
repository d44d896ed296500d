"""Takes away the clusters of test sessions that were interrupted.

A postmaster is nobody's child, so killing pytest leaves it running. Each session writes down, above everything it
makes, which process it is; the next session ends and removes what belongs to one that is no longer there. A
cluster counts as a test's only if its data directory is below pytest's own directory, or if it carries that mark.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from sigma_app.embedded import postgres, postgres_layout
from sigma_app.embedded.postgres_layout import Layout, recorded_data_dir

MARK = "session-of-tests"
DEBIAN_PREFIX = "sigma-pg15-"


def mark(directory: Path) -> None:
    """Say that what is below belongs to this process."""
    (directory / MARK).write_text(f"{os.getpid()} {psutil.Process().create_time()}")


def sweep(base: Path) -> None:
    """End and remove what gone sessions left, where `base` is this session's directory, in which nothing runs yet."""
    for layout in [*_homes_of_root(), *_running()]:
        if _is_a_tests(layout.data_dir, base) and not _is_at_work(layout.data_dir):
            _take_away(layout)
    for home in Path(tempfile.gettempdir()).glob(f"{DEBIAN_PREFIX}*"):
        if (home / MARK).exists() and not _is_at_work(home / "data"):
            _take_away(Layout(data_dir=home, home=home, sockets=home))


def _homes_of_root() -> Iterator[Layout]:
    """Every cluster that root keeps outside of its data directory, running or not."""
    if os.geteuid() != 0 or not postgres_layout.SYSTEM_ROOT.is_dir():
        return
    for home in postgres_layout.SYSTEM_ROOT.iterdir():
        data_dir = recorded_data_dir(home)
        if data_dir is not None:
            yield Layout(data_dir=data_dir, home=home, sockets=home / "run")


def _running() -> Iterator[Layout]:
    """Every running cluster of an ordinary user, which lies in its data directory."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if len(command) > 2 and Path(command[0]).name == "postgres" and command[1] == "-D":
            home = Path(command[2]).parent
            if home.name == "postgres":
                yield Layout(data_dir=home.parent, home=home, sockets=home / "run")


def _is_a_tests(data_dir: Path, base: Path) -> bool:
    """Whether pytest made the directory above: with a number of its own, or where --basetemp says."""
    temporary = Path(tempfile.gettempdir()).resolve()
    parts = data_dir.relative_to(temporary).parts if data_dir.is_relative_to(temporary) else ()
    numbered = len(parts) > 2 and parts[0].startswith("pytest-of-") and re.fullmatch(r"pytest-\d+", parts[1])
    return bool(numbered) or data_dir.is_relative_to(base.resolve())


def _is_at_work(data_dir: Path) -> bool:
    """Whether the session that made it runs. One without a mark is gone, with its directory: it marks that first."""
    marks = [parent / MARK for parent in data_dir.parents if (parent / MARK).exists()]
    if not marks:
        return False
    try:
        pid, created = marks[0].read_text().split()
        return psutil.Process(int(pid)).create_time() == float(created)
    except (ValueError, psutil.NoSuchProcess):
        return False


def _take_away(layout: Layout) -> None:
    pid = postgres.Cluster(layout).pid
    if pid is not None and postgres._is_server(layout, pid):
        postgres._end(layout, pid)
    shutil.rmtree(layout.home, ignore_errors=True)
