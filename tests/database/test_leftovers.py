"""What an interrupted test session left running is gone after the next one began, and nothing else is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sigma_app.embedded import postgres
from sigma_app.settings import PROJECT_ROOT
from tests.conftest import remove, settings_for
from tests.database import leftovers
from tests.database.conftest import DEBIAN

HANGS = """
import sys, time
from pathlib import Path
from tests.conftest import settings_for
from tests.database import leftovers
from tests.database.conftest import DEBIAN, Debian
from sigma_app.embedded import postgres

base = Path(sys.argv[1])
leftovers.mark(base)
print(postgres.start(settings_for(base / "test0" / ".sigma")).pid, flush=True)
print(Debian().home if DEBIAN.is_dir() else "", flush=True)
time.sleep(600)
"""


@pytest.fixture
def temporary(monkeypatch) -> Iterator[Path]:
    """A directory for temporary files of a test's own, outside of this session's, which is at work."""
    made = Path(tempfile.mkdtemp(prefix="sigma-leftovers-"))
    made.chmod(0o711)  # as root, Debian's server is somebody else
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def base(temporary) -> Path:
    """A session's directory, as pytest numbers them."""
    made = temporary / "pytest-of-somebody" / "pytest-7"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def session(base, temporary) -> Iterator[subprocess.Popen]:
    """A session of tests at work, which has started its servers."""
    environment = os.environ | {"TMPDIR": str(temporary)}
    program = [sys.executable, "-c", HANGS, str(base)]
    with subprocess.Popen(program, cwd=PROJECT_ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()
        process.wait()
        leftovers.sweep(base)


def has_ended(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@pytest.mark.parametrize("mark_removed", [False, True])
def test_the_servers_of_a_session_that_was_killed_go_and_not_sooner(session, base, temporary, mark_removed):
    postmaster = int(session.stdout.readline())
    debian = session.stdout.readline().strip()
    pids = [postmaster]
    if debian:
        pids.append(int((Path(debian) / "data" / "postmaster.pid").read_text().split()[0]))
    home = postgres.locate(settings_for(base / "test0" / ".sigma")).layout.home
    another = temporary / "pytest-of-somebody" / "pytest-8"

    leftovers.sweep(another)
    assert not any(has_ended(pid) for pid in pids)
    assert home.exists()

    session.send_signal(signal.SIGKILL)
    session.wait()
    if mark_removed:
        (base / leftovers.MARK).unlink()  # as when pytest removes the directories of older sessions
    leftovers.sweep(another)
    assert all(has_ended(pid) for pid in pids)
    assert not home.exists()
    assert not debian or not Path(debian).exists()


def test_a_checkout_of_somebody_is_left_alone_running_or_not(base, temporary):
    checkout = settings_for(temporary / "work" / "sigma" / ".sigma")
    cluster = postgres.start(checkout)
    try:
        leftovers.sweep(base)
        assert cluster.running
        cluster.stop()
        leftovers.sweep(base)
        assert cluster.layout.data.exists()
    finally:
        remove(cluster)


def test_a_number_that_another_process_has_by_now_is_no_session(base):
    (base / leftovers.MARK).write_text(f"{os.getpid()} {time.time()}")
    assert not leftovers._is_at_work(base / "test0")
    leftovers.mark(base)
    assert leftovers._is_at_work(base / "test0")


def test_this_session_is_marked(tmp_path_factory):
    assert leftovers._is_at_work(tmp_path_factory.getbasetemp() / "anything")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's PostgreSQL 15 is not installed")
def test_a_directory_of_the_same_prefix_without_the_mark_is_left_alone(base, temporary):
    (temporary / f"{leftovers.DEBIAN_PREFIX}mine").mkdir()
    leftovers.sweep(base)
    assert (temporary / f"{leftovers.DEBIAN_PREFIX}mine").exists()
