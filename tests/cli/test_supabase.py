"""The stand-in alone, `python -m sigma_app supabase`: what it promises as `run` does, and joining an app to it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from sigma_app.cli import supabase as command
from sigma_app.settings import SettingsError
from tests.cli.test_run import assert_one_line, join, postmaster, wait_until
from tests.cli.test_stopping import servers_of
from tests.conftest import Server, settings_for
from tests.sigma import PROJECT_ROOT, Sigma, Supabase


@pytest.fixture
def supabase(tmp_path: Path) -> Iterator[Supabase]:
    """A stand-in of the test's own, not started yet; taken away at the end."""
    supabase = Supabase(tmp_path / "data")
    yield supabase
    supabase.remove()


def status_of(address: str, **headers: str) -> int:
    try:
        with urlopen(Request(address, headers=headers), timeout=10) as answer:  # noqa: S310 - our own
            return answer.status
    except HTTPError as refused:
        return refused.code


def mails(supabase: Sigma) -> list[dict]:
    with urlopen(f"{supabase.base_url}/dev/mailbox.json", timeout=10) as answer:  # noqa: S310 - our own
        return json.load(answer)


def test_it_serves_its_three_services_behind_its_own_key_and_keeps_all_in_its_own_place(supabase: Supabase):
    supabase.start()
    key = supabase.assignments["SUPABASE_SERVICE_ROLE_KEY"]
    for path in ("/auth/v1/settings", "/rest/v1/leads", "/storage/v1/bucket"):
        assert status_of(supabase.base_url + path) == 401
        assert status_of(supabase.base_url + path, apikey=key) == 200
    assert (supabase.own_dir / "supabase.json").stat().st_mode & 0o777 == 0o600
    assert not (supabase.data_dir / "supabase.json").exists()
    assert status_of(supabase.base_url) == 404


def test_the_start_says_where_it_is_and_how_to_join_an_app_to_it(supabase: Supabase):
    supabase.variables = {"GOTRUE_SITE_URL": "https://sigma.example.com"}
    supabase.start()
    shown = supabase.log.read_text()
    assert f"Supabase's API is at http://localhost:{supabase.port}" in shown
    assert "for the app at https://sigma.example.com;" in shown
    assert command.joining(settings_for(supabase.own_dir, PORT=supabase.port)) in shown
    assert not any(secret in shown for name, secret in supabase.assignments.items() if name.endswith("_KEY"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory of a project whose `make run` only says what it is joined to."""
    project = tmp_path / "project"
    project.mkdir()
    for name in (".venv", "sigma_app", "alembic", "pyproject.toml"):
        (project / name).symlink_to(PROJECT_ROOT / name)
    (project / "Makefile").write_text("run:\n\t@echo joined to $$VITE_SUPABASE_URL $$DATABASE_URL\n")
    return project


def test_the_line_that_joins_an_app_names_an_interpreter_that_has_the_packages_and_the_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "executable", str(PROJECT_ROOT / ".venv/bin/python"))
    usual = command.joining(settings_for(tmp_path, PORT=54321))
    assert "$(.venv/bin/python -m sigma_app supabase --env)" in usual
    assert usual in (PROJECT_ROOT / "docs/supabase.md").read_text()
    assert usual in str(command.command.help)
    assert " supabase --port 4000 --env)" in command.joining(settings_for(tmp_path, PORT=4000))
    monkeypatch.setattr(sys, "executable", "/opt/my python/bin/python")
    assert "$('/opt/my python/bin/python' -m" in command.joining(settings_for(tmp_path))


def test_the_line_that_joins_an_app_starts_none_where_nothing_joins_it(supabase: Supabase, project: Path):
    line = command.joining(settings_for(supabase.own_dir, PORT=4000))
    shell = ["sh", "-c", line]
    environment = {name: value for name, value in supabase.environment.items() if name != "PORT"}
    done = subprocess.run(shell, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("joined to http://localhost:4000 postgresql://")
    environment["GOTRUE_JWT_EXP"] = "1"
    done = subprocess.run(shell, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("GOTRUE_JWT_EXP: ")


def test_what_it_prints_joins_an_app_to_it_by_environment_alone(supabase: Supabase, tmp_path: Path):
    supabase.start()
    assert set(supabase.assignments) == {
        *("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "DATABASE_URL")
    }
    app = Sigma(tmp_path / "app", variables=dict(supabase.assignments)).start()
    try:
        shown = app.log.read_text()
        assert any(line.split()[:2] == ["auth", "hosted"] for line in shown.splitlines())
        assert join(app, "alice@example.com") == 200
        assert len(supabase.leads("alice@example.com")) == 1
        assert status_of(f"{app.base_url}/auth/v1/settings") == 404
        assert app.assignments["VITE_SUPABASE_URL"] == f"http://localhost:{supabase.port}"
        wait_until(lambda: [mail["to"] for mail in mails(supabase)] == ["alice@example.com"])
        assert f"http://localhost:{app.port}/" in mails(supabase)[0]["text"]  # the app's own job, with its own links
    finally:
        app.remove()


def test_the_assignments_are_what_a_shell_can_take(supabase: Supabase):
    script = 'eval "$("$0" -m sigma_app supabase --env)" && printf "%s\\n" "$VITE_SUPABASE_URL" "$DATABASE_URL"'
    shell = ["sh", "-c", script, sys.executable]
    done = subprocess.run(shell, cwd=PROJECT_ROOT, env=supabase.environment, capture_output=True, text=True, check=True)
    address, database = done.stdout.splitlines()
    assert address == f"http://localhost:{supabase.port}"
    assert database.startswith("postgresql://")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_its_postgres(supabase: Supabase, how: signal.Signals):
    supabase.start()
    database = postmaster(supabase)
    assert supabase.stop(how) == 0
    wait_until(lambda: not database.is_running())
    assert "Traceback" not in supabase.log.read_text()
    assert supabase.log.read_text().endswith("  Stopped.\n")


@pytest.mark.parametrize("moment", ["starting Postgres", "migrated: 0001", "Ctrl-C"])
def test_two_quick_signals_during_a_cold_start_leave_no_postgres_behind(supabase: Supabase, moment: str):
    process = supabase.launch()
    wait_until(lambda: moment in supabase.log.read_text())
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (0, 128 + signal.SIGINT)
    assert servers_of(Sigma(supabase.own_dir)) == []
    assert "Traceback" not in supabase.log.read_text()


def test_a_taken_port_is_one_line_that_names_it_and_the_way_out(supabase: Supabase):
    with socket.create_server(("127.0.0.1", supabase.port)):
        done = supabase.run("supabase")
    assert_one_line(done, "PORT", str(supabase.port), f"supabase --port {supabase.port + 1}")


def test_a_second_start_adopts_what_is_there_and_keeps_the_keys(supabase: Supabase):
    supabase.start()
    before = supabase.assignments
    postmaster(supabase).send_signal(signal.SIGKILL)
    supabase.stop()
    again = Supabase(supabase.data_dir, port=supabase.port).start()
    assert again.assignments == before
    other = Supabase(supabase.data_dir).start()
    assert again.stop() == 0
    assert status_of(other.base_url) == 404
    assert other.stop() == 0


def test_another_supabase_in_the_environment_is_ignored(supabase: Supabase):
    supabase.variables = {"VITE_SUPABASE_URL": "https://x.supabase.co", "SUPABASE_ANON_KEY": "theirs"}
    assert supabase.assignments["VITE_SUPABASE_URL"] == f"http://localhost:{supabase.port}"
    assert supabase.assignments["VITE_SUPABASE_ANON_KEY"] != "theirs"


def test_its_database_may_be_one_of_somebody_elses(supabase: Supabase, server: Server):
    name = server.create()
    supabase.variables = {"DATABASE_URL": server.address(name)}
    supabase.start()
    assert supabase.assignments["DATABASE_URL"] == server.address(name)
    assert supabase.stop() == 0
    server.drop(name)


def test_in_production_it_has_to_be_allowed_and_shows_no_mailbox(supabase: Supabase):
    supabase.variables = {"SIGMA_ENV": "production", "BASE_URL": supabase.base_url}
    done = supabase.run("supabase")
    assert done.returncode == 2
    assert "auth" in done.stderr
    supabase.variables |= {"SIGMA_ALLOW_LOCAL": "database,auth,payments,mail"}
    supabase.start()
    assert status_of(f"{supabase.base_url}/dev/mailbox") == 404
    assert supabase.assignments["VITE_SUPABASE_URL"] == supabase.base_url


def test_its_port_is_the_option_then_the_variable_then_the_one_of_supabases_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setitem(command.Settings.model_config, "env_file", None)
    assert command.own_settings().port == 54321
    monkeypatch.setenv("PORT", "4000")
    assert command.own_settings().port == 4000
    assert command.own_settings(5000).base_url == "http://localhost:5000"


def test_the_app_is_at_its_usual_address_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(command.Settings.model_config, "env_file", None)
    monkeypatch.setenv("SIGMA_DATA_DIR", str(tmp_path))
    assert str(command.own_settings().auth_site_url) == "http://localhost:3000/"
    assert command.own_settings().data_dir == tmp_path / "supabase"
    monkeypatch.setenv("GOTRUE_SITE_URL", "https://sigma.example.com")
    assert str(command.own_settings().auth_site_url) == "https://sigma.example.com/"
    monkeypatch.setenv("GOTRUE_JWT_EXP", "1")
    with pytest.raises(SettingsError, match="GOTRUE_JWT_EXP"):
        command.own_settings()
