"""Processes of a scenario's own: stopped by a signal and sent on, and a Postgres beside Sigma, as a hosted one is."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue

import psutil

from sigma_app.embedded import postgres
from sigma_app.settings import Settings
from tests.conftest import remove, settings_for
from tests.sigma import Sigma


@contextmanager
def frozen(root: psutil.Process) -> Iterator[None]:
    """Stop a process and all that it started, in the middle of whatever they do; they go on after the block."""
    stopped = [root]
    root.suspend()  # first, so that it starts no more
    try:
        for child in root.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.suspend()
                stopped.append(child)
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


@contextmanager
def beside(main: Callable[[], Coroutine[None, None, None]]) -> Iterator[None]:
    """Run `main` inside the block, in the event loop of a thread of its own; at the end it is cancelled."""
    tasks: Queue[tuple[asyncio.AbstractEventLoop, asyncio.Task | None]] = Queue()

    async def run() -> None:
        tasks.put((asyncio.get_running_loop(), asyncio.current_task()))
        with suppress(asyncio.CancelledError):
            await main()

    thread = threading.Thread(target=asyncio.run, args=[run()])
    thread.start()
    loop, task = tasks.get(timeout=10)
    assert task
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(10)


class Elsewhere:
    """A Postgres that Sigma reaches by DATABASE_URL and does not start itself."""

    def __init__(self, directory: Path):
        """Start it."""
        self._settings: Settings = settings_for(directory)
        self.cluster = postgres.start(self._settings)

    def start(self) -> None:
        """Start it again."""
        postgres.start(self._settings)

    @property
    def postmaster(self) -> psutil.Process:
        """Its first process."""
        assert self.cluster.pid
        return psutil.Process(self.cluster.pid)


@contextmanager
def postgres_elsewhere(sigma: Sigma, directory: Path) -> Iterator[Elsewhere]:
    """A Postgres for a Sigma that is not started yet."""
    elsewhere = Elsewhere(directory)
    try:
        sigma.variables["DATABASE_URL"] = elsewhere.cluster.owner_url()
        yield elsewhere
        if sigma.process and sigma.process.poll() is None:
            sigma.stop()
    finally:
        remove(elsewhere.cluster)
