"""Sign-ins per second and core, against bare bcrypt; refreshes, against the same SQL on bare psycopg.

Everything runs on one core with its Postgres, default durability included; the visitors are in the process that
answers them, and reach it over ASGI.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from tests.bench.load import Job, Outcome, run
from tests.bench.machine import children_on, cores
from tests.bench.report import Bar, Ratio, Report, Row
from tests.bench.rounds import Turn, interleaved, sample
from tests.bench.scratch import scratch_cluster

ROUNDS = 7
VISITORS = 8
HASH_SECONDS = 4.0  # at least: a hash takes a while, and a turn should see some dozens

HASH = "bare bcrypt.checkpw"
SIGN_IN = "Sigma, sign-in by password"
SQL = "the SQL of a refresh"
REFRESH = "Sigma, token refresh"

_KINDS = {HASH: "hash", SIGN_IN: "sign-in", SQL: "refresh in SQL", REFRESH: "refresh"}
_ACKNOWLEDGED = {HASH: {"True"}, SIGN_IN: {"200"}, SQL: {"committed"}, REFRESH: {"200"}}
_DETAILS = {"p50 ms": "p50_ms", "p99 ms": "p99_ms", "CPU ms": "cpu_ms"}
_BARS = {SIGN_IN: (HASH, Bar(0.9)), REFRESH: (SQL, None)}


def measure(options: argparse.Namespace) -> Report:
    """Let all have their turns, on one core with their Postgres."""
    where = cores(floating=options.float)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sigma-bench-")))
        with children_on(where.servers):
            owner_url = stack.enter_context(scratch_cluster(scratch))
        migrate(owner_url)
        turns = {name: _turn(name, owner_url, scratch, options.seconds, where.servers) for name in _KINDS}
        outcomes = interleaved(turns, options.rounds or ROUNDS, "Signing in")
    _check(outcomes)
    return _report(outcomes, where.servers)


def _turn(name: str, owner_url: str, scratch: Path, seconds: float, allowed: set[int] | None) -> Turn:
    login, kind = login_url(owner_url), _KINDS[name]
    seconds = max(seconds, HASH_SECONDS) if name in (HASH, SIGN_IN) else seconds

    def turn(number: str) -> Outcome:
        marker = f"{kind.replace(' ', '-')}-{number}"
        return run(Job(kind, 0, seconds, VISITORS, marker, database=login, directory=str(scratch / "keys")), allowed)

    return turn


def _check(outcomes: Mapping[str, list[Outcome]]) -> None:
    for name, rounds in outcomes.items():
        for outcome in rounds:
            if strange := set(outcome.kinds) - _ACKNOWLEDGED[name]:
                raise RuntimeError(f"{name}: other answers than wanted: {strange} of {outcome.kinds}")


def _report(outcomes: Mapping[str, list[Outcome]], allowed: set[int] | None) -> Report:
    rates = {name: sample(rounds, "rate") for name, rounds in outcomes.items()}

    def row(name: str) -> Row:
        reference, bar = _BARS.get(name, (None, None))
        ratios = [Ratio(reference, rates[name].over(rates[reference]), bar)] if reference else []
        details = {title: sample(outcomes[name], measure) for title, measure in _DETAILS.items()}
        return Row(name, rates[name], "/s", ratios=ratios, details=details)

    return Report(
        "signins",
        f"Signing in and refreshing, {VISITORS} at a time",
        [row(name) for name in _KINDS],
        [
            "All share every core." if allowed is None else f"All, their Postgres included, share core {min(allowed)}.",
            "Hashes at cost 10, on as many threads as there are cores. CPU is that of the process, without Postgres'.",
        ],
    )
