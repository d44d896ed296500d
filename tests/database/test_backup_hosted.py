"""Backups of a Postgres elsewhere: 15 and 18, a superuser's and not; restored into the same and into a newer one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sigma_app.core.login import login_url
from tests.backups import manifest_of, rows
from tests.cli.test_run import assert_one_line
from tests.conftest import Server
from tests.moving import PASSWORD, standing_in
from tests.sigma import Sigma

pytestmark = pytest.mark.anyio


@pytest.fixture
def poor(start_server) -> Iterator[str]:
    """The address of an empty database on a new server of the same version, whose owner is no superuser."""
    with start_server() as server:
        server.run("create role boss login createrole createdb bypassrls", "create database empty owner boss")
        if server.version < 16:  # where that takes a superuser, as the message of the migration says
            server.run("create role service_role nologin noinherit bypassrls")
        host = quote(str(conninfo_to_dict(server.address("empty"))["host"]), safe="")
        yield f"postgresql://boss@/empty?host={host}"


async def test_it_says_of_which_postgres_it_is_and_can_be_restored_here(source, backup, version):
    assert manifest_of(backup)["versions"]["postgres"].startswith(f"{version}.")
    done = source.sigma.run("backup", "verify", str(backup))  # by the wheel's, which is 18
    assert done.returncode == 0, done.stderr


async def test_it_goes_to_a_new_server_whose_owner_is_no_superuser_and_people_sign_in(
    source, backup, poor, version, tmp_path
):
    target = Sigma(tmp_path / "target", variables={"DATABASE_URL": poor})
    done = target.run("restore", str(backup))
    assert done.returncode == 0, done.stderr
    for table in ("auth.users", "public.leads", "sigma.consents", "procrastinate.procrastinate_jobs"):
        assert rows(poor, table) == rows(source.url, table)
    with psycopg.connect(poor) as owner:
        assert owner.execute("select tableowner from pg_tables where tablename = 'leads'").fetchone() == ("boss",)
        roles = "select rolname::text, rolcanlogin, rolbypassrls from pg_roles where rolname ~ '^(a|s)' order by 1"
        assert owner.execute(roles).fetchall() == [
            ("anon", False, False),
            ("authenticated", False, False),
            ("authenticator", True, False),
            ("service_role", False, True),
            ("sigma_operator", False, False),
            ("supabase_auth_admin", False, False),
        ]
    async with standing_in(login_url(poor), target.data_dir) as client:
        body = {"email": "alice@example.com", "password": PASSWORD}
        answer = await client.post("/auth/v1/token?grant_type=password", json=body)
        assert answer.status_code == 200, answer.text
    again = target.run("backup", "--to", str(tmp_path / "again"))  # and that owner may back it up
    assert again.returncode == 0, again.stderr
    (path,) = (tmp_path / "again").iterdir()
    tables, before = manifest_of(path)["tables"], manifest_of(backup)["tables"]
    for table in ("public.leads", "sigma.consents", "storage.objects"):
        assert tables[table] == before[table]


async def test_a_user_who_may_not_read_everything_is_told(source, tmp_path, server):
    server.run("drop role if exists stranger", "create role stranger login")
    try:
        sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": source.url.replace("postgres@", "stranger@")})
        assert_one_line(sigma.run("backup", "--to", str(tmp_path / "made")), "permission denied")
        assert not list(tmp_path.glob("made/*"))
    finally:
        server.run("drop role stranger")


class TestProject:
    """A Supabase project, whose owner may dump and fill what is Sigma's, and the rows of its users."""

    @pytest.fixture
    def filled(self, hosted: Server, project: str) -> str:
        """A project with people in it, a column that Supabase has added, and a table of its owner's own."""
        name = str(conninfo_to_dict(project)["dbname"])
        with psycopg.connect(hosted.address(name), autocommit=True) as connection:
            connection.execute("alter table auth.users add column brand_new boolean default true")
            connection.execute("create type auth.factor as enum ('one')")
            connection.execute("alter table auth.identities add column factor auth.factor default 'one'")
            connection.execute(
                "insert into auth.users (id, email, encrypted_password)"
                " select gen_random_uuid(), n || '@example.com', 'hash' from generate_series(1, 5) as n"
            )
            connection.execute(
                "insert into auth.identities (id, provider_id, user_id, provider, identity_data)"
                " select gen_random_uuid(), id, id, 'email', jsonb_build_object('sub', id) from auth.users"
            )
        with psycopg.connect(project, autocommit=True) as owner:
            owner.execute("insert into leads (email) select n || '@example.org' from generate_series(1, 7) as n")
            owner.execute("select sigma.confirm(id, 5) from leads")
            owner.execute("create table notes (id bigserial primary key, words text)")
            owner.execute("insert into notes (words) values ('mine')")
        return project

    def test_it_is_backed_up_verified_here_and_restored_into_another(
        self, hosted: Server, owners_url, fresh: str, filled: str, tmp_path: Path
    ):
        source = Sigma(tmp_path / "source", variables={"DATABASE_URL": filled})
        made = source.run("backup", "--to", str(tmp_path / "made"))
        assert made.returncode == 0, made.stderr
        assert "Stored files are Supabase's" in made.stderr
        (path,) = (tmp_path / "made").iterdir()
        said = manifest_of(path)
        assert said["kind"] == "project"
        assert said["tables"]["auth.users"]["rows"] == 5
        assert not [name for name in said["tables"] if name.startswith("storage.")]
        verified = source.run("backup", "verify", str(path))
        assert verified.returncode == 0, verified.stderr
        name = hosted.create(fresh)
        hosted.run(f"alter database {name} owner to owner")
        with psycopg.connect(hosted.address(name), autocommit=True) as connection:  # as Supabase has it by now
            connection.execute("alter table auth.users add column brand_new boolean default true")
            connection.execute("create type auth.factor as enum ('one')")
            connection.execute("alter table auth.identities add column factor auth.factor default 'one'")
        target = Sigma(tmp_path / "target", variables={"DATABASE_URL": owners_url(name)})
        done = target.run("restore", str(path))
        assert done.returncode == 0, done.stderr
        for table in ("auth.users", "auth.identities", "public.profiles", "public.leads", "sigma.line_blocks"):
            assert rows(owners_url(name), table) == rows(filled, table), table
        assert_one_line(target.run("restore", str(path)), "holds rows already")
        with psycopg.connect(hosted.address(name), autocommit=True) as connection:  # and its triggers are in place
            connection.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'new@example.com')")
            found = connection.execute("select from profiles where email = 'new@example.com'")
            assert found.fetchall() == [()]
        hosted.drop(name)
