"""GET and PATCH of one profile and POST of one lead through `/rest/v1`, against the same SQL on bare ASGI + psycopg.

All run on one embedded Postgres with its default durability, under the same role with the same claims; the bare handler
checks no token and reads no query. The leads are counted afterwards: nothing acknowledged may be missing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from sigma_app.core.database import user_actor
from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from sigma_app.embedded.supabase import tokens
from sigma_app.embedded.supabase.keys import keys_in
from tests.bench.load import MARKER, Job, Outcome, run
from tests.bench.machine import Cores, children_on, cores
from tests.bench.processes import contender
from tests.bench.report import Bar, Ratio, Report, Row
from tests.bench.rounds import WARM_UP_SECONDS, Turn, interleaved, metered, postmaster, sample
from tests.bench.scratch import scratch_cluster
from tests.conftest import settings_for

ROUNDS = 7
BAR = Bar(0.7)
BARE = "bare ASGI + psycopg"
PIPELINE = "bare, in pipeline mode"
REST = "/rest/v1"
_MARKERS = {BARE: "bare", PIPELINE: "pipeline", REST: "rest"}
_DETAILS = {"p50 ms": "p50_ms", "p99 ms": "p99_ms", "server CPU µs": "server_us", "Postgres CPU µs": "postgres_us"}
_STATUSES = {"GET": "200", "PATCH": "204", "POST": "201"}


def measure(options: argparse.Namespace) -> Report:
    """Let each have its turn with each of the three requests."""
    where = cores(floating=options.float)
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as directory:
        scratch = Path(directory)
        with children_on(where.servers), scratch_cluster(scratch) as owner_url:
            migrate(owner_url)
            person = uuid4()
            with psycopg.connect(owner_url) as owner:
                owner.execute("insert into auth.users (id, email) values (%s, %s)", [person, "ada@example.com"])
            with ExitStack() as stack:
                turns = _turns(stack, scratch, owner_url, person, where, options.seconds)
                outcomes = interleaved(turns, options.rounds or ROUNDS, "REST")
            _check(owner_url, outcomes)
    return _report(outcomes, where)


def _turns(
    stack: ExitStack, scratch: Path, owner_url: str, person: UUID, where: Cores, seconds: float
) -> Mapping[str, Turn]:
    settings = settings_for(scratch / "data")
    keys = keys_in(settings.data_dir)
    actor = user_actor(person, "ada@example.com")
    token = tokens.sign({"sub": str(person), "role": "authenticated", "aud": "authenticated"}, keys.secret)
    variables = {
        "DATABASE_URL": login_url(owner_url),
        "BENCH_CLAIMS": actor.claims,
        "BENCH_PROFILE": str(person),
        "BENCH_DATA_DIR": str(settings.data_dir),
    }
    modules = {BARE: ("bare_rest", {}), PIPELINE: ("bare_rest", {"BENCH_PIPELINE": "1"}), REST: ("rest", {})}
    turns = {}
    for name, (module, more) in modules.items():
        running = stack.enter_context(contender(module, scratch / f"{module}.log", where.servers, variables | more))
        for method in _STATUSES:
            request, body = _request(method, person, keys.anon, token)
            job = Job("request", running.port, seconds, marker=_MARKERS[name], request=request, body=body)
            turns[f"{method} {name}"] = metered(_turn(job, where), running.pid, postmaster(owner_url))
    return turns


def _request(method: str, person: UUID, key: str, token: str) -> tuple[str, str]:
    """The first line and the headers as supabase-js sends them, and the body."""
    resource = "leads" if method == "POST" else f"profiles?id=eq.{person}{'&select=*' if method == 'GET' else ''}"
    profile = "Accept-Profile" if method == "GET" else "Content-Profile"
    lines = [
        f"{method} /rest/v1/{resource} HTTP/1.1",
        f"apikey: {key}",
        f"Authorization: Bearer {key if method == 'POST' else token}",
        f"{profile}: public",
        "X-Client-Info: supabase-js-web/2.60.0",
        "Accept: */*",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
        *([] if method == "GET" else ["Content-Type: application/json"]),
    ]
    bodies = {"GET": "", "PATCH": f'{{"name":"{MARKER}"}}', "POST": f'{{"email":"{MARKER}@example.com"}}'}
    return "\r\n".join(lines), bodies[method]


def _turn(job: Job, where: Cores) -> Turn:
    def turn(name: str, seconds: float = job.seconds) -> Outcome:
        named = {**job.__dict__, "marker": f"{job.marker}-{name}", "seconds": seconds}
        return run(Job(**named), where.load)

    turn("warm", WARM_UP_SECONDS)
    return turn


def _check(owner_url: str, outcomes: Mapping[str, list[Outcome]]) -> None:
    """Every answer was the one it should be, and each acknowledged lead is a row.

    Raises:
        RuntimeError: one was not, or is missing.
    """
    for title, rounds in outcomes.items():
        expected = {_STATUSES[title.partition(" ")[0]]}
        if strange := {kind for outcome in rounds for kind in outcome.kinds} - expected:
            raise RuntimeError(f"{title}: unexpected answers: {strange}")
    with psycopg.connect(owner_url) as owner:
        for name, marker in _MARKERS.items():
            pattern = f"{marker}-round%"
            row = owner.execute("select count(*) from public.leads where email like %s", [pattern]).fetchone()
            acknowledged = sum(outcome.answers for outcome in outcomes[f"POST {name}"])
            if row != (acknowledged,):
                raise RuntimeError(f"{name}: acknowledged {acknowledged} leads; found {row}")


def _report(outcomes: Mapping[str, list[Outcome]], where: Cores) -> Report:
    rates = {title: sample(rounds, "rate") for title, rounds in outcomes.items()}

    def row(method: str, name: str) -> Row:
        title = f"{method} {name}"
        references = [other for other in (BARE, PIPELINE) if other != name]
        ratios = [
            Ratio(other, rates[title].over(rates[f"{method} {other}"]), BAR if (name, other) == (REST, BARE) else None)
            for other in references
        ]
        details = {column: sample(outcomes[title], part) for column, part in _DETAILS.items()}
        return Row(title, rates[title], "/s", ratios=ratios, details=details)

    rows = [row(method, name) for method in _STATUSES for name in _MARKERS]
    return Report("rest", "REST requests per second, 16 concurrent clients", rows, [str(where)])
