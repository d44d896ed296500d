"""The landing page in requests per second: Sigma's memory against Reflex's own static route, on the same build."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import brotli

from sigma_app.frontend.build import ensure_built
from tests.bench.joins import sigma_served
from tests.bench.load import Outcome
from tests.bench.machine import cores
from tests.bench.processes import contender
from tests.bench.report import Bar, Ratio, Report, Row
from tests.bench.rounds import interleaved, over_http, sample

ROUNDS = 7
SIGMA = "Sigma, from memory"
REFLEX = "Reflex's static route"
NO_OP = "load generator (no-op)"


def measure(options: argparse.Namespace) -> Report:
    """Ask both for the same page, brotli accepted, from 16 keep-alive connections."""
    where = cores(floating=options.float)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sigma-bench-")))
        sigma = stack.enter_context(sigma_served(scratch, where))
        web = scratch / "web"
        client = shutil.copytree(ensure_built(lambda _: None), web / "build" / "client")
        # Reflex's route sends what was compressed before; our build keeps none of that.
        for page in client.rglob("*.html"):
            page.with_name(page.name + ".br").write_bytes(brotli.compress(page.read_bytes()))
        named = {"REFLEX_WEB_WORKDIR": str(web), "SIGMA_DATA_DIR": str(scratch / "data")}
        reflex = stack.enter_context(contender("reflex_static", scratch / "reflex.log", where.servers, named))
        no_op = stack.enter_context(contender("noop", scratch / "noop.log", where.servers, {}))
        ports = {SIGMA: sigma.port, REFLEX: reflex.port, NO_OP: no_op.port}
        turns = {name: over_http("page", port, options.seconds, where.load) for name, port in ports.items()}
        outcomes = interleaved(turns, options.rounds or ROUNDS, "Asking for the landing page")
    for name in (SIGMA, REFLEX):
        _check(name, outcomes[name])
    return _report(outcomes, str(where))


def _check(name: str, outcomes: list[Outcome]) -> None:
    """Every answer was the page, in brotli.

    Raises:
        RuntimeError: one was not.
    """
    for outcome in outcomes:
        if set(outcome.kinds) != {"200 br"}:
            raise RuntimeError(f"{name} answered {outcome.kinds}")


def _report(outcomes: dict[str, list[Outcome]], where: str) -> Report:
    rates = {name: sample(rounds, "rate") for name, rounds in outcomes.items()}
    ratios = {SIGMA: [Ratio(REFLEX, rates[SIGMA].over(rates[REFLEX]), Bar(5))]}
    rows = [
        Row(
            name,
            rates[name],
            "/s",
            ratios=ratios.get(name, []),
            details={
                "p50 ms": sample(outcomes[name], "p50_ms"),
                "p99 ms": sample(outcomes[name], "p99_ms"),
                "bytes": sample(outcomes[name], "size"),
            },
        )
        for name in outcomes
    ]
    busy = sample(outcomes[SIGMA], "busy").median
    notes = [where, f"The load generator computed {busy:.0%} of Sigma's time."]
    return Report("static", "Requests per second, landing page, brotli, 16 connections", rows, notes)
