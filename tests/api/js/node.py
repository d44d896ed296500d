"""Runs the cases of the `.test.js` files beside it in Node, all at once, and says what became of each."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sigma_app.frontend import toolchain
from tests.sigma import clean_environment

HERE = Path(__file__).parent
RUN_SECONDS = 240
INSTALL_SECONDS = 240

_CASE = re.compile(r'^\w+\("([^"]+)",', re.MULTILINE)  # test("…", or a function of the file that calls it

Case = tuple[str, str]
"""The name of a file, and that of a case in it."""


def cases() -> list[Case]:
    """Every case there is."""
    return [(file.name, name) for file in _files() for name in _CASE.findall(file.read_text(encoding="utf-8"))]


def run_all(variables: Mapping[str, str]) -> dict[Case, str | None]:
    """Run every case with these environment variables; for each the reason why it failed, or None."""
    _install()
    environment = toolchain.environment(clean_environment(**variables))
    files = [file.name for file in _files()]
    command = ["node", "--test", "--test-reporter=./reporter.js", "--test-timeout=60000", *files]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert results, done.stderr
    assert not [one for one in results if one["name"] == one["file"]], f"A file could not be run:\n{done.stderr}"
    return {(result["file"], result["name"]): result["error"] for result in results}


def _files() -> list[Path]:
    return sorted(HERE.glob("*.test.js"))


def _install() -> None:
    """The packages of the lock file, from npm, once for each state of it; one process at a time."""
    lock = HERE / "package-lock.json"
    installed = HERE / "node_modules" / ".installed"
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        wanted = hashlib.sha256(held.read()).hexdigest()
        if installed.exists() and installed.read_text() == wanted:
            return
        environment = toolchain.environment(os.environ)  # whole: it may say how npm is reached
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
        assert done.returncode == 0, f"npm could not install supabase-js:\n{done.stderr[-2000:]}"
        installed.write_text(wanted)
