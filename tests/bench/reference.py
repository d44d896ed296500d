"""The reference load: 1,000 pages open on their websockets while 100 people a second join, for a minute.

One Sigma as `python -m sigma_app run` starts it, its worker and its Postgres on the same machine, and so is the load
generator. Every acknowledged join must be a row with a mail on its way, or the run fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import IO

import psutil
import psycopg
from rich.console import Console

from tests.bench.crowd import READY, Crowd, Seen
from tests.bench.joins import WIDE, state_names
from tests.bench.machine import cpu_seconds
from tests.bench.report import Bar, Report, Row, Sample
from tests.sigma import PROJECT_ROOT, Sigma, clean_environment

PAGES = 1000
PER_SECOND = 100
SECONDS = 60
_MIB = 2**20


def measure(options: argparse.Namespace) -> Report:
    """Open the pages, join, and look at what it cost."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch:
        wide: dict[str, str] = dict.fromkeys(("JOIN_LIMIT_PER_ADDRESS", "JOIN_LIMIT_PER_NETWORK"), WIDE)
        wide["SOCKET_LIMIT_PER_NETWORK"] = "10000"  # all pages come from this machine
        sigma = Sigma(Path(scratch) / "data", variables=wide)
        sigma.variables["BASE_URL"] = sigma.base_url
        try:
            sigma.start()
            assert sigma.process is not None
            return _measured(sigma, psutil.Process(sigma.process.pid))
        finally:
            sigma.remove()


def _measured(sigma: Sigma, server: psutil.Process) -> Report:
    crowd = Crowd(sigma.port, PAGES, PER_SECOND, SECONDS, state_names()[1], "reference")
    memory = {"before": server.memory_info().rss}
    command = [sys.executable, "-m", "tests.bench.crowd"]
    with (
        Console(stderr=True).status(f"Opening {PAGES:,} pages") as status,
        subprocess.Popen(
            command, cwd=PROJECT_ROOT, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as generator,
    ):
        assert generator.stdin is not None
        assert generator.stdout is not None
        _say(generator.stdin, json.dumps(asdict(crowd)))
        if generator.stdout.readline().strip() != READY:
            raise RuntimeError("The load generator failed; its reason is above.")
        memory["open"] = server.memory_info().rss
        status.update(f"{PER_SECOND} joins a second for {SECONDS} s")
        cpu = cpu_seconds(server.pid)
        _say(generator.stdin, "join")
        seen = Seen(**json.loads(generator.stdout.readline()))
        cpu = cpu_seconds(server.pid) - cpu
        memory["after"] = server.memory_info().rss
    _check(sigma, seen)
    return _report(seen, memory, cpu)


def _say(to: IO[str], line: str) -> None:
    to.write(f"{line}\n")
    to.flush()


def _check(sigma: Sigma, seen: Seen) -> None:
    """Everybody was told that they joined, is a row, and has a mail, sent or queued; and every page is still open.

    Raises:
        RuntimeError: somebody is not.
    """
    joins = PER_SECOND * SECONDS
    with psycopg.connect(sigma.assignments["DATABASE_URL"]) as owner:
        (rows,) = owner.execute("select count(*) from leads where email like 'reference-%'").fetchone() or (0,)
    if seen.statuses != {"303": joins} or rows != joins or seen.pages_left != PAGES:
        raise RuntimeError(f"Of {joins} joins and {PAGES} pages: {seen.statuses}, {rows} rows, {seen.pages_left} pages")


def _report(seen: Seen, memory: dict[str, int], cpu: float) -> Report:
    def row(name: str, value: float, unit: str, bar: Bar | None = None) -> Row:
        return Row(name, Sample([value]), unit, bar)

    rows = [
        row("join, p50", seen.p50_ms, "ms"),
        row("join, p99", seen.p99_ms, "ms", Bar(250, at_most=True)),
        row("join, longest", seen.longest_ms, "ms"),
        row("memory before", memory["before"] / _MIB, "MiB"),
        row("memory with the pages open", memory["open"] / _MIB, "MiB"),
        row("memory after the joins", memory["after"] / _MIB, "MiB", Bar(1024, at_most=True)),
        row("memory of one page", (memory["open"] - memory["before"]) / PAGES / 1024, "KiB"),
        row("the server's share of a core", 100 * cpu / SECONDS, "%"),
    ]
    notes = [
        f"{PER_SECOND * SECONDS:,} joins, each a row; all {PAGES:,} pages were open to the end. One process does all.",
        f"A join is timed from when it was due. The load generator took {seen.busy:.0%} of a core of the same machine.",
    ]
    return Report("reference", f"{PAGES:,} open pages, {PER_SECOND} joins a second for {SECONDS} s", rows, notes)
