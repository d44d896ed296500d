"""The audit of dependencies: the real pip-audit and the real npm, asking servers of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests import audit
from tests.audit import Found, NotAudited, judge
from tests.sigma import free_port

KNOWN = Found("left-pad 1.0", frozenset({"GHSA-1", "CVE-1"}), "pads too far")
TODAY = date(2026, 6, 1)

Answer = Callable[[str, bytes], tuple[int, object]]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Serves answers to POSTs, given their path and body; the address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, said = answer(self.path, body)
                sent = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def requirements(tmp_path: Path) -> list[Path]:
    path = tmp_path / "requirements.txt"
    path.write_text("left-pad==1.0\nright-pad==2.0\n")
    return [path]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    dependencies = {"left-pad": "1.0.0"}
    packages = {"": {"name": "a", "dependencies": dependencies}, "node_modules/left-pad": {"version": "1.0.0"}}
    (tmp_path / "package.json").write_text(json.dumps({"name": "a", "dependencies": dependencies}))
    (tmp_path / "package-lock.json").write_text(json.dumps({"name": "a", "lockfileVersion": 3, "packages": packages}))
    return tmp_path


def osv(path: str, body: bytes) -> tuple[int, object]:
    if json.loads(body)["package"]["name"] != "left-pad":
        return 200, {}
    affected = [{"package": {"name": "left-pad", "ecosystem": "PyPI"}, "ranges": []}]
    return 200, {"vulns": [{"id": "GHSA-1", "aliases": ["CVE-1"], "summary": "pads too far", "affected": affected}]}


def npms(path: str, body: bytes) -> tuple[int, object]:
    advisory = {
        "id": 1,
        "url": "https://example.com/advisories/GHSA-1",
        "title": "pads too far",
        "severity": "high",
        "vulnerable_versions": "<2.0.0",
    }
    return 200, {"left-pad": [advisory]} if "bulk" in path else {}


def refusing(path: str, body: bytes) -> tuple[int, object]:
    return 405, {"error": "Not here."}


def test_a_vulnerable_python_package_is_found(serve: Callable[[Answer], str], requirements: list[Path]):
    found, skipped = audit.python_packages(requirements, serve(osv))
    assert (found, skipped) == ([KNOWN], [])


def test_a_vulnerable_javascript_package_is_found(serve: Callable[[Answer], str], lock: Path):
    (found,) = audit.javascript_packages(lock, {"npm_config_registry": serve(npms)})
    assert (found.package, found.names, found.about) == ("left-pad", {"GHSA-1"}, "pads too far")


@pytest.mark.parametrize("answers", [refusing, None])
def test_who_does_not_say_is_not_taken_for_who_knows_of_nothing(
    serve: Callable[[Answer], str], requirements: list[Path], lock: Path, answers: Answer | None
):
    address = serve(answers) if answers else f"http://127.0.0.1:{free_port()}"
    with pytest.raises(NotAudited):
        audit.python_packages(requirements, address)
    with pytest.raises(NotAudited):
        audit.javascript_packages(lock, {"npm_config_registry": address, "npm_config_fetch_retries": "0"})


@pytest.mark.parametrize(
    ("ignored", "words"),
    [
        ([], "Upgrade it, or say in audit.toml why not."),
        ([{"id": "GHSA-2", "reason": "Another.", "until": date(2027, 1, 1)}], "Upgrade it"),
        ([{"id": "CVE-1", "reason": "Not called.", "until": date(2026, 6, 1)}], "ignored it until 2026-06-01"),
        ([{"id": "CVE-1", "reason": "Not called.", "until": date(2026, 6, 2)}], ""),
        ([{"id": "GHSA-1", "reason": "Not called.", "until": date(2027, 1, 1)}], ""),
    ],
)
def test_a_vulnerability_counts_unless_it_is_ignored_and_for_as_long(ignored: list[dict], words: str):
    lines = list(judge([KNOWN], ignored, TODAY))
    assert len(lines) == (1 if words else 0)
    assert all(words in line and "left-pad 1.0" in line and "CVE-1" in line for line in lines)


def test_each_that_is_ignored_has_a_reason_and_a_day():
    import tomllib

    for each in tomllib.loads(audit.IGNORED.read_text())["ignored"]:
        assert set(each) == {"id", "reason", "until"}
        assert len(each["reason"]) > 20
        assert isinstance(each["until"], date)


@pytest.mark.parametrize(("vulnerable", "code"), [(True, 1), (False, 0)])
def test_the_step_of_lint_fails_on_what_is_known_and_not_for_lack_of_a_network(
    vulnerable: bool, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def away(*_: object) -> list[Found]:
        raise NotAudited("no network")

    monkeypatch.setattr(audit, "python_packages", lambda _: ([KNOWN], ["right-pad"]) if vulnerable else away())
    monkeypatch.setattr(audit, "javascript_packages", away)
    assert audit.main() == code
    said = capsys.readouterr().out
    assert "JavaScript packages of reflex.lock could not be audited: no network" in said
    assert ("left-pad 1.0: CVE-1, GHSA-1: pads too far." in said) == vulnerable
    assert ("Python: could not be audited: right-pad" in said) == vulnerable
