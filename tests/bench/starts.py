"""From the start of the process to the first 200: with no data yet, and again with everything in place."""

from __future__ import annotations

import argparse
import http.client
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from sigma_app.frontend.build import ensure_built
from tests.bench.report import Bar, Report, Row, Sample
from tests.sigma import PROJECT_ROOT, Sigma

ROUNDS = 5
START_SECONDS = 60
BUILD_SECONDS = 600


def measure(options: argparse.Namespace) -> Report:
    """Start with a new data directory, stop, start again; a few times."""
    ensure_built(lambda _: None)
    cold, warm = [], []
    with Console(stderr=True).status("Starting Sigma") as status:
        for number in range(options.rounds or ROUNDS):
            status.update(f"Starting Sigma: round {number + 1}")
            first, second = _first_and_second(PROJECT_ROOT, START_SECONDS)
            cold.append(first)
            warm.append(second)
        rows = [
            Row("cold: no data directory, pages built", Sample(cold), "s"),
            Row("warm: second start", Sample(warm), "s", Bar(3, at_most=True)),
        ]
        if options.full:
            status.update("Starting Sigma in a new checkout, which builds the frontend")
            rows += _new_checkout()
    return Report("starts", "From process start to the first 200", rows, _notes())


def _first_and_second(root: Path, patience: float) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch:
        sigma = Sigma(Path(scratch) / "data", root=root)
        try:
            return _start(sigma, patience), _start(sigma, patience)
        finally:
            sigma.remove()


def _start(sigma: Sigma, patience: float) -> float:
    """Seconds to the first 200; stops it again."""
    begin = time.perf_counter()
    with sigma.log.open("a") as log:
        sigma.process = subprocess.Popen(
            [sys.executable, "-m", "sigma_app", "run"],
            cwd=sigma.root,
            env=sigma.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    while not _answers(sigma.port, patience):
        waited = time.perf_counter() - begin
        if sigma.process.poll() is not None or waited > patience:
            raise RuntimeError(f"Sigma did not start within {waited:.0f} s:\n{sigma.log.read_text()}")
        time.sleep(0.002)
    took = time.perf_counter() - begin
    sigma.stop()
    return took


def _answers(port: int, patience: float) -> bool:
    """Whether the landing page answers 200. The port is taken early, so one request waits until it is served."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _new_checkout() -> list[Row]:
    """Once: what `make run` does after its pip install, in a copy of the tracked files; and the start after it."""
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch:
        root = Path(scratch) / "checkout"
        for name in _tracked():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT_ROOT / name, target)
        first, second = _first_and_second(root, BUILD_SECONDS)
    return [
        Row("new checkout: npm install, build, database", Sample([first]), "s"),
        Row("new checkout: second start", Sample([second]), "s", Bar(3, at_most=True)),
    ]


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (PROJECT_ROOT / name).is_file()]


def _notes() -> list[str]:
    return ["All cores; files are in the system's cache, as after any earlier start."]
