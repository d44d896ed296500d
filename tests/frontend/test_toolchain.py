"""The npm that builds the pages is the wheel's, and writes the lock in one way."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sigma_app.frontend import toolchain


def test_what_somebody_tells_their_own_npm_does_not_change_the_lock(tmp_path: Path):
    (tmp_path / "npmrc").write_text("omit-lockfile-registry-resolved=false\n")
    environment = toolchain.environment({"PATH": os.defpath, "NPM_CONFIG_USERCONFIG": str(tmp_path / "npmrc")})
    command = ["npm", "config", "get", "omit-lockfile-registry-resolved"]
    said = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout == "true\n"
