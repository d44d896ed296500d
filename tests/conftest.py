"""Databases for tests: one cluster for the whole run, one fresh and migrated database for each test that
asks.

Ask for `database` (an open `core.database.Database`), `owner` (a psycopg connection that may do everything),
`owner_url` or `login_url`. People are called Alice (who owns things), Bob (another user) and Charlie (who has
no account).
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from sigma_app.core import jobs, login, migrations
from sigma_app.core.database import Actor, Database, user_actor
from sigma_app.embedded import postgres
from sigma_app.settings import Settings
from tests.database import leftovers

TEMPLATE = "migrated"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--faults=long` is what `make test-faults` runs; `make test` has the short form of each."""
    parser.addoption("--faults", choices=["short", "long"], default="short", help="how long each fault lasts")


@dataclass
class Server:
    """A running Postgres, and the addresses of its databases for a superuser."""

    version: int
    address: Callable[[str], str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def run(self, *statements: str) -> None:
        """Each statement in a transaction of its own, as a superuser."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def create(self, template: str = "template1") -> str:
        """A new database's name."""
        name = f"test_{next(self._numbers)}"
        self.run(f"create database {name} template {template}")
        return name

    def drop(self, name: str) -> None:
        self.run(f"drop database {name} with (force)")


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    id: UUID
    email: str

    @property
    def actor(self) -> Actor:
        return user_actor(self.id, self.email)


def settings_for(data_dir: Path, **variables) -> Settings:
    """The settings of a checkout with this data directory and no other variables than these."""
    return Settings(_env_file=None, SIGMA_DATA_DIR=data_dir, **variables)  # pyright: ignore[reportCallIssue]


def remove(cluster: postgres.Cluster) -> None:
    """Stop a cluster and take its files away, also those that root keeps outside of the data directory."""
    cluster.stop()
    if os.geteuid() == 0:
        shutil.rmtree(cluster.layout.home, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def no_leftovers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Before anything starts: take away what interrupted sessions left running, and mark what is ours."""
    base = tmp_path_factory.getbasetemp()
    leftovers.sweep(base)
    leftovers.mark(base)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_jobs_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in this process run what a test queued, and not what is due at this minute, hour or night."""
    monkeypatch.setattr(jobs.queue, "periodic_defaults", {"max_delay": -1})  # every tick is too long ago


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Python's clock, which stands still at the start of an hour, unless it is turned forward by some seconds."""
    now = [1_800_000_000.0]

    def turn(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "time", lambda: now[0])
    return turn


@pytest.fixture(scope="session")
def start_embedded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], AbstractContextManager[Server]]:
    """Starts an embedded cluster of a test's own, and takes it away."""

    @contextmanager
    def start() -> Iterator[Server]:
        cluster = postgres.start(settings_for(tmp_path_factory.mktemp("sigma")))
        server = Server(18, cluster.owner_url)
        try:
            # Nothing here outlives the run, and waiting for the disk is most of what a test's database costs.
            server.run("alter system set fsync = off", "select pg_reload_conf()")
            yield server
        finally:
            remove(cluster)

    return start


@pytest.fixture(scope="session")
def embedded_server(start_embedded: Callable[[], AbstractContextManager[Server]]) -> Iterator[Server]:
    with start_embedded() as started:
        yield started


@pytest.fixture(scope="session")
def server(embedded_server: Server) -> Server:
    """The server that tests run on; those in tests/database run on an older one as well."""
    return embedded_server


def lay_template(server: Server) -> str:
    """A migrated database to copy, made once on each server."""
    with psycopg.connect(server.address("postgres")) as connection:
        known = connection.execute("select from pg_database where datname = %s", [TEMPLATE]).fetchone()
    if known is None:
        server.run(f"create database {TEMPLATE}")
    migrations.migrate(server.address(TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """A migrated database, to copy."""
    return lay_template(server)


@pytest.fixture
def owner_url(server: Server, template: str) -> Iterator[str]:
    """The owner's address of a fresh, migrated database."""
    name = server.create(template)
    yield server.address(name)
    server.drop(name)


@pytest.fixture
def owner(owner_url: str) -> Iterator[psycopg.Connection]:
    """A connection, in autocommit, that may do everything: to lay out what a test needs and to look at the
    result."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def login_url(owner_url: str) -> str:
    """The address that requests connect with."""
    return login.login_url(owner_url)


@pytest.fixture
async def database(login_url: str) -> AsyncIterator[Database]:
    """What requests use, open."""
    async with Database(login_url, pool_size=4) as opened:
        yield opened


@pytest.fixture
def sign_up(owner: psycopg.Connection) -> Callable[[str], Person]:
    """Registers somebody, as Supabase Auth does: the address is verified later, or never."""

    def register(name: str) -> Person:
        person = Person(uuid4(), f"{name}@example.com")
        owner.execute("insert into auth.users (id, email) values (%s, %s)", [person.id, person.email])
        return person

    return register


@pytest.fixture
def alice(sign_up: Callable[[str], Person]) -> Person:
    return sign_up("alice")


@pytest.fixture
def bob(sign_up: Callable[[str], Person]) -> Person:
    return sign_up("bob")
