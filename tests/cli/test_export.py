"""`python -m sigma_app export-supabase`: what it writes and what it never does; its files sent to a project."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import psycopg
import pytest

from sigma_app.cli import server_file
from sigma_app.embedded.supabase.keys import keys_in
from tests.cli.test_run import wait_until
from tests.conftest import settings_for
from tests.moving import PICTURE, Export, exported, fill
from tests.sigma import Sigma, Supabase, free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def export(server, template: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Export]:
    """One for all tests, which only read it."""
    async with exported(server, template, tmp_path_factory.mktemp("export")) as export:
        yield export


async def test_the_manifest_counts_and_nobody_else_may_read_any_of_it(export):
    manifest = json.loads((export.directory / "manifest.json").read_text())
    assert manifest["rows"]["auth.users"] == 2
    assert manifest["rows"]["public.leads"] == 50
    assert manifest["files"] == 3
    for name, digest in manifest["sha256"].items():
        assert sha256((export.directory / name).read_bytes()).hexdigest() == digest
    assert [path.name for path in (export.directory / "files").iterdir()] == [sha256(PICTURE).hexdigest()]
    for path in [export.directory, *export.directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_what_is_there_already_is_never_overwritten(owner_url, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    there = tmp_path / "there"
    there.mkdir()
    done = sigma.run("export-supabase", str(there))
    assert (done.returncode, list(there.iterdir())) == (2, [])
    assert done.stderr == f"{there} is there already. Name a new directory.\n"


async def test_it_is_of_the_stand_in_and_not_of_a_project_that_the_environment_names(owner_url, tmp_path):
    sigma = Sigma(tmp_path / "data", variables=joined_to("https://x.supabase.co", owner_url))
    done = sigma.run("export-supabase", str(tmp_path / "moved"))
    assert done.returncode == 2
    assert done.stderr.startswith("VITE_SUPABASE_URL: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*moved*"))


async def test_a_server_that_still_writes_is_named(owner_url, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    with server_file.announced(settings_for(sigma.data_dir, PORT=sigma.port)):
        done = sigma.run("export-supabase", str(tmp_path / "moved"))
    assert done.returncode == 0
    assert f"http://localhost:{sigma.port} is running" in done.stderr
    shutil.rmtree(tmp_path / "moved")
    assert "running" not in sigma.run("export-supabase", str(tmp_path / "moved")).stderr


async def test_a_file_without_its_content_ends_the_export_and_leaves_nothing(owner_url, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    await fill(owner_url, sigma.data_dir)
    for path in (sigma.data_dir / "storage" / "content").rglob("*"):
        if path.is_file():
            path.unlink()
    done = sigma.run("export-supabase", str(tmp_path / "moved"))
    assert done.returncode == 2
    assert "avatars/alice" in done.stderr
    assert not list(tmp_path.glob("*moved*"))


async def test_interrupted_it_leaves_nothing(owner_url, owner, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    sigma.run("migrate")
    with psycopg.connect(owner_url) as holder:
        holder.execute("lock table leads")
        process = sigma.launch("export-supabase", str(tmp_path / "moved"))
        wait_until(lambda: owner.execute("select from pg_locks where not granted").fetchall())
        assert list(tmp_path.glob("*.moved.*"))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 128 + signal.SIGINT
    assert not list(tmp_path.glob("*moved*"))
    assert sigma.log.read_text() == "Stopped; nothing was written.\n"


async def test_what_is_not_sigmas_is_named_once_and_listed(owner_url, owner, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    untouched = sigma.run("export-supabase", str(tmp_path / "before"))
    assert (untouched.stderr, untouched.returncode) == ("", 0)
    assert json.loads((tmp_path / "before" / "manifest.json").read_text())["left_out"] == []
    for statement in (
        "create type mood as enum ('well')",
        "create domain word as text",
        'create table "Notes" (id bigserial primary key)',
        'create policy mine on "Notes" using (true)',
        "create view seen as select 1",
        "create function stamp_consent(int) returns int language sql return 1",
        "create function tell() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger told after insert on leads for each row execute function tell()",
        'create trigger told after insert on "Notes" for each row execute function tell()',
        "create policy read on storage.objects using (true)",
    ):
        owner.execute(statement)
    done = sigma.run("export-supabase", str(tmp_path / "moved"))
    left_out = [
        *('table public."Notes"', "view public.seen", "type public.mood", "type public.word"),
        *("function public.stamp_consent(integer)", "function public.tell()"),
        *("trigger told on leads", "policy read on storage.objects"),
    ]
    assert json.loads((tmp_path / "moved" / "manifest.json").read_text())["left_out"] == left_out
    assert done.stderr == f"Not Sigma's, so left out (docs/supabase.md): 8, {', '.join(left_out)}.\n"


async def test_a_place_that_is_not_there_is_named_as_it_is(owner_url, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    done = sigma.run("export-supabase", str(tmp_path / "data" / ".." / "nowhere" / "moved"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{tmp_path}/nowhere: No such file or directory. ")
    assert done.stderr.count("\n") == 1


async def test_jobs_that_wait_are_told(owner_url, tmp_path):
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("set role anon")
        owner.execute("insert into leads (email) values ('waits@example.com')")
    done = sigma.run("export-supabase", str(tmp_path / "moved"))
    assert done.returncode == 0
    assert "and 1 do: python -m sigma_app jobs" in done.stderr


def joined_to(address: str, owner_url: str) -> dict[str, str]:
    """The environment of an app that takes what is at `address` for its project."""
    return {
        "VITE_SUPABASE_URL": address,
        "VITE_SUPABASE_ANON_KEY": "anon",
        "SUPABASE_SERVICE_ROLE_KEY": "service",
        "DATABASE_URL": owner_url,
    }


class TestUpload:
    """Files go through the project's own API."""

    @pytest.fixture
    def hosted_project(self, tmp_path: Path) -> Iterator[Supabase]:
        """What a hosted project is to an app: an address, keys, a database; in a process of its own."""
        supabase = Supabase(tmp_path / "project")
        supabase.start()
        yield supabase
        supabase.remove()

    async def test_files_are_sent_once_with_what_they_say_of_themselves_and_whose_they_are(
        self, export, hosted_project, tmp_path
    ):
        app = Sigma(tmp_path / "app", variables=dict(hosted_project.assignments))
        loaded = app.run("psql", "--", "-f", str(export.directory / "data.sql"))
        assert loaded.returncode == 0, loaded.stderr
        sent = app.run("export-supabase", str(export.directory), "--upload")
        assert (sent.stdout, sent.returncode) == ("3 of 3 files sent.\n", 0), sent.stderr
        again = app.run("export-supabase", str(export.directory), "--upload")
        assert again.stdout == "0 of 3 files sent; 3 were there already.\n", again.stderr
        async with httpx.AsyncClient(base_url=hosted_project.base_url) as anybody:
            for name in ("alice", "alice/picture%20one.png", "bob/the%20same.png"):
                answer = await anybody.get(f"/storage/v1/object/public/avatars/{name}")
                assert answer.content == PICTURE
                assert answer.headers["content-type"] == "image/png"
                assert answer.headers["cache-control"] == "max-age=60"
        asked = "select name, owner_id, owner from storage.objects order by name"
        with hosted_project.database() as there, psycopg.connect(export.source) as here:
            assert there.execute(asked).fetchall() == here.execute(asked).fetchall()

    async def test_interrupted_it_says_that_it_can_be_called_again(self, export, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            joined = joined_to(f"http://127.0.0.1:{silent.getsockname()[1]}", export.source)
            app = Sigma(tmp_path / "app", variables=joined)
            process = app.launch("export-supabase", str(export.directory), "--upload")
            silent.settimeout(60)
            with silent.accept()[0]:
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=30) == 128 + signal.SIGINT
        assert app.log.read_text() == "Stopped; call it again: what was sent stays.\n"

    async def test_a_project_that_does_not_answer_is_named(self, export, tmp_path):
        address = f"http://localhost:{free_port()}"
        app = Sigma(tmp_path / "app", variables=joined_to(address, export.source))
        done = app.run("export-supabase", str(export.directory), "--upload")
        assert done.returncode == 2
        assert done.stderr.startswith(f"VITE_SUPABASE_URL: {address} does not answer: ")
        assert done.stderr.count("\n") == 1

    async def test_a_wrong_key_is_named_before_the_first_file_and_a_file_that_is_gone_by_its_path(
        self, export, hosted_project, tmp_path
    ):
        given = hosted_project.assignments
        for wrong in ("nonsense", "a.b.c", keys_in(export.data_dir).service_role):
            app = Sigma(tmp_path / "app", variables=given | {"SUPABASE_SERVICE_ROLE_KEY": wrong})
            done = app.run("export-supabase", str(export.directory), "--upload")
            assert done.returncode == 2
            assert done.stderr.startswith(f"SUPABASE_SERVICE_ROLE_KEY: {given['VITE_SUPABASE_URL']} refuses it: ")
            assert done.stderr.count("\n") == 1
            assert wrong not in done.stderr
        whole = tmp_path / "whole"
        shutil.copytree(export.directory, whole)
        (gone,) = (whole / "files").iterdir()
        gone.unlink()
        done = Sigma(tmp_path / "app", variables=dict(given)).run("export-supabase", str(whole), "--upload")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith(f"{gone}: No such file or directory. ")

    async def test_a_list_that_was_changed_is_refused(self, export, tmp_path):
        changed = tmp_path / "changed"
        shutil.copytree(export.directory, changed)
        with (changed / "files.jsonl").open("ab") as file:
            file.write(b"{}\n")
        app = Sigma(tmp_path / "app", variables=joined_to("http://localhost:1", export.source))
        done = app.run("export-supabase", str(changed), "--upload")
        assert (done.returncode, done.stderr) == (2, f"{changed}: files.jsonl is not the one that was exported.\n")

    async def test_without_a_project_in_the_environment_it_says_what_to_set(self, export, tmp_path):
        done = Sigma(tmp_path / "app").run("export-supabase", str(export.directory), "--upload")
        assert done.returncode == 2
        assert done.stderr.startswith("VITE_SUPABASE_URL: ")

    async def test_what_is_no_export_is_one_line(self, hosted_project, tmp_path):
        app = Sigma(tmp_path / "app", variables=dict(hosted_project.assignments))
        done = app.run("export-supabase", str(tmp_path / "nothing"), "--upload")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "Name the directory of an export" in done.stderr
