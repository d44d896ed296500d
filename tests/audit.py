"""Whether anything that Sigma depends on has a known vulnerability: `python -m tests.audit`, a step of `make lint`.

Asks OSV through pip-audit for the locked Python packages, and npm's registry through `npm audit` for the locked
JavaScript ones. A known vulnerability fails, unless audit.toml says why not, and until when. What could not be asked is
said so and fails nothing: a build must not depend on somebody else's server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sigma_app.frontend import toolchain
from tests.sigma import PROJECT_ROOT

IGNORED = PROJECT_ROOT / "audit.toml"
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
LOCKS = ("reflex.lock", "tests/api/js")
_SECONDS = 300  # for one of the two to answer


class NotAudited(Exception):
    """The service could not be asked; the message says why."""


@dataclass(frozen=True)
class Found:
    """A vulnerability of a package."""

    package: str
    names: frozenset[str]
    """All ids by which it is known."""
    about: str

    def __str__(self) -> str:
        return f"{self.package}: {', '.join(sorted(self.names))}: {self.about}"


def python_packages(requirements: Sequence[Path], osv: str = "") -> tuple[list[Found], list[str]]:
    """What is known of locked Python packages, and which of them could not be asked for.

    Args:
        requirements: files that name each package with its version.
        osv: where to ask in the place of OSV itself.

    Raises:
        NotAudited: none could be.
    """
    files = [argument for path in requirements for argument in ("--requirement", str(path))]
    command = [sys.executable, "-m", "pip_audit", *files, "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command += ["--format", "json", "--vulnerability-service", "osv", *(["--osv-url", osv] if osv else [])]
    done = _run(command, os.environ)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        raise NotAudited(_last_line(done.stderr)) from None
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):
        raise NotAudited(packages[0]["skip_reason"] if packages else "no packages were read")
    found = [
        Found(
            f"{package['name']} {package['version']}", frozenset([known["id"], *known["aliases"]]), known["description"]
        )
        for package in packages
        for known in package.get("vulns", ())
    ]
    return found, skipped


def javascript_packages(directory: Path, environment: Mapping[str, str] | None = None) -> list[Found]:
    """What is known of the JavaScript packages of a package-lock.json.

    Args:
        directory: where it is.
        environment: what npm is told besides.

    Raises:
        NotAudited: the registry does not say.
    """
    given = toolchain.environment({**os.environ, "npm_config_fetch_retries": "1", **(environment or {})})
    done = _run(["npm", "audit", "--json", "--package-lock-only"], given, directory)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
        packages: dict[str, Any] = report["vulnerabilities"]
    except (ValueError, KeyError):
        raise NotAudited(_npm_said(done)) from None
    return [
        Found(name, frozenset([known["url"].rpartition("/")[2]]), known["title"])
        for name, package in packages.items()
        for known in package["via"]
        if isinstance(known, dict)  # a name is a package that brings another's along
    ]


def judge(found: Iterable[Found], ignored: Iterable[Mapping[str, Any]], today: date) -> Iterator[str]:
    """A line for each vulnerability that counts: those that audit.toml does not name, and those whose time is over."""
    by_id = {each["id"]: each for each in ignored}
    for each in found:
        known = next((by_id[name] for name in sorted(each.names) if name in by_id), None)
        if known is None:
            yield f"{each}. Upgrade it, or say in audit.toml why not."
        elif today >= known["until"]:
            yield f"{each}. audit.toml ignored it until {known['until']}: upgrade it, or look at it again."


def main() -> int:
    """Ask, say, and answer with the exit code."""
    ignored = tomllib.loads(IGNORED.read_text())["ignored"]
    found: list[Found] = []
    try:
        known, skipped = python_packages([PROJECT_ROOT / name for name in REQUIREMENTS])
        found += known
        for name in skipped:
            print(f"Python: could not be audited: {name}")
    except NotAudited as reason:
        print(f"Python packages could not be audited: {reason}")
    for lock in LOCKS:
        try:
            found += javascript_packages(PROJECT_ROOT / lock)
        except NotAudited as reason:
            print(f"JavaScript packages of {lock} could not be audited: {reason}")
    wrong = list(judge(found, ignored, datetime.now(UTC).date()))
    for line in wrong:
        print(line)
    return 1 if wrong else 0


def _run(
    command: Sequence[str], environment: Mapping[str, str], directory: Path = PROJECT_ROOT
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotAudited(f"no answer within {_SECONDS} seconds") from None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no answer"


def _npm_said(done: subprocess.CompletedProcess[str]) -> str:
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return _last_line(done.stderr)
    return said.get("message") or said.get("error", {}).get("summary") or _last_line(done.stderr)


if __name__ == "__main__":
    sys.exit(main())
