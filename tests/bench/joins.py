"""Joins per second at 16 concurrent visitors, of Sigma's two doors and of what they are measured against.

All write the same row under the same role and policies into one embedded Postgres with its default durability
(synchronous_commit and fsync on), whose rows are counted afterwards: nothing acknowledged may be missing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from sigma_app.core.login import login_url
from sigma_app.features.waitlist.consent import CONSENT_VERSION
from tests.bench.contenders import ANONYMOUS_CLAIMS, POOL_SIZE
from tests.bench.load import LANDING_PATH, REFERRER, Job, Outcome, run
from tests.bench.machine import Cores, children_on, cores
from tests.bench.pgbench import Pgbench
from tests.bench.processes import contender
from tests.bench.report import Bar, Ratio, Report, Row
from tests.bench.rounds import WARM_UP_SECONDS, Turn, interleaved, metered, over_http, postmaster, sample
from tests.sigma import Sigma

ROUNDS = 7
VISITORS = 16

PGBENCH = "pgbench, prepared"
BARE = "bare ASGI + psycopg"
PIPELINE = "bare, in pipeline mode"
FASTAPI = "FastAPI + SQLModel"
HTTP = "Sigma, POST /join"
SOCKET = "Sigma, websocket"
NO_OP = "load generator (no-op)"

_MARKERS = {PGBENCH: "pgbench", BARE: "bare", PIPELINE: "pipeline", FASTAPI: "fastapi", HTTP: "http", SOCKET: "socket"}
_DETAILS = {"p50 ms": "p50_ms", "p99 ms": "p99_ms", "server CPU µs": "server_us", "Postgres CPU µs": "postgres_us"}
WIDE = "100000000/minute"
_GENERATOR_MARGIN = Bar(3)


def measure(options: argparse.Namespace) -> Report:
    """Run every contender and check that what was acknowledged is there."""
    where = cores(floating=options.float)
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch, sigma_served(Path(scratch), where) as sigma:
        owner_url = sigma.assignments["DATABASE_URL"]
        with ExitStack() as stack:
            turns = _turns(stack, sigma, owner_url, Path(scratch), where, options.seconds)
            outcomes = interleaved(turns, options.rounds or ROUNDS, "Joining")
        _check_answers(outcomes)
        _check_rows(owner_url, outcomes)
    return _report(outcomes, where)


@contextmanager
def sigma_served(scratch: Path, where: Cores) -> Iterator[Sigma]:
    """A Sigma of its own, limits wide open, with its Postgres on the servers' cores."""
    # The mails that joining queues are sent by nobody: their work would be counted as that of whoever has its turn
    variables = {"JOIN_LIMIT_PER_ADDRESS": WIDE, "JOIN_LIMIT_PER_NETWORK": WIDE, "SIGMA_WORKER": "off"}
    variables |= {"SOCKET_LIMIT_PER_NETWORK": "10000", "SOCKET_EVENTS_PER_SECOND": "1000000"}
    sigma = Sigma(scratch / "data", variables=variables)
    variables["BASE_URL"] = sigma.base_url  # the address it is visited by is the one its pages name as their own
    try:
        with children_on(where.servers):
            sigma.start()
        yield sigma
    finally:
        sigma.remove()


def _turns(
    stack: ExitStack, sigma: Sigma, owner_url: str, scratch: Path, where: Cores, seconds: float
) -> Mapping[str, Turn]:
    variables = {"DATABASE_URL": login_url(owner_url), "BENCH_CONSENT_VERSION": CONSENT_VERSION}
    postgres = postmaster(owner_url)

    def served(module: str, name: str, **more: str) -> Turn:
        log = scratch / f"{module}.log"
        running = stack.enter_context(contender(module, log, where.servers, variables | more))
        turn = over_http("join", running.port, seconds, where.load, _MARKERS.get(name, "noop"))
        return metered(turn, running.pid, postgres)

    assert sigma.process is not None
    http = over_http("join", sigma.port, seconds, where.load, _MARKERS[HTTP])
    pgbench = Pgbench(variables["DATABASE_URL"], scratch, VISITORS, seconds, where.servers, _MARKERS[PGBENCH])
    return {
        PGBENCH: metered(pgbench, None, postgres),
        BARE: served("bare", BARE),
        PIPELINE: served("bare", PIPELINE, BENCH_PIPELINE="1"),
        FASTAPI: served("fastapi_sqlmodel", FASTAPI),
        HTTP: metered(http, sigma.process.pid, postgres),
        SOCKET: metered(_over_socket(sigma.port, seconds, where), sigma.process.pid, postgres),
        NO_OP: served("noop", NO_OP),
    }


def _over_socket(port: int, seconds: float, where: Cores) -> Turn:
    event, schema = state_names()

    def turn(name: str, length: float = seconds) -> Outcome:
        marker = f"{_MARKERS[SOCKET]}-{name}"
        return run(Job("socket", port, length, VISITORS, marker, event, schema), where.load)

    turn("warm", WARM_UP_SECONDS)
    return turn


def state_names() -> tuple[str, str]:
    """The full name of the handler that joins, and the hash of the state tree that the frontend was built for."""
    from sigma_app.features.waitlist.state import WaitlistState
    from sigma_app.sigma_app import app

    assert app._state is not None
    return f"{WaitlistState.get_full_name()}.join", app._state._to_frontend_schema()


def _check_answers(outcomes: Mapping[str, list[Outcome]]) -> None:
    """Every answer said that the visitor has joined.

    Raises:
        RuntimeError: one did not.
    """
    expected = {PGBENCH: {"committed"}, SOCKET: {"joined", "joined as before"}}
    for name, rounds in outcomes.items():
        for outcome in rounds:
            if strange := set(outcome.kinds) - expected.get(name, {"303"}):
                raise RuntimeError(f"{name}: answers that acknowledge nothing: {strange} of {outcome.kinds}")


def _check_rows(owner_url: str, outcomes: Mapping[str, list[Outcome]]) -> None:
    """Each acknowledged join is one row, and all contenders wrote the same columns.

    Raises:
        RuntimeError: a row is missing, or one too many, or a different one.
    """
    with psycopg.connect(owner_url) as owner:
        for name, marker in _MARKERS.items():
            found = owner.execute(
                "select count(*), count(*) filter (where referrer = %s and landing_path = %s"
                " and consent_version = %s and consent_at is not null"
                " and coalesce(utm_source, utm_medium, utm_campaign, utm_term, utm_content, referral_code) is null)"
                " from public.leads where email like %s",
                [REFERRER, LANDING_PATH, CONSENT_VERSION, f"{marker}-round%"],
            ).fetchone()
            acknowledged = sum(outcome.answers for outcome in outcomes[name])
            if found != (acknowledged, acknowledged):
                raise RuntimeError(f"{name}: acknowledged {acknowledged} joins; found rows, as expected: {found}")


def _report(outcomes: Mapping[str, list[Outcome]], where: Cores) -> Report:
    rates = {name: sample(rounds, "rate") for name, rounds in outcomes.items()}
    bars = {(HTTP, BARE): Bar(0.9), (HTTP, FASTAPI): Bar(3)}

    def row(name: str) -> Row:
        references = [other for other in (BARE, FASTAPI, PGBENCH) if other != name]
        ratios = [Ratio(other, rates[name].over(rates[other]), bars.get((name, other))) for other in references]
        details = {title: sample(outcomes[name], measure) for title, measure in _DETAILS.items()}
        if name == PGBENCH:  # it has no server of its own
            del details["server CPU µs"]
        return Row(name, rates[name], "/s", ratios=ratios, details=details)

    fastest = max((BARE, PIPELINE, FASTAPI, HTTP), key=lambda name: rates[name].median)
    margin = Ratio(fastest, rates[NO_OP].over(rates[fastest]), _GENERATOR_MARGIN)
    joins = sum(outcome.answers for name in _MARKERS for outcome in outcomes[name])
    busy = sample(outcomes[SOCKET], "busy").median
    return Report(
        "joins",
        f"Joins per second, {VISITORS} concurrent visitors",
        [*(row(name) for name in _MARKERS), Row(NO_OP, rates[NO_OP], "/s", ratios=[margin])],
        [
            str(where),
            f"All {joins:,} acknowledged joins were found as rows, with the same columns whoever wrote them.",
            f"Pools hold {POOL_SIZE} connections, pgbench {VISITORS}; role anon by {ANONYMOUS_CLAIMS}.",
            f"The websocket's load generator computed {busy:.0%} of the time.",
        ],
    )
