"""The landing page in requests per second: Sigma's memory against Reflex's own static route, on the same build, and
against nginx, which has the very bytes that Sigma sends on disk."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import brotli

from sigma_app.frontend.build import ensure_built
from tests.bench.joins import sigma_served
from tests.bench.load import Outcome
from tests.bench.machine import Cores, children_on, cores
from tests.bench.processes import contender, end, wait_until_listening
from tests.bench.report import Bar, Ratio, Report, Row, Unavailable
from tests.bench.rounds import interleaved, over_http, sample
from tests.programs import find, find_file
from tests.sigma import free_port

ROUNDS = 7
SIGMA = "Sigma, from memory"
REFLEX = "Reflex's static route"
NGINX = "nginx, from disk"
NO_OP = "load generator (no-op)"

_MODULE = Path("/usr/lib/nginx/modules/ngx_http_brotli_static_module.so")


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
        nginx = stack.enter_context(_nginx(scratch, sigma.port, where))
        ports = {SIGMA: sigma.port, REFLEX: reflex.port, NGINX: nginx, NO_OP: no_op.port}
        turns = {name: over_http("page", port, options.seconds, where.load) for name, port in ports.items()}
        outcomes = interleaved(turns, options.rounds or ROUNDS, "Asking for the landing page")
    for name in (SIGMA, REFLEX, NGINX):
        _check(name, outcomes[name])
    return _report(outcomes, str(where))


@contextmanager
def _nginx(scratch: Path, sigma: int, where: Cores) -> Iterator[int]:
    """One worker of nginx on the servers' core, with what Sigma answers with, plain and in brotli; its port.

    Raises:
        Unavailable: there is no nginx, or it cannot send what was compressed before.
    """
    program, module = find("nginx"), find_file(_MODULE, "libnginx-mod-http-brotli-static")
    if program is None or module is None:
        raise Unavailable(
            "nginx or its module brotli_static is missing: apt install nginx-light libnginx-mod-…brotli-static."
        )
    files, port = scratch / "nginx", free_port()
    files.mkdir()
    page = f"http://127.0.0.1:{sigma}/"
    (files / "index.html").write_bytes(_body(page, "identity"))
    (files / "index.html.br").write_bytes(_body(page, "br"))
    (scratch / "nginx.conf").write_text(
        f"""
        load_module {module};
        {"user root;" if os.geteuid() == 0 else ""}
        daemon off;
        worker_processes 1;
        pid {scratch}/nginx.pid;
        error_log {scratch}/nginx.log;
        events {{}}
        http {{
            include /etc/nginx/mime.types;
            access_log off;
            client_body_temp_path {scratch}/body;
            proxy_temp_path {scratch}/proxy;
            fastcgi_temp_path {scratch}/fastcgi;
            uwsgi_temp_path {scratch}/uwsgi;
            scgi_temp_path {scratch}/scgi;
            sendfile on;
            tcp_nopush on;
            keepalive_requests 100000000;
            open_file_cache max=100;
            brotli_static on;
            server {{ listen 127.0.0.1:{port}; root {files}; }}
        }}
        """
    )
    with children_on(where.servers):
        process = subprocess.Popen([program, "-e", str(scratch / "nginx.log"), "-c", str(scratch / "nginx.conf")])
    try:
        wait_until_listening(process, port, scratch / "nginx.log")
        yield port
    finally:
        end(process)


def _body(url: str, encoding: str) -> bytes:
    with urlopen(Request(url, headers={"accept-encoding": encoding})) as answer:  # noqa: S310 - an http address of ours
        return answer.read()


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
    slowest = {name: sample(rounds, "p99_ms") for name, rounds in outcomes.items()}
    to_nginx = Ratio(NGINX, rates[SIGMA].over(rates[NGINX]))
    ratios = {SIGMA: [Ratio(REFLEX, rates[SIGMA].over(rates[REFLEX]), Bar(5)), to_nginx]}
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
    rows.append(Row("Sigma's p99", slowest[SIGMA], "ms", ratios=[Ratio(NGINX, slowest[SIGMA].over(slowest[NGINX]))]))
    busy = sample(outcomes[SIGMA], "busy").median
    notes = [where, f"The load generator computed {busy:.0%} of Sigma's time."]
    return Report("static", "Requests per second, landing page, brotli, 16 connections", rows, notes)
