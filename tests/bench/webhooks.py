"""Stripe's webhooks: how many deliveries are acknowledged a second, and how soon after one somebody has access.

Deliveries are distinct, rightly signed and of an event's usual size; those acknowledged are counted as rows afterwards.
For the time to access somebody pays in the sandbox, whose own deliveries are held back, and the one event that matters
is told: from its first byte to the profile that says so, through the webhook, the queue, a worker and a reading at
Stripe.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import stripe
from rich.console import Console

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.embedded.stripe import acts, faults
from sigma_app.embedded.stripe.books import opened
from sigma_app.embedded.stripe.events import signing_secret
from sigma_app.features.billing import checkout
from sigma_app.gateways.payments import reaching_stripe
from sigma_app.session.store import Session
from tests.bench.load import MARKER, Job, Outcome, run
from tests.bench.machine import Cores, children_on, cores
from tests.bench.processes import contender
from tests.bench.report import Ratio, Report, Row, Sample
from tests.bench.rounds import Turn, interleaved, sample
from tests.conftest import settings_for
from tests.settled import settled
from tests.sigma import Sigma

ROUNDS = 5
PAYING = 40  # people in each round
SIGMA, BARE = "Sigma, /webhooks/stripe", "bare ASGI + psycopg"
ACCESS, ACKNOWLEDGED = "event to access", "event to its acknowledgement"
PLAN = "sigma_for_good"

EVENT = {
    "id": f"evt_{MARKER}",
    "object": "event",
    "type": "customer.created",
    "created": 1_800_000_000,
    "data": {"object": {"id": f"cus_{MARKER}", "object": "customer", "metadata": {"padding": "x" * 1500}}},
}


def measure(options: argparse.Namespace) -> Report:
    """Tell events at both doors, in turn; then let people pay."""
    where = cores(floating=options.float)
    rounds = options.rounds or ROUNDS
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch:
        with _served(Path(scratch) / "quiet", where, SIGMA_WORKER="off") as sigma:
            outcomes = _acknowledged(sigma, Path(scratch), where, options.seconds, rounds)
        with _served(Path(scratch) / "working", where) as sigma:
            waits = asyncio.run(_waits(sigma, rounds))
    return _report(outcomes, waits)


@contextmanager
def _served(directory: Path, where: Cores, **variables: str):
    sigma = Sigma(directory, variables=variables)
    try:
        with children_on(where.servers):
            yield sigma.start()
    finally:
        sigma.remove()


def _acknowledged(
    sigma: Sigma, scratch: Path, where: Cores, seconds: float, rounds: int
) -> Mapping[str, list[Outcome]]:
    owner_url = sigma.assignments["DATABASE_URL"]
    login = login_url(owner_url)
    secret = asyncio.run(_secret(login, sigma))
    with ExitStack() as stack:
        variables = {"DATABASE_URL": login, "BENCH_SECRET": secret}
        log = scratch / "bare_webhook.log"
        bare = stack.enter_context(contender("bare_webhook", log, where.servers, variables))
        turns = {SIGMA: _turn(sigma.port, secret, seconds, where), BARE: _turn(bare.port, secret, seconds, where)}
        outcomes = interleaved(turns, rounds, "Telling events")
    answered = sum(outcome.answers for outcome in [*outcomes[SIGMA], *outcomes[BARE]])
    with psycopg.connect(owner_url) as owner:
        ((kept,),) = owner.execute("select count(*) from sigma.webhook_events").fetchall()
    if kept < answered:
        raise RuntimeError(f"{answered} were acknowledged, and {kept} are kept")
    return outcomes


def _turn(port: int, secret: str, seconds: float, where: Cores) -> Turn:
    def turn(name: str, length: float = seconds) -> Outcome:
        marker = f"{name}{uuid4().hex[:8]}".replace(" ", "")
        job = Job("webhook", port, length, marker=marker, body=json.dumps(EVENT), secret=secret)
        outcome = run(job, where.load)
        if set(outcome.kinds) != {"200"}:
            raise RuntimeError(f"Not every event was acknowledged: {outcome.kinds}")
        return outcome

    return turn


async def _secret(login: str, sigma: Sigma) -> str:
    with settled(settings_for(sigma.data_dir)):
        async with Database(login, 2) as database:
            with serve_requests_from(database):
                return await signing_secret()


async def _waits(sigma: Sigma, rounds: int) -> dict[str, list[list[float]]]:
    """Milliseconds, by what, in each round."""
    owner_url = sigma.assignments["DATABASE_URL"]
    found: dict[str, list[list[float]]] = {ACCESS: [], ACKNOWLEDGED: []}
    with settled(settings_for(sigma.data_dir)):
        async with Database(login_url(owner_url), 4) as database:
            with serve_requests_from(database), Console(stderr=True).status("Paying"):
                async with reaching_stripe(), httpx.AsyncClient(base_url=sigma.base_url) as client:
                    await faults.spoil_deliveries(drop=1)
                    for _ in range(rounds):
                        pairs = [await _pay(owner_url, client) for _ in range(PAYING)]
                        for name, column in ((ACKNOWLEDGED, 0), (ACCESS, 1)):
                            found[name].append(sorted(pair[column] for pair in pairs))
    return found


async def _pay(owner_url: str, client: httpx.AsyncClient) -> tuple[float, float]:
    """Somebody new pays, and the event is told; milliseconds until it is acknowledged, and until they have access."""
    user, email, now = uuid4(), f"{uuid4().hex}@example.com", datetime.now(UTC)
    async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as owner:
        await owner.execute("insert into auth.users (id, email) values (%s, %s)", [user, email])
        identity = await _checkout(Session(uuid4(), user, email, False, "", now, now))
        await acts.pay(identity)
        event = await _event_of(identity)
        body = json.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(body, await signing_secret())
        begun = time.perf_counter()
        answer = await client.post("/webhooks/stripe", content=body, headers={"stripe-signature": header})
        acknowledged = time.perf_counter()
        answer.raise_for_status()
        async with asyncio.timeout(30):
            while not await _has_access(owner, user):  # noqa: ASYNC110 - a row of another process's
                await asyncio.sleep(0.001)
        return 1000 * (acknowledged - begun), 1000 * (time.perf_counter() - begun)


async def _checkout(session: Session) -> str:
    return (await checkout.open_checkout(session, PLAN)).rpartition("/")[2]


async def _event_of(identity: str) -> dict[str, Any]:
    async with opened() as books:
        events = await books.all("event", type="checkout.session.completed")
    return next(event for event in events if event["data"]["object"]["id"] == identity)


async def _has_access(owner: psycopg.AsyncConnection, user: Any) -> bool:
    row = await (await owner.execute("select has_access from profiles where id = %s", [user])).fetchone()
    return bool(row and row[0])


def _report(outcomes: Mapping[str, list[Outcome]], waits: dict[str, list[list[float]]]) -> Report:
    rates = {name: Sample([outcome.rate for outcome in found]) for name, found in outcomes.items()}
    rows = [
        Row(
            name,
            rates[name],
            "events/s",
            ratios=[Ratio(BARE, rates[name].over(rates[BARE]))] if name != BARE else [],
            details={"p50 ms": sample(outcomes[name], "p50_ms"), "p99 ms": sample(outcomes[name], "p99_ms")},
        )
        for name in (BARE, SIGMA)
    ]
    for name in (ACKNOWLEDGED, ACCESS):
        p50 = Sample([one[len(one) // 2] for one in waits[name]])
        p99 = Sample([one[len(one) * 99 // 100] for one in waits[name]])
        rows.append(Row(name, p50, "ms", details={"p99 ms": p99}))
    notes = [
        "16 senders at a time, each event another one. The worker is off meanwhile: its work is not the door's.",
        f"{PAYING} people a round pay one after the other; the time to access has a reading at the sandbox in it.",
    ]
    return Report("webhooks", "Stripe's webhooks", rows, notes)
