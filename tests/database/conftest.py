"""These tests run twice: on the embedded Postgres 18, and on Debian's 15, the oldest that Sigma supports."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

DEBIAN = Path("/usr/lib/postgresql/15/bin")


class Debian:
    """A throw-away cluster of Debian's Postgres 15 on a socket of its own."""

    version = 15

    def __init__(self) -> None:
        # Not under pytest's directory, which is 0700: as root, the server is somebody else.
        self.home = Path(tempfile.mkdtemp(prefix="sigma-pg15-"))
        self._who: dict = {"cwd": self.home}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.home, nobody.pw_uid, nobody.pw_gid)
            self._who |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        options = f"-c listen_addresses='' -k {self.home} -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "-o", options, "-l", str(self.home / "log"))

    def address(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self.home), safe='')}"

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate")
        shutil.rmtree(self.home)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(DEBIAN / program), "-D", str(self.home / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._who)


@pytest.fixture(scope="session", params=["18", "15"])
def version(request: pytest.FixtureRequest) -> str:
    """Which Postgres a test runs on."""
    if request.param == "15" and not DEBIAN.is_dir():
        pytest.skip(f"Debian's PostgreSQL 15 is not installed ({DEBIAN} is missing)")
    return request.param


@pytest.fixture(scope="session")
def start_server(version: str, embedded_server, start_embedded) -> Callable[[], AbstractContextManager]:
    """Starts a server of a test's own; for those that change what belongs to a whole cluster."""

    @contextmanager
    def start_debian() -> Iterator:
        debian = Debian()
        try:
            yield type(embedded_server)(Debian.version, debian.address)
        finally:
            debian.stop()

    return start_embedded if version == "18" else start_debian


@pytest.fixture(scope="session")
def server(version: str, embedded_server, start_server) -> Iterator:
    """The embedded Postgres, then Debian's."""
    if version == "18":
        yield embedded_server
    else:
        with start_server() as debian:
            yield debian


@pytest.fixture
def empty_url(server) -> Iterator[str]:
    """The owner's address of a database that was never migrated."""
    name = server.create()
    yield server.address(name)
    server.drop(name)


Try = Callable[..., int]


@pytest.fixture
def attempt(login_url: str) -> Iterator[Try]:
    """Runs a statement on the login's connection as somebody, in a transaction that is rolled back.

    Gives the number of rows that it read or wrote; Postgres' refusals are raised.
    """
    with psycopg.connect(login_url) as connection:

        def run(actor, statement: str, parameters=()) -> int:
            try:
                if actor is not None:
                    setting = "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)"
                    connection.execute(setting, (actor.role, actor.claims))
                return connection.execute(statement.encode(), parameters).rowcount
            finally:
                connection.rollback()

        yield run
