"""Builds the production frontend when, and only when, something it is made from has changed.

A build is kept under `.sigma/frontend/<fingerprint>`; the fingerprint covers every file that can change the pages.
It holds no address: the public one is filled in when the pages are loaded (static.py), so one build serves any port.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sigma_app.core.errors import StartError
from sigma_app.core.origin import PLACEHOLDER_ORIGIN
from sigma_app.frontend import toolchain
from sigma_app.frontend.finish import without_hydration
from sigma_app.frontend.static import ADDRESSED
from sigma_app.settings import PROJECT_ROOT, known_names

BUILDS = PROJECT_ROOT / ".sigma" / "frontend"
LOG = PROJECT_ROOT / ".sigma" / "frontend.log"

_EXPORTED = PROJECT_ROOT / ".web" / "build" / "client"
_SOURCES = (
    "rxconfig.py",
    "requirements.txt",
    "reflex.lock/package-lock.json",
    "assets",
    "sigma_app/sigma_app.py",
    "sigma_app/core/marks.py",
    "sigma_app/core/origin.py",
    "sigma_app/settings.py",
    "sigma_app/features",
    "sigma_app/frontend",
    "sigma_app/session",
    "sigma_app/ui",
)


class BuildFailed(StartError):
    """The frontend did not build; the message ends with the last lines of the build's own log."""


def fingerprint() -> str:
    """A digest of every file the pages are made from."""
    digest = hashlib.sha256()
    for path in _source_files():
        digest.update(str(path.relative_to(PROJECT_ROOT)).encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def ensure_built(report: Callable[[str], None]) -> Path:
    """The directory of finished pages for the sources as they are, built now if there is none yet.

    Args:
        report: called with a short phrase each time the build enters a new phase.

    Raises:
        BuildFailed: npm or the export failed.
    """
    if (finished := BUILDS / fingerprint()).is_dir():
        return finished
    BUILDS.mkdir(parents=True, exist_ok=True)
    with _one_build_at_a_time():
        while not (finished := BUILDS / fingerprint()).is_dir():
            _export(report)
            if BUILDS / fingerprint() == finished:  # sources that changed meanwhile are built again
                _keep(finished)
    return finished


def _source_files() -> Iterator[Path]:
    for source in _SOURCES:
        path = PROJECT_ROOT / source
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and file.suffix != ".pyc")


@contextmanager
def _one_build_at_a_time() -> Iterator[None]:
    with (BUILDS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _export(report: Callable[[str], None]) -> None:
    """Run `reflex export`, which calls our FinishPages plugin at its end."""
    shutil.rmtree(_EXPORTED, ignore_errors=True)
    environment = {
        **toolchain.environment(_without_our_variables()),
        "REFLEX_USE_NPM": "1",
        "REFLEX_API_URL": PLACEHOLDER_ORIGIN,
        "REFLEX_DEPLOY_URL": PLACEHOLDER_ORIGIN,
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "reflex", "export", "--frontend-only", "--no-zip"]
    tail: deque[str] = deque(maxlen=12)
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - for the type checker; PIPE was asked for
        for line in process.stdout:
            log.write(line)
            tail.append(line.rstrip())
            if phase := _phase(line):
                report(phase)
    if process.returncode != 0 or not (_EXPORTED / "index.html").is_file():
        raise BuildFailed("\n".join(["The frontend did not build.", *tail, f"The whole log: {LOG}"]))


def _without_our_variables() -> dict[str, str]:
    """The environment for a build: the pages are the same whatever our variables say, and npm runs others' scripts.

    Beside a .env they stay: it would be read without what completes it, and those scripts could read it as well.
    """
    if (PROJECT_ROOT / ".env").exists():
        return dict(os.environ)
    ours = set(known_names())
    return {name: value for name, value in os.environ.items() if name.upper() not in ours}


def _phase(line: str) -> str | None:
    """What the export does now, read off a line of its output."""
    phases = {
        "Initializing": "preparing the build",
        "Compiling production app": "compiling, and installing JavaScript packages where they are missing",
        "Creating Production Build": "bundling and prerendering",
    }
    return next((phase for words, phase in phases.items() if words in line), None)


def _keep(finished: Path) -> None:
    """Put the export in its place in one step, and drop the builds of older sources.

    Reflex compresses every file or none, the pages before they are finished; static.py compresses those when it has
    filled in their address, so the build's are left behind.
    """
    draft = finished.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(_EXPORTED, draft, ignore=shutil.ignore_patterns(*(f"*{suffix}.*" for suffix in ADDRESSED)))
    _prerender_404(draft)
    for old in BUILDS.iterdir():
        if old.is_dir() and old != draft:
            shutil.rmtree(old, ignore_errors=True)
    draft.rename(finished)


def _prerender_404(build: Path) -> None:
    """Put the prerendered page of /not-found (features/site) where Reflex leaves a shell that needs JavaScript.

    It is shown at any address, so it must not hydrate: React would look for the page of that address.
    """
    prerendered = build / "not-found.html"
    (build / "404.html").write_text(without_hydration(prerendered.read_text("utf-8")), "utf-8")
    prerendered.unlink()
    shutil.rmtree(build / "not-found")
