"""Programs of the system's that some tests and benchmarks need, found, or installed where that can be done here.

`python -m tests.programs` is the step of `make test` that installs them; tests skip where that cannot be done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

Found = TypeVar("Found")

PROGRAMS = {"nginx": "nginx-light", "promtool": "prometheus"}
"""By name, Debian's package of each."""

_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def program(name: str) -> str:
    """Where one of `PROGRAMS` is; skips the test without it."""
    found = shutil.which(name, path=_PLACES)
    if found is None:
        pytest.skip(f"{name} is not installed, and could not be: it is in Debian's package {PROGRAMS[name]}.")
    return found


@cache
def find(name: str) -> str | None:
    """As `program`, installed now if it is missing; None where that cannot be done."""
    return _installed(lambda: shutil.which(name, path=_PLACES), PROGRAMS[name])


@cache
def find_file(path: Path, package: str) -> Path | None:
    """A file that such a package brings; None without it."""
    return _installed(lambda: path if path.is_file() else None, package)


def _installed(look: Callable[[], Found | None], package: str) -> Found | None:
    if (found := look()) or not shutil.which("apt-get") or os.geteuid() != 0:
        return found
    # Nothing of the package's own starts: tests run these programs themselves, on ports of their own.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        print(f"  Looking for {package}: apt-get {command[0]} …", file=sys.stderr)
        subprocess.run(["apt-get", *command], env=quiet, capture_output=True, timeout=600)
    return look()


if __name__ == "__main__":
    for needed in PROGRAMS:
        find(needed)
