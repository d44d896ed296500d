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
from psycopg.conninfo import conninfo_to_dict

from sigma_app.core.migrations import migrate
from sigma_app.settings import Settings
from tests.backups import backup, source
from tests.conftest import lay_template
from tests.database import leftovers
from tests.database.embedded import checkout

__all__ = ["backup", "source"]

DEBIAN = Path("/usr/lib/postgresql/15/bin")

PASSWORD = "hun@ter/2?#:%"
HOSTS = "local all postgres trust\nlocal all supabase_admin trust\nlocal all all scram-sha-256\n"

# What a project has before anybody has touched it, as far as it matters here (supabase/postgres, init
# scripts): the owner is no superuser, schema auth is somebody else's, and public tables are given away.
SUPABASE = """
    create role supabase_admin superuser login;
    create role supabase_auth_admin noinherit createrole login;
    create role owner login createrole createdb bypassrls password '{password}';
    create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
    create role authenticator login noinherit password 'theirs';
    grant anon, authenticated, service_role to authenticator;
    grant anon, authenticated, service_role to owner with admin option;
"""
PROJECT = """
    alter default privileges for role owner in schema public
      grant all on tables to anon, authenticated, service_role;
    alter default privileges for role owner in schema public
      grant all on functions to anon, authenticated, service_role;
    create schema auth authorization supabase_auth_admin;
    grant usage on schema auth to anon, authenticated, service_role, owner;
    set role supabase_auth_admin;
    create table auth.users (
      id uuid primary key, email varchar(255), email_confirmed_at timestamptz, raw_user_meta_data jsonb,
      raw_app_meta_data jsonb, created_at timestamptz, last_sign_in_at timestamptz, banned_until timestamptz
    );
    create function auth.uid() returns uuid language sql stable as
      $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
    grant all on auth.users to owner;
    reset role;
"""


# Makes of a database that Sigma laid one that Supabase laid: its own schemas alone, which are not the owner's.
AS_SUPABASES = """
    drop schema sigma, billing, procrastinate cascade;
    drop table public.leads, public.profiles cascade;
    drop function public.handle_new_user, public.update_updated_at, public.guard_billing_columns,
      public.stamp_consent, public.founder_count, public.has_access cascade;
    comment on schema auth is null;
    do $$
    declare
      command text;
    begin
      for command in
        select format('alter table %s owner to supabase_auth_admin', oid::regclass) from pg_class
          where relnamespace::regnamespace::text in ('auth', 'storage') and relkind = 'r'
        union all select format('grant all on %s to owner', oid::regclass) from pg_class
          where relnamespace::regnamespace::text in ('auth', 'storage') and relkind = 'r'
        union all select format('alter schema %s owner to supabase_auth_admin', nspname) from pg_namespace
          where nspname in ('auth', 'storage')
        union all select format('grant usage on schema %s to owner', nspname) from pg_namespace
          where nspname in ('auth', 'storage')
      loop
        execute command;
      end loop;
    end
    $$;
    grant set on parameter session_replication_role to owner;
"""


class Debian:
    """A throw-away cluster of Debian's Postgres 15 on a socket of its own."""

    version = 15

    def __init__(self) -> None:
        # Not under pytest's directory, which is 0700: as root, the server is somebody else.
        self.home = Path(tempfile.mkdtemp(prefix=leftovers.DEBIAN_PREFIX))
        leftovers.mark(self.home)
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


@pytest.fixture(scope="session")
def template(server) -> str:
    """As for the other tests; anew here, since one that is made for a server stays with it."""
    return lay_template(server)


@pytest.fixture
def empty_url(server) -> Iterator[str]:
    """The owner's address of a database that was never migrated."""
    name = server.create()
    yield server.address(name)
    server.drop(name)


@pytest.fixture(scope="module")
def hosted(start_server) -> Iterator:
    """A server of its own, since roles belong to a cluster: other tests must not see these."""
    with start_server() as server:
        server.run(SUPABASE.format(password=PASSWORD), "create database project owner owner")
        with psycopg.connect(server.address("project"), autocommit=True) as connection:
            connection.execute(PROJECT.encode())
            (path,) = connection.execute("show hba_file").fetchone() or ("",)
            (old,) = connection.execute("select pg_read_file(%s)", [path]).fetchone() or ("",)
            assert old
            connection.execute("create table rules (line text)")
            for line in HOSTS.splitlines():
                connection.execute("insert into rules values (%s)", [line])
            connection.execute(f"copy rules to '{path}'".encode())
            connection.execute("drop table rules")
            connection.execute("select pg_reload_conf()")
        yield server


@pytest.fixture(scope="module")
def owners_url(hosted) -> Callable[[str], str]:
    """What stands in DATABASE_URL for a database of that server: its owner is no superuser, the password awkward."""
    host = str(conninfo_to_dict(hosted.address("project"))["host"])
    return lambda name: f"postgresql://owner:{quote(PASSWORD, safe='')}@/{name}?host={quote(host, safe='')}"


@pytest.fixture
def url(owners_url) -> str:
    return owners_url("project")


@pytest.fixture
def lay_project(hosted, owners_url) -> Callable[[str], str]:
    """Makes another database of that server a project too, and gives its owner's address."""

    def lay(name: str) -> str:
        hosted.run(f"alter database {name} owner to owner")
        with psycopg.connect(hosted.address(name), autocommit=True) as connection:
            connection.execute(PROJECT.encode())
        return owners_url(name)

    return lay


@pytest.fixture(scope="module")
def fresh(hosted) -> str:
    """A database as a new project has it, to copy: all of schema auth and storage, nothing of Sigma's."""
    name = hosted.create()
    migrate(hosted.address(name))
    with psycopg.connect(hosted.address(name), autocommit=True) as connection:
        connection.execute(AS_SUPABASES.encode())
        connection.execute("alter schema public owner to owner")
    hosted.run(f"alter database {name} owner to owner")
    return name


@pytest.fixture(scope="module")
def migrated(hosted, owners_url, fresh: str) -> str:
    """A project that Sigma has migrated, to copy."""
    name = hosted.create(fresh)
    hosted.run(f"alter database {name} owner to owner")
    migrate(owners_url(name))
    return name


@pytest.fixture
def project(hosted, owners_url, migrated: str) -> Iterator[str]:
    """The owner's address of a hosted project that Sigma has migrated."""
    name = hosted.create(migrated)
    yield owners_url(name)
    hosted.drop(name)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """The settings of a checkout that was never started; its cluster is taken away afterwards."""
    yield from checkout(tmp_path / "checkout" / ".sigma")


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
