"""Moving to a hosted project: what `export-supabase` writes is loaded into a database laid out as Supabase's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from sigma_app.embedded.supabase.export import TABLES
from tests.moving import PASSWORD, Export, exported, standing_in
from tests.sigma import Sigma

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def export(server, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Export]:
    """One for all tests, which only read it."""
    async with exported(server, template, tmp_path_factory.mktemp("export")) as export:
        yield export


def load(url: str, export: Export, tmp_path: Path) -> CompletedProcess[str]:
    sigma = Sigma(tmp_path / "elsewhere", variables={"DATABASE_URL": url})
    return sigma.run("psql", "--", "-f", str(export.directory / "data.sql"))


def rows(url: str, table: str, *without: str) -> list[dict]:
    """A table's rows as JSON, in one order."""
    with psycopg.connect(url) as connection:
        found = connection.execute(f"select to_jsonb(t) from {table} as t".encode()).fetchall()
    kept = ({name: value for name, value in row.items() if name not in without} for (row,) in found)
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))


async def test_what_was_exported_is_there_afterwards_and_whoever_had_an_account_signs_in(export, project, tmp_path):
    assert export.said.returncode == 0, export.said.stderr
    loaded = load(project, export, tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    for table in map(str, TABLES):
        numbered = ["id"] if table == "sigma.consents" else []
        moved = rows(project, table, *numbered)
        assert moved == rows(export.source, table, *numbered), table
        assert moved, table
    assert rows(project, "storage.buckets") == rows(export.source, "storage.buckets")
    assert rows(project, "sigma.line_blocks") == rows(export.source, "sigma.line_blocks")
    host = str(conninfo_to_dict(project)["host"])
    theirs = f"postgresql://authenticator:theirs@/{conninfo_to_dict(project)['dbname']}?host={host}"
    async with standing_in(theirs, tmp_path / "elsewhere") as client:
        for name, password, status in (("alice", PASSWORD, 200), ("alice", "other", 400), ("bob", PASSWORD, 400)):
            asked = {"email": f"{name}@example.com", "password": password}
            answer = await client.post("/auth/v1/token", params={"grant_type": "password"}, json=asked)
            assert answer.status_code == status, answer.text


async def test_no_mail_is_queued_and_the_line_goes_on_where_it_was(export, project, tmp_path):
    load(project, export, tmp_path)
    with psycopg.connect(project) as owner:
        assert owner.execute("select count(*) from procrastinate.procrastinate_jobs").fetchone() == (0,)
        assert owner.execute("select count(*), count(distinct id) from profiles").fetchone() == (2, 2)
        places = owner.execute("select sigma.place(id) from leads where line_key is not null order by 1").fetchall()
        assert places == [(place,) for place in range(1, 26)]
        assert owner.execute("select sigma.waiting()").fetchone() == (25,)
        owner.execute("select sigma.confirm(id, 5) from leads where email = 'f1@example.com'")
        last = owner.execute("select sigma.place(id) from leads where email = 'f1@example.com'").fetchone()
        assert last == (26,)


async def test_what_holds_rows_already_is_refused_and_left_as_it_is(export, project, tmp_path):
    with psycopg.connect(project, autocommit=True) as owner:
        owner.execute("insert into leads (email) values ('first@example.com')")
    refused = load(project, export, tmp_path)
    assert refused.returncode == 3
    assert "public.leads holds rows already; nothing was loaded" in refused.stderr
    assert rows(project, "auth.users") == []


async def test_loading_twice_is_refused(export, project, tmp_path):
    assert load(project, export, tmp_path).returncode == 0
    again = load(project, export, tmp_path)
    assert again.returncode == 3
    assert "auth.users holds rows already" in again.stderr
    assert len(rows(project, "auth.users")) == 2


async def test_a_project_that_sigma_has_not_migrated_is_refused_with_the_way_out(export, fresh, owners_url, tmp_path):
    refused = load(owners_url(fresh), export, tmp_path)
    assert refused.returncode == 3
    assert "python -m sigma_app migrate" in refused.stderr


async def test_a_token_that_a_mail_could_verify_stays_behind(owner_url, project, tmp_path):
    data = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'by-hand@example.com')")
        owner.execute(
            "insert into auth.users (id, email, confirmation_token, email_change, email_change_token_new)"
            " values (gen_random_uuid(), 'carol@example.com', 'secret-1', 'new@example.com', 'secret-2')"
        )
    done = data.run("export-supabase", str(tmp_path / "moved"))
    export = Export(owner_url, data.data_dir, tmp_path / "moved", done)
    assert load(project, export, tmp_path).returncode == 0
    assert "secret-" not in (export.directory / "data.sql").read_text()
    for row in rows(project, "auth.users"):
        tokens = {name: value for name, value in row.items() if "token" in name or name == "email_change"}
        assert set(tokens.values()) == {""}
        assert (row["aud"], row["role"], row["raw_app_meta_data"]) == ("authenticated", "authenticated", {})


async def test_a_supabase_project_is_not_exported(project, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": project})
    done = sigma.run("export-supabase", str(tmp_path / "moved"))
    assert done.returncode == 2
    assert "Supabase project already" in done.stderr
    assert not (tmp_path / "moved").exists()
