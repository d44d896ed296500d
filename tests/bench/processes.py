"""Starts a contender as a process of its own, waits until it answers, and ends it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.machine import children_on
from tests.sigma import PROJECT_ROOT, clean_environment, free_port

START_SECONDS = 60
STOP_SECONDS = 15


class Served(NamedTuple):
    """A running contender."""

    port: int
    pid: int


@contextmanager
def contender(module: str, log: Path, cores: set[int] | None, variables: Mapping[str, str]) -> Iterator[Served]:
    """Run `tests.bench.contenders.<module>` inside the block, on a port of its own."""
    port = free_port()
    command = [sys.executable, "-m", f"tests.bench.contenders.{module}", str(port)]
    with log.open("a") as output, children_on(cores):
        process = subprocess.Popen(
            command, cwd=PROJECT_ROOT, env=clean_environment(**variables), stdout=output, stderr=output
        )
    try:
        wait_until_listening(process, port, log)
        yield Served(port, process.pid)
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """End a process that was started here: by request, then by force."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_listening(process: subprocess.Popen, port: int, log: Path) -> None:
    """Return once somebody listens at the port.

    Raises:
        RuntimeError: the process ended, or takes too long; with what it logged.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"A contender did not start:\n{log.read_text()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
