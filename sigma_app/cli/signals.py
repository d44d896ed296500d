"""Ctrl-C and SIGTERM: the first one ends the command, and nothing interrupts the stopping that follows.

The first signal raises `Leave`, so that whatever was started is stopped on the way out. Every further one is ignored:
each stop has a time limit of its own, and a stop cut short would leave Postgres running. Where an exception would come
at a bad moment (between starting something and noting that it must be stopped) the code is `deferred()`, with
`interruptible()` around the long waits inside it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Leave(SystemExit):
    """The person at the terminal, or the system, asks the command to end."""


class _State:
    deferring = False
    leaving = False
    waiting: int | None = None  # the first signal, while it is deferred


_state = _State()


def install() -> None:
    """Handle both signals from now on."""
    for signum in SIGNALS:
        signal.signal(signum, _handle)


def ignore() -> None:
    """Ignore both for good: while Python shuts down it would restore what the system does, which is to kill.

    Blocked first: Python complains of a signal that comes while it has a handler and is looked at when it has none.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # returns when those that came before have been handled
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


def leaving() -> bool:
    """Whether the command was asked to end."""
    return _state.leaving


def leave_quietly() -> None:
    """Ignore further signals, and the one that waits: the caller is ending by itself."""
    _state.leaving = True
    _state.waiting = None


@contextmanager
def deferred() -> Iterator[None]:
    """Let no signal interrupt the block; one that comes takes effect at its end. For the main thread."""
    with _deferring(True):
        yield


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal interrupt the block, inside a `deferred()` one; one that came before does so at once."""
    with _deferring(False):
        yield


@contextmanager
def left_to_a_child() -> Iterator[None]:
    """Let Ctrl-C be the business of a program that runs in the foreground, such as psql."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # SIG_IGN would be inherited
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """An event that a signal sets, for a running event loop that finishes what is in hand; then the command ends."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in SIGNALS:
        loop.add_signal_handler(signum, stop.set)
    if _state.leaving:  # asked before the loop listened
        stop.set()
    yield stop
    leave_quietly()


def run_until_told(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` in an event loop of its own; a signal cancels it, and takes effect when it has ended.

    Raises:
        Leave: a signal came. A handler that raised it inside of the loop would break whatever runs there at the moment.
    """
    came = asyncio.run(_cancelled_by_signal(work))
    if came:
        raise Leave(128 + came)


async def _cancelled_by_signal(work: Coroutine[Any, Any, None]) -> int:
    """Which signal cancelled `work`; 0 if it came to its end."""
    task = asyncio.ensure_future(work)
    came: list[int] = []

    def cancel(signum: int) -> None:
        came.append(signum)
        task.cancel()

    for signum in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(signum, cancel, signum)
    try:
        await task
    except asyncio.CancelledError:
        if not came:
            raise
    return came[0] if came else 0


def leave_if_asked() -> None:
    """Take the deferred signal's effect now."""
    if threading.current_thread() is threading.main_thread() and _state.waiting is not None:
        signum, _state.waiting = _state.waiting, None
        raise Leave(128 + signum)


@contextmanager
def _deferring(value: bool) -> Iterator[None]:
    before = _state.deferring
    _state.deferring = value
    try:
        if not value:
            leave_if_asked()
        yield
    finally:
        _state.deferring = before
    if not before:
        leave_if_asked()


def _handle(signum: int, _frame: Any) -> None:
    if _state.leaving:
        return
    _state.leaving = True
    _state.waiting = signum
    if not _state.deferring:
        leave_if_asked()
