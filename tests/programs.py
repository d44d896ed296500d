"""Programs of the system's that some tests need, found, or installed where that can be done here."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

import pytest

_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


@cache
def program(name: str, package: str) -> str:
    """Where the program is, whose Debian package is installed now if it is missing; skips the test without it."""
    if found := shutil.which(name, path=_PLACES):
        return found
    if shutil.which("apt-get") and os.geteuid() == 0:
        # Nothing of the package's own starts: tests run these programs themselves, on ports of their own.
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *command], env=quiet, capture_output=True, timeout=600)
    found = shutil.which(name, path=_PLACES)
    if found is None:
        pytest.skip(f"{name} is not installed, and could not be: it is in Debian's package {package}.")
    return found
