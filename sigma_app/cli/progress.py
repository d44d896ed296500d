"""Shows the steps of a start: one line each, with what it does now and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.status import Status
from rich.text import Text


class Step:
    """One step under way."""

    def __init__(self, name: str, status: Status, console: Console):
        self._name = name
        self._status = status
        self._console = console

    def update(self, phase: str) -> None:
        """Say what the step does now."""
        self._status.update(Text(f"{self._name}: {phase}"))
        if not self._console.is_terminal:
            self._console.print(f"  {self._name}: {phase} …", markup=False)


class Steps:
    """A console of steps. In a terminal a spinner turns; in a log each phase is a line."""

    def __init__(self):
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show `name` while the block runs, and its time when it is done."""
        started = time.monotonic()
        with self._console.status(name) as status:
            yield Step(name, status, self._console)
        self._console.print(f"  [green]✓[/] {name:<10} [dim]{time.monotonic() - started:6.1f} s[/]")

    def say(self, words: str) -> None:
        """Show a line that is no step."""
        self._console.print(f"  {escape(words)}")

    def block(self, title: str, parts: Iterable[tuple[str, str, str]], footer: str) -> None:
        """Show the result of a start: a title, a line for each part, and what to do next."""
        self._console.print(f"\n  [bold green]Σ[/] [bold]{escape(title)}[/]\n")
        for name, where, what in parts:
            self._console.print(f"    {name:<10} {where:<8} [dim]{escape(what)}[/]")
        self._console.print(f"\n  [dim]{escape(footer)}[/]\n")


@contextmanager
def bar(words: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, where that is a terminal; yields what moves it on by so many."""
    columns = (TextColumn(f"  {words}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def transfer(words: str, total: int) -> Iterator[Callable[[int], None]]:
    """As `bar`, of bytes."""
    columns = (TextColumn(f"  {words}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def count(words: str) -> Iterator[Callable[[int], None]]:
    """As `bar`, of something whose end nobody knows: how many, and for how long."""
    columns = (TextColumn(f"  {words}"), BarColumn(), TextColumn("{task.completed:.0f}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda done: progress.advance(task, done)
