"""Gives each contender its turn, round by round, and gathers what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import psycopg
from rich.console import Console

from tests.bench.load import Job, Outcome, run
from tests.bench.machine import cpu_seconds
from tests.bench.report import Sample

Turn = Callable[[str], Outcome]
"""Does one contender's turn; the argument begins the addresses that join in it."""

WARM_UP_SECONDS = 1.0
Found = TypeVar("Found")


def interleaved(turns: Mapping[str, Callable[[str], Found]], rounds: int, title: str) -> dict[str, list[Found]]:
    """The outcomes of each contender; each round begins with another one, so that nobody always follows the same."""
    outcomes: dict[str, list[Found]] = {name: [] for name in turns}
    names = list(turns)
    with Console(stderr=True).status(title) as status:
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                status.update(f"{title}: round {number + 1} of {rounds}, {name}")
                outcomes[name].append(turns[name](f"round{number + 1}"))
    return outcomes


def over_http(kind: str, port: int, seconds: float, cores: set[int] | None, marker: str = "") -> Turn:
    """A turn of HTTP visitors; warms the contender up now."""
    run(Job(kind, port, WARM_UP_SECONDS, marker=f"{marker}-warm"), cores)
    return lambda turn: run(Job(kind, port, seconds, marker=f"{marker}-{turn}"), cores)


def sample(outcomes: list[Outcome], measure: str) -> Sample:
    """One measure (a name of `Outcome`) over all rounds."""
    return Sample([getattr(outcome, measure) for outcome in outcomes])


def postmaster(owner_url: str) -> int:
    """The process that all of a local Postgres are children of."""
    with psycopg.connect(owner_url) as owner:
        (directory,) = owner.execute("show data_directory").fetchone() or ("",)
    return int(Path(directory, "postmaster.pid").read_text().splitlines()[0])


def metered(turn: Turn, server: int | None, postgres: int) -> Turn:
    """`turn`, with what the serving process and Postgres computed for one answer."""

    def spent() -> tuple[float, float]:
        return (cpu_seconds(server) if server else 0.0), cpu_seconds(postgres, with_children=True)

    def measured(name: str) -> Outcome:
        before = spent()
        outcome = turn(name)
        serving, database = (
            1e6 * (after - earlier) / outcome.answers for earlier, after in zip(before, spent(), strict=True)
        )
        return replace(outcome, server_us=serving, postgres_us=database)

    return measured
