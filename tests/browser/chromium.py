"""Finds a Chromium for the browser tests, or installs one in whichever way works here.

`python -m tests.browser.chromium` is the step of `make test` that does it; `find()` is what the tests use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Playwright, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-gpu"]


def find(playwright: Playwright) -> Path | None:
    """Playwright's own Chromium if it is installed, else the system's, else None."""
    own = Path(playwright.chromium.executable_path)
    if own.exists():
        return own
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return Path(found) if found else None


def launch_options(playwright: Playwright) -> dict:
    """How to start the Chromium that is here; a sandbox of its own is not to be had as root."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return {
        "executable_path": str(find(playwright)),
        "args": [*_QUIET, *(["--no-sandbox"] if as_root else [])],
    }


def ensure() -> Path:
    """A Chromium, installed now if there is none: Playwright's download, else Debian's package.

    Raises:
        SystemExit: neither way worked; the message says what to install by hand.
    """
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        attempts += [
            ["apt-get", "update"],
            ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"],
        ]
    with sync_playwright() as playwright:
        for command in attempts:
            if found := find(playwright):
                return found
            print(f"  Looking for a Chromium: {' '.join(command[-3:])} …", file=sys.stderr)
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)
        if found := find(playwright):
            return found
    raise SystemExit(
        "No Chromium, and none could be installed. Install one by hand, then try again:"
        " `.venv/bin/python -m playwright install --with-deps chromium`, or your system's `chromium` package."
    )


if __name__ == "__main__":
    ensure()
