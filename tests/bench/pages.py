"""Lighthouse's mobile preset on the served landing page, interleaved with the same page without its scripts."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from rich.console import Console

from sigma_app.frontend import toolchain
from sigma_app.frontend.build import ensure_built
from tests.bench.joins import sigma_served
from tests.bench.machine import Cores
from tests.bench.processes import contender
from tests.bench.report import Bar, Ratio, Report, Row, Sample, Unavailable
from tests.browser import chromium
from tests.sigma import PROJECT_ROOT

LIGHTHOUSE = "13.5.0"
ROUNDS = 5
RUN_SECONDS = 120

_HOME = PROJECT_ROOT / ".sigma" / "bench"
_PROGRAM = _HOME / "node_modules" / "lighthouse"
_CHROME_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu"
    " --disable-background-networking --disable-component-update --disable-sync"
)
_CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
_TIMINGS = {
    "FCP": "first-contentful-paint",
    "LCP": "largest-contentful-paint",
    "TBT": "total-blocking-time",
    "CLS": "cumulative-layout-shift",
}
_KINDS = {".js": "JavaScript", ".css": "CSS", ".woff2": "fonts", "": "page"}

_SCRIPTS = re.compile(r'<script\b.*?</script>|<link\b[^>]*\brel="modulepreload"[^>]*>', re.DOTALL)

Measures = dict[str, float]
"""One run of Lighthouse: scores from 0 to 100, milliseconds, KiB on the wire by kind."""


def measure(options: argparse.Namespace) -> Report:
    """Run Lighthouse on both pages in turn."""
    lighthouse = Lighthouse.installed()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sigma-bench-")))
        sigma = stack.enter_context(sigma_served(scratch, Cores(None, None)))
        named = {"BENCH_PAGES": str(_without_scripts(scratch / "pages")), "SIGMA_DATA_DIR": str(scratch / "data")}
        copy = stack.enter_context(contender("plain_pages", scratch / "pages.log", None, named))
        rounds = options.rounds or ROUNDS
        served: list[Measures] = []
        plain: list[Measures] = []
        with Console(stderr=True).status("Lighthouse") as status:
            for number in range(rounds):
                turns = [(served, sigma.port), (plain, copy.port)]
                for found, turn_port in turns if number % 2 == 0 else reversed(turns):
                    status.update(f"Lighthouse: round {number + 1} of {rounds}, port {turn_port}")
                    found.append(lighthouse.run(f"http://127.0.0.1:{turn_port}/", scratch))
    return _report(served, plain)


@dataclass(frozen=True)
class Lighthouse:
    """The pinned Lighthouse, and what it needs around it."""

    environment: Mapping[str, str]

    @classmethod
    def installed(cls) -> Lighthouse:
        """Installed from npm now if it is not there yet.

        Raises:
            Unavailable: npm or a Chromium cannot be had.
        """
        environment = toolchain.environment(os.environ)
        manifest = _PROGRAM / "package.json"
        if not manifest.is_file() or json.loads(manifest.read_text())["version"] != LIGHTHOUSE:
            _install(environment)
        with sync_playwright() as playwright:
            browser = chromium.find(playwright)
        if browser is None:
            raise Unavailable("There is no Chromium: `python -m tests.browser.chromium` installs one.")
        return cls({**environment, "CHROME_PATH": str(browser)})

    def run(self, address: str, scratch: Path) -> Measures:
        """One cold visit, by Lighthouse's own settings for a phone."""
        output = scratch / "lighthouse.json"
        command = ["node", str(_PROGRAM / "cli" / "index.js"), address, "--quiet", "--no-enable-error-reporting"]
        command += ["--output=json", f"--output-path={output}", f"--only-categories={','.join(_CATEGORIES)}"]
        command += [f"--chrome-flags={_CHROME_FLAGS}"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=RUN_SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"Lighthouse failed: {done.stderr[-2000:]}")
        return _measures(json.loads(output.read_text()))


def _install(environment: Mapping[str, str]) -> None:
    _HOME.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--prefix", str(_HOME), "--save-exact", "--no-audit", "--no-fund"]
    with Console(stderr=True).status(f"Installing Lighthouse {LIGHTHOUSE} from npm"):
        done = subprocess.run(
            [*command, f"lighthouse@{LIGHTHOUSE}"], env=environment, capture_output=True, text=True, timeout=600
        )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "error" in line.lower()] or ["it gave no reason"]
        raise Unavailable(f"Lighthouse could not be installed from npm: {said[0]}")


def _without_scripts(copy: Path) -> Path:
    """The built pages, the landing page among them stripped of every script and of what preloads one."""
    shutil.copytree(ensure_built(lambda _: None), copy)
    page = copy / "index.html"
    stripped = _SCRIPTS.sub("", page.read_text(encoding="utf-8"))
    assert "<script" not in stripped
    page.write_text(stripped, encoding="utf-8")
    return copy


def _measures(result: dict[str, Any]) -> Measures:
    if "runtimeError" in result:
        raise RuntimeError(f"Lighthouse could not judge the page: {result['runtimeError']}")
    audits = result["audits"]
    found = {name: 100 * result["categories"][name]["score"] for name in _CATEGORIES}
    found |= {name: audits[audit]["numericValue"] for name, audit in _TIMINGS.items()}
    sizes = dict.fromkeys([*_KINDS.values(), "other", "total"], 0.0)
    for request in audits["network-requests"]["details"]["items"]:
        kind = _KINDS.get(Path(request["url"].partition("?")[0].partition("//")[2]).suffix, "other")
        if request["resourceType"] == "Document":
            kind = "page"
        for name in (kind, "total"):
            sizes[name] += request["transferSize"] / 1024
    return found | sizes


def _report(served: list[Measures], plain: list[Measures]) -> Report:
    bars = {"performance": Bar(99), "accessibility": Bar(100), "best-practices": Bar(100), "seo": Bar(100)}
    bars |= {"CLS": Bar(0, at_most=True), "JavaScript": Bar(150, at_most=True), "CSS": Bar(12, at_most=True)}
    to_plain = {"FCP": Bar(1.2, at_most=True), "LCP": Bar(1.1, at_most=True)}
    units = dict.fromkeys(("FCP", "LCP", "TBT"), "ms") | dict.fromkeys([*_KINDS.values(), "other", "total"], "KiB")

    def row(name: str) -> Row:
        mine, theirs = (Sample([run[name] for run in runs]) for runs in (served, plain))
        ratios = [Ratio("without scripts", mine.over(theirs), to_plain[name])] if name in to_plain else []
        return Row(name, mine, units.get(name, ""), bars.get(name), ratios, {"without scripts": theirs})

    notes = [
        f"Lighthouse {LIGHTHOUSE}, mobile preset (simulated slow 4G, a CPU four times slower), headless Chromium.",
        "The page without scripts has the same server, headers, compression, styles and fonts.",
    ]
    return Report("pages", "The landing page", [row(name) for name in served[0]], notes)
