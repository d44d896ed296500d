"""Starting, stopping and being killed: what `python -m sigma_app run` promises to the person at the terminal."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import psutil
import pytest

from sigma_app.cli import serving
from tests.conftest import settings_for
from tests.sigma import PROJECT_ROOT, START_SECONDS, Sigma, clean_environment, free_port


def join(sigma: Sigma, email: str) -> int:
    """Join by the plain form and return the status of the last page; 200 means acknowledged."""
    form = urlencode({"email": email, "form": "hero"}).encode()
    with urlopen(Request(f"{sigma.base_url}/join", data=form), timeout=10) as answer:  # noqa: S310 - our own
        return answer.status


def postmaster(sigma: Sigma) -> psutil.Process:
    """The embedded Postgres of a running server."""
    with sigma.database() as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        parent = psutil.Process(row[0]).parent()
    assert parent is not None
    return parent


def wait_until(condition, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command ended with exit code 2 and one line that holds every one of `words`; indented lines are progress."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert all(word in lines[0] for word in words), lines[0]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_and_its_postgres(sigma: Sigma, how: signal.Signals):
    sigma.start()
    database = postmaster(sigma)
    assert sigma.stop(how) == 0
    wait_until(lambda: not database.is_running())
    assert "Traceback" not in sigma.log.read_text()


def test_the_start_shows_its_steps_and_says_where_everything_is(sigma: Sigma):
    sigma.start()
    shown = sigma.log.read_text()
    assert "Pages" in shown
    assert "Database" in shown
    assert f"http://localhost:{sigma.port}" in shown
    for part in ("database", "auth", "payments", "mail"):
        assert any(line.split()[:2] == [part, "local"] for line in shown.splitlines())


def test_listening_on_every_network_it_says_where_other_machines_find_it(sigma: Sigma):
    addresses = {
        address.address
        for name, interface in psutil.net_if_addrs().items()
        for address in interface
        if address.family == socket.AF_INET and name != "lo"
    }
    if not addresses:
        pytest.skip("this machine is on no network")
    sigma.variables = {"HOST": "0.0.0.0"}  # noqa: S104 - a wildcard is what is tested
    sigma.start()
    words = rf"Sigma is at http://localhost:{sigma.port}, .* http://(.+):{sigma.port}$"
    shown = re.search(words, sigma.log.read_text(), re.MULTILINE)
    assert shown is not None
    assert shown[1] in addresses
    with urlopen(f"http://{shown[1]}:{sigma.port}/", timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "variables",
    [{}, {"HOST": "localhost"}, {"HOST": "0.0.0.0", "BASE_URL": "https://sigma.example.com"}],  # noqa: S104
)
def test_it_names_no_other_address_where_there_is_none_or_a_public_one(tmp_path: Path, variables: dict):
    assert serving.address_in_the_network(settings_for(tmp_path, **variables)) is None


def test_without_a_network_it_names_no_other_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(serving.socket.socket, "connect", unreachable)
    assert serving.address_in_the_network(settings_for(tmp_path, HOST="0.0.0.0")) is None  # noqa: S104


def test_killing_the_server_loses_no_acknowledged_row(sigma: Sigma):
    sigma.start()
    addresses = [f"killed-{number}@example.com" for number in range(20)]
    for address in addresses:
        assert join(sigma, address) == 200
    sigma.stop(signal.SIGKILL)
    sigma.start()
    assert all(len(sigma.leads(address)) == 1 for address in addresses)


def test_killing_postgres_loses_no_acknowledged_row(sigma: Sigma):
    sigma.start()
    addresses = [f"crashed-{number}@example.com" for number in range(20)]
    for address in addresses:
        assert join(sigma, address) == 200
    postmaster(sigma).send_signal(signal.SIGKILL)
    sigma.stop()
    sigma.start()
    assert all(len(sigma.leads(address)) == 1 for address in addresses)


def test_two_servers_of_one_checkout_share_the_database_and_the_last_one_stops_it(sigma: Sigma):
    sigma.start()
    other = Sigma(sigma.data_dir).start()
    database = postmaster(sigma)
    assert sigma.stop() == 0
    assert join(other, "still-here@example.com") == 200
    assert database.is_running()
    assert other.stop() == 0
    wait_until(lambda: not database.is_running())


def test_a_taken_port_is_one_line_that_names_it_and_the_way_out(sigma: Sigma):
    with socket.create_server(("127.0.0.1", sigma.port)):
        done = sigma.run("run")
    assert_one_line(done, "PORT", str(sigma.port), f"PORT={sigma.port + 1}")


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"PORT": "abc"}, ["PORT"]),
        ({"PORT": "70000"}, ["PORT"]),
        ({"SIGMA_ENV": "staging"}, ["SIGMA_ENV"]),
        ({"DATABASE_URL": "mysql://x"}, ["DATABASE_URL"]),
        ({"JOIN_LIMIT_PER_NETWORK": "lots"}, ["JOIN_LIMIT_PER_NETWORK"]),
        ({"HOST": "no.such.host.invalid"}, ["HOST"]),
        ({"SIGMA_ALLOW_LOCAL": "everything"}, ["SIGMA_ALLOW_LOCAL"]),
        ({"VITE_SUPABASE_URL": "https://x.supabase.co"}, ["VITE_SUPABASE_ANON_KEY"]),
        ({"STRIPE_SECRET_KEY": "sk_test_1"}, ["STRIPE_WEBHOOK_SECRET"]),
    ],
)
def test_a_malformed_variable_is_one_line_that_names_it(sigma: Sigma, variables: dict, names: list[str]):
    sigma.variables = variables
    assert_one_line(sigma.run("run"), *names)


def test_every_malformed_variable_is_named_at_once(sigma: Sigma):
    sigma.variables = {"PORT": "abc", "SIGMA_ENV": "staging", "DATABASE_URL": "nonsense"}
    done = sigma.run("run")
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["SIGMA_ENV", "PORT", "DATABASE_URL"]


def test_an_unreachable_database_is_one_line_without_its_password(sigma: Sigma):
    sigma.variables = {"DATABASE_URL": f"postgresql://owner:s3cret@127.0.0.1:{free_port()}/sigma"}
    done = sigma.run("run")
    assert "s3cret" not in done.stderr + done.stdout
    assert_one_line(done, "DATABASE_URL", "127.0.0.1")


def test_a_malformed_address_with_a_password_does_not_show_it(sigma: Sigma):
    sigma.variables = {"DATABASE_URL": "postgres//owner:s3cret@host/sigma", "STRIPE_SECRET_KEY": "sk_live_s3cret"}
    done = sigma.run("run")
    assert done.returncode == 2
    assert "s3cret" not in done.stderr + done.stdout


def test_production_refuses_every_stand_in_by_name_and_starts_when_they_are_allowed(sigma: Sigma):
    sigma.variables = {"SIGMA_ENV": "production"}
    done = sigma.run("run")
    assert done.returncode == 2
    assert [word in done.stderr for word in ("database", "auth", "payments", "mail")] == [True] * 4
    sigma.variables |= {"SIGMA_ALLOW_LOCAL": "database, auth, payments, mail", "BASE_URL": sigma.base_url}
    sigma.start()


def test_a_full_disk_is_one_line_that_says_so(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("a disk of one's own to fill is mounted by root only")
    mounted = tmp_path / "small"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", mounted], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        filler = os.open(mounted / "filler", os.O_CREAT | os.O_WRONLY)
        with pytest.raises(OSError, match="space"):
            while True:
                os.write(filler, bytes(4096))
        os.close(filler)
        sigma = Sigma(mounted / "data")
        assert_one_line(sigma.run("run"), str(mounted), "o space left")
        sigma.remove()
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_status_prints_assignments_that_a_shell_can_take(sigma: Sigma):
    sigma.start()
    script = (
        'eval "$("$0" -m sigma_app status --env)" && echo "$BASE_URL" && psql_url=$DATABASE_URL && echo "$psql_url"'
    )
    shell = ["sh", "-c", script, sys.executable]
    done = subprocess.run(shell, cwd=PROJECT_ROOT, env=sigma.environment, capture_output=True, text=True, check=True)
    base_url, database_url = done.stdout.splitlines()
    assert base_url == f"http://localhost:{sigma.port}"
    assert database_url.startswith("postgresql://")


@pytest.mark.parametrize(
    "command", ["", "run", "supabase", "dev", "build", "migrate", "status", "export-supabase", "psql"]
)
def test_every_command_explains_itself(command: str):
    done = subprocess.run(
        [sys.executable, "-m", "sigma_app", *command.split(), "--help"],
        cwd=PROJECT_ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage:")


def test_requests_connect_as_a_role_that_owns_nothing(sigma: Sigma):
    sigma.start()
    assert join(sigma, "who-asks@example.com") == 200
    with sigma.database() as connection:
        users = connection.execute(
            "select distinct usename from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        ).fetchall()
        owned = connection.execute(
            "select count(*) from pg_class where relowner = (select oid from pg_roles where rolname = 'authenticator')"
        ).fetchone()
    assert users == [("authenticator",)]
    assert owned == (0,)
