"""`python -m sigma_app psql`: whose rights, whose Ctrl-C, and what it never does to a hosted database."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import psycopg

from sigma_app.core.migrations import VERSION_SCHEMA
from tests.cli.test_run import wait_until
from tests.conftest import Server
from tests.sigma import PROJECT_ROOT, Sigma

SLEEP = "select pg_sleep(300)"


def test_psql_runs_as_the_owner_and_passes_its_exit_code_on(sigma: Sigma):
    sigma.lay()
    done = sigma.run("psql", "--", "-tAc", "select count(*) from leads")
    assert (done.returncode, done.stdout.strip()) == (0, "0")
    assert sigma.run("psql", "--", "-v", "ON_ERROR_STOP=1", "-c", "select 1/0").returncode == 1


def test_psql_never_migrates_a_hosted_database(sigma: Sigma, server: Server):
    name = server.create()
    sigma.variables = {"DATABASE_URL": server.address(name)}
    done = sigma.run("psql", "--", "-tAc", f"select to_regnamespace('{VERSION_SCHEMA}') is null")
    server.drop(name)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "t", "")


def test_ctrl_c_cancels_the_query_and_leaves_psql_running(sigma: Sigma, server: Server):
    name = server.create()
    sigma.variables = {"DATABASE_URL": server.address(name)}
    terminal, inside = pty.openpty()
    process = open_psql(sigma, "-tAX", "-P", "pager=off", terminal=inside)
    os.close(inside)
    os.write(terminal, f"{SLEEP};\n".encode())
    wait_until(lambda: sleeping(server.address(name)))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to psql and to us
    os.write(terminal, b"select 'still ' || 'here';\n\\q\n")
    said = b""
    with suppress(OSError):  # how Linux says that nobody has the other end any more
        while more := os.read(terminal, 4096):
            said += more
    os.close(terminal)
    assert process.wait(timeout=30) == 0
    server.drop(name)
    assert b"canceling statement" in said
    assert b"still here" in said


def test_the_password_of_a_hosted_database_is_on_no_command_line(sigma: Sigma, server: Server):
    name = server.create()
    url = server.address(name).replace("postgres@", "postgres:s3cret%20word@")
    sigma.variables = {"DATABASE_URL": url}
    process = open_psql(sigma, "-c", SLEEP)
    wait_until(lambda: sleeping(server.address(name)))
    (child,) = psutil.Process(process.pid).children()
    commands, environment = [*child.cmdline(), *psutil.Process(process.pid).cmdline()], child.environ()
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=30)
    server.drop(name)
    assert not any("s3cret" in word for word in commands)
    assert environment["PGPASSWORD"] == "s3cret word"


def open_psql(sigma: Sigma, *arguments: str, terminal: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """psql in a process group of its own, as a terminal gives it."""
    return subprocess.Popen(
        [sys.executable, "-m", "sigma_app", "psql", "--", *arguments],
        cwd=PROJECT_ROOT,
        env=sigma.environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )


def sleeping(url: str) -> bool:
    """Whether the long query runs by now."""
    with psycopg.connect(url) as connection:
        asked = "select count(*) from pg_stat_activity where starts_with(query, %s)"
        row = connection.execute(asked, [SLEEP]).fetchone()
    return row == (1,)
