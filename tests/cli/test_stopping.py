"""Ctrl-C and SIGTERM, once or again and again, at any moment: everything ends, and the next start works."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import psutil
import pytest

from sigma_app.cli import signals
from sigma_app.embedded import postgres
from tests.cli.test_run import join, wait_until
from tests.conftest import settings_for
from tests.sigma import Sigma


def servers_of(sigma: Sigma) -> list[psutil.Process]:
    """Every Postgres process of this data directory, initdb's included."""
    home = str(postgres.locate(settings_for(sigma.data_dir)).layout.home)
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(home in word for word in process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE
    ]


def moment_reached(sigma: Sigma, moment: str) -> bool:
    """Whether a start has come as far as `moment`: a file that it makes, or words that it logs."""
    layout = postgres.locate(settings_for(sigma.data_dir)).layout
    files: dict[str, Path] = {
        "locked": layout.lock,
        "home": layout.sockets,
        "postmaster": layout.data / "postmaster.pid",
    }
    return files[moment].exists() if moment in files else moment in sigma.log.read_text()


@pytest.mark.parametrize(
    "moment", ["starting Postgres", "locked", "home", "postmaster", "checking the schema", "migrated: 0001", "Ctrl-C"]
)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_two_quick_signals_during_a_cold_start_leave_no_postgres_behind(sigma: Sigma, moment: str, how: signal.Signals):
    process = sigma.launch()
    wait_until(lambda: moment_reached(sigma, moment))
    process.send_signal(how)
    process.send_signal(how)
    assert process.wait(timeout=60) in (0, 128 + how)  # 0 once the server has its turn
    assert servers_of(sigma) == []
    assert not [words for words in ("Traceback", "Aborted", "rror") if words in sigma.log.read_text()]
    sigma.start()
    assert join(sigma, "next@example.com") == 200


@pytest.mark.parametrize("command", ["migrate", "dev"])
def test_two_quick_signals_end_the_other_commands_with_their_postgres(sigma: Sigma, command: str):
    process = sigma.launch(command)
    wait_until(lambda: moment_reached(sigma, "postmaster"))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 128 + signal.SIGINT
    assert servers_of(sigma) == []
    assert "Traceback" not in sigma.log.read_text()


@pytest.mark.parametrize("times", [2, 3])
def test_repeated_ctrl_c_stops_a_running_server_as_one_does(sigma: Sigma, times: int):
    process = sigma.start().process
    assert process is not None
    before = sigma.log.read_text()
    for _ in range(times):
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert servers_of(sigma) == []
    assert sigma.log.read_text() == before + "  Stopped.\n"


def test_ctrl_c_while_it_stops_is_ignored(sigma: Sigma):
    process = sigma.start().process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert servers_of(sigma) == []
    assert "Traceback" not in sigma.log.read_text()


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch):
    """This process handles the signals as a command does."""
    before = {signum: signal.getsignal(signum) for signum in signals.SIGNALS}
    monkeypatch.setattr(signals, "_state", signals._State())
    signals.install()
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("handled")
def test_a_deferred_signal_takes_effect_at_the_end_of_the_block():
    done = []
    with pytest.raises(signals.Leave) as left, signals.deferred():
        signal.raise_signal(signal.SIGTERM)
        done.append("the block")
    assert done == ["the block"]
    assert left.value.code == 128 + signal.SIGTERM


@pytest.mark.usefixtures("handled")
def test_a_deferred_signal_takes_effect_at_the_next_interruptible_wait():
    with pytest.raises(signals.Leave), signals.deferred():
        signal.raise_signal(signal.SIGINT)
        with signals.interruptible():
            sys.exit("not interrupted")
    signal.raise_signal(signal.SIGINT)  # a further one, which does nothing
