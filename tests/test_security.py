"""docs/security.md: what it says is proved, is."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.sigma import PROJECT_ROOT

TEXT = (PROJECT_ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
CHAPTERS = [
    "V1 Encoding and sanitization",
    "V2 Validation and business logic",
    "V3 Web frontend security",
    "V4 API and web service",
    "V5 File handling",
    "V6 Authentication",
    "V7 Session management",
    "V8 Authorization",
    "V9 Self-contained tokens",
    "V10 OAuth and OIDC",
    "V11 Cryptography",
    "V12 Secure communication",
    "V13 Configuration",
    "V14 Data protection",
    "V15 Secure coding and architecture",
    "V16 Security logging and error handling",
    "V17 WebRTC",
]


@pytest.fixture(scope="module")
def collected() -> set[tuple[str, str]]:
    """The file and the name of each test that pytest runs of the files that are named."""
    files = sorted({file for file, _ in NAMED})
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", *files]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout[-3000:]
    return {
        (line.partition("::")[0], re.split(r"[\[]", line)[0].rpartition("::")[2]) for line in done.stdout.splitlines()
    }


def test_every_test_that_it_names_runs(collected: set[tuple[str, str]]):
    assert len(NAMED) > 90
    assert [f"{file}::{name}" for file, name in NAMED if (file, name) not in collected] == []


def test_every_threat_has_a_defence_and_a_test():
    rows = [line for line in TEXT.splitlines() if re.match(r"\| (?!threat|asset|actor|---)", line)]
    threats = [row for row in rows if row.count("|") == 4 and "`tests/" in row]
    chapters = TEXT[TEXT.index("## V1 ") :]
    of_chapters = [line for line in chapters.splitlines() if re.match(r"\| (?!threat)", line)]
    assert threats == of_chapters
    for row in threats:
        assert all(cell.strip() for cell in row.strip("|").split("|")), row


def test_it_has_every_chapter_in_order():
    assert re.findall(r"^## (V\d+ .*)$", TEXT, re.MULTILINE) == CHAPTERS
