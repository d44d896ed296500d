"""On a server of somebody else: a Supabase project, whose owner is no superuser; logins with passwords."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sigma_app.core import login
from sigma_app.core.connecting import DatabaseRefused, is_pooler
from sigma_app.core.database import ANONYMOUS, Database, Step
from sigma_app.core.login import login_url
from sigma_app.core.migrations import MigrationError, current, downgrade, migrate
from sigma_app.settings import PROJECT_ROOT
from tests.cli.test_run import wait_until
from tests.sigma import Sigma

PASSWORD = "hun@ter/2?#:%"  # the owner's, as tests/database/conftest.py sets it


def theirs(hosted) -> list[tuple]:
    """What Supabase laid, with its owners and grants."""
    with psycopg.connect(hosted.address("project")) as connection:
        return connection.execute(
            """
            select 'schema', nspname::text, nspowner::regrole::text, nspacl::text
              from pg_namespace where nspname = 'auth'
            union all select 'table', relname::text, relowner::regrole::text, relacl::text
              from pg_class where relnamespace = 'auth'::regnamespace
            union all select 'function', proname::text, proowner::regrole::text, prosrc
              from pg_proc where pronamespace = 'auth'::regnamespace
            union all select 'role', rolname::text, rolpassword,
                concat_ws(' ', rolsuper, rolinherit, rolcanlogin, rolbypassrls)
              from pg_authid where rolname in ('anon', 'authenticated', 'service_role', 'authenticator')
            union all select 'setting', setrole::regrole::text, setconfig::text, '' from pg_db_role_setting
              where setrole in ('anon'::regrole, 'authenticator'::regrole)
            order by 1, 2
            """
        ).fetchall()


def test_migrates_without_a_superuser_and_leaves_alone_what_is_there(hosted, url):
    before = theirs(hosted)
    migrate(url)
    assert theirs(hosted) == before
    downgrade(url, "base")
    assert theirs(hosted) == before
    migrate(url)


def test_what_supabase_gives_away_by_default_is_taken_back(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project")) as connection:
        rows = connection.execute(
            """
            select relname, role from pg_class, unnest(array['anon', 'authenticated']) as role
            where relnamespace = 'public'::regnamespace and relkind = 'r'
              and has_table_privilege(role, pg_class.oid, 'truncate, trigger, references')
            union all
            select proname, role from pg_proc, unnest(array['anon', 'authenticated']) as role
            where pronamespace = 'public'::regnamespace and proname not in ('founder_count', 'has_access')
              and has_function_privilege(role, pg_proc.oid, 'execute')
            """
        ).fetchall()
    assert rows == []


def test_registering_through_their_service_makes_a_profile(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project"), autocommit=True) as connection:
        connection.execute("set role supabase_auth_admin")  # who has no right to anything in public
        connection.execute("insert into auth.users values (gen_random_uuid(), 'alice@example.com')")
        connection.execute("reset role")
        assert connection.execute("select email from profiles").fetchall() == [("alice@example.com",)]
        connection.execute("delete from auth.users")


def test_nobody_who_left_the_project_is_brought_back(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project"), autocommit=True) as connection:
        connection.execute("set role service_role")
        connection.execute("select sigma.note_user(gen_random_uuid(), 'gone@example.com')")
        connection.execute("reset role")
        assert connection.execute("select from auth.users").fetchall() == []


@pytest.mark.anyio
async def test_requests_log_in_with_a_role_of_our_own_that_owns_nothing(hosted, url):
    migrate(url)
    found = login_url(url)
    assert conninfo_to_dict(found)["user"] == "sigma_login"
    assert PASSWORD not in found
    async with Database(found, pool_size=1) as database:
        await database.run(Step(ANONYMOUS, "insert into leads (email) values ('a@example.com') on conflict do nothing"))
    with psycopg.connect(found) as connection:
        assert connection.execute("show timezone").fetchone() == ("UTC",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from leads")


def test_any_number_of_backends_agree_on_its_password_and_nobody_sets_it_twice(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project"), autocommit=True) as connection:
        connection.execute("alter role sigma_login password null")
        verifier = "select rolpassword from pg_authid where rolname = 'sigma_login'"
        first = login_url(url)
        set_once = connection.execute(verifier).fetchone()
        assert login_url(url) == first
        assert connection.execute(verifier).fetchone() == set_once
        assert (set_once or ("",))[0].startswith("SCRAM-SHA-256$")


def test_two_backends_that_set_it_at_once_both_come_up(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project"), autocommit=True) as connection:
        connection.execute("alter role sigma_login password null")
    program = "import sys; from sigma_app.core.login import login_url; print(login_url(sys.argv[1]))"
    both = [
        subprocess.Popen([sys.executable, "-c", program, url], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert len({process.communicate(timeout=60)[0] for process in both}) == 1
    assert [process.returncode for process in both] == [0, 0, 0]


def test_a_login_of_ones_own_is_used_as_it_is_and_checked(url, hosted):
    with pytest.raises(DatabaseRefused) as refused:
        login_url(url, given=url.replace("owner:", "authenticator:"))
    assert str(refused.value).startswith("DATABASE_LOGIN_URL: ")
    assert login_url(url, given=url) == url


@pytest.mark.parametrize(
    "given",
    ["postgresql://me:secret@127.0.0.1:1/sigma", "postgresql://me:sec@ret@localhost/sigma"],
    ids=["away", "torn"],
)
def test_a_login_that_does_not_work_is_one_line_that_names_its_own_variable(url, given):
    with pytest.raises(DatabaseRefused) as refused:
        login_url(url, given=given)
    line = str(refused.value)
    assert line.startswith("DATABASE_LOGIN_URL: ")
    assert "DATABASE_URL" not in line.replace("DATABASE_LOGIN_URL", "")
    assert "\n" not in line
    assert "ret" not in line


def test_an_owner_who_may_not_set_the_logins_password_is_told_so(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project"), autocommit=True) as connection:
        connection.execute("alter role sigma_login password null")
        connection.execute("create role another login bypassrls password 'x'")
        try:
            with pytest.raises(MigrationError, match="DATABASE_LOGIN_URL") as refused:
                login_url(url.replace("owner:", "another:").replace(quote(PASSWORD, safe=""), "x"))
        finally:
            connection.execute("drop role another")
    assert "\n" not in str(refused.value)


def test_a_user_without_rights_on_sigmas_schema_is_one_line(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project"), autocommit=True) as connection:
        connection.execute("create role another login password 'x'")
        try:
            for attempt in (current, migrate):
                with pytest.raises(MigrationError, match="permission denied for schema sigma") as refused:
                    attempt(url.replace("owner:", "another:").replace(quote(PASSWORD, safe=""), "x"))
                assert "DATABASE_URL" in str(refused.value)
                assert "\n" not in str(refused.value)
        finally:
            connection.execute("drop role another")


def test_a_wrong_password_is_one_line_without_it(url):
    with pytest.raises(DatabaseRefused) as refused:
        migrate(url.replace("hun", "hum"))
    assert "password authentication failed" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "ter" not in str(refused.value).replace("character", "").replace("after", "")


def test_before_the_first_migration_the_login_says_so(hosted):
    with pytest.raises(MigrationError, match="migrate"):
        _ = login._role(_NoRoles())  # pyright: ignore[reportArgumentType]


class _NoRoles:
    """An owner's connection to a server without any of our roles."""

    def execute(self, *_):
        return self

    def fetchone(self):
        return None


@pytest.mark.parametrize(
    ("owners", "expected_user", "pooled"),
    [
        ("postgresql://postgres:x@db.abc.supabase.co:5432/postgres", "sigma_login", False),
        ("postgresql://postgres.abc:x@aws-0-eu.pooler.supabase.com:6543/postgres", "sigma_login.abc", True),
        (
            "postgresql://db.example.com/postgres?user=postgres&password=x&sslmode=require",
            "sigma_login",
            False,
        ),
    ],
)
def test_the_logins_address_differs_from_the_owners_in_name_and_password_only(owners, expected_user, pooled):
    derived = login._derive(owners, "sigma_login")
    before, after = conninfo_to_dict(owners), conninfo_to_dict(derived)
    assert after.pop("user") == expected_user
    assert len(str(after.pop("password"))) == 64
    assert {k: v for k, v in before.items() if k not in ("user", "password")} == after
    assert is_pooler(derived) == pooled


def test_without_the_right_to_make_a_role_it_says_who_must(start_server):
    with start_server() as server:
        server.run("create role poor login", "create database poor owner poor")
        url = server.address("poor").replace("postgres@", "poor@")
        with pytest.raises(MigrationError, match="create role anon nologin noinherit") as refused:
            migrate(url)
        assert "\n" not in str(refused.value)


def test_a_project_without_its_address_is_refused_at_the_start_and_with_it_is_not(url, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": url})
    done = sigma.run("worker")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("  ")]
    assert line.startswith("VITE_SUPABASE_URL: ")
    assert "SUPABASE_SERVICE_ROLE_KEY" in line
    assert sigma.run("migrate").returncode == 0
    sigma.variables |= {
        "VITE_SUPABASE_URL": "https://x.supabase.co",
        "VITE_SUPABASE_ANON_KEY": "anon",
        "SUPABASE_SERVICE_ROLE_KEY": "service",
    }
    sigma.launch("worker")
    wait_until(lambda: "Working." in sigma.log.read_text())
    assert sigma.stop() == 0
