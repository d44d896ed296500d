"""Several servers of one data directory: `status` knows the newest that is alive."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil

from sigma_app.cli import server_file
from tests.conftest import settings_for
from tests.sigma import Sigma


def test_status_names_the_newest_server_that_is_alive(sigma: Sigma):
    sigma.start()
    other = Sigma(sigma.data_dir).start()
    assert f"http://localhost:{other.port}" in sigma.run("status").stdout
    other.stop()
    assert f"http://localhost:{sigma.port}" in sigma.run("status").stdout
    sigma.stop()
    assert "stopped" in sigma.run("status").stdout.splitlines()[0]


def test_status_is_a_line_for_each_row_however_narrow_the_terminal(sigma: Sigma):
    sigma.variables = {"COLUMNS": "40"}
    lines = sigma.run("status").stdout.splitlines()
    rows = ["server", "schema", "database", "auth", "key", "key", "payments", "mail"]
    assert [line.split()[0] for line in lines] == rows
    assert {line.index(line.split(maxsplit=2)[2]) for line in lines} == {len("database  service_role  ")}


def test_the_api_is_at_the_newest_server_that_serves_it_itself(sigma: Sigma):
    joined = {
        "VITE_SUPABASE_URL": "https://x.supabase.co",
        "VITE_SUPABASE_ANON_KEY": "anon",
        "SUPABASE_SERVICE_ROLE_KEY": "service",
    }
    settings, elsewhere = settings_for(sigma.data_dir, PORT=4001), settings_for(sigma.data_dir, PORT=4002, **joined)
    with server_file.announced(settings):
        (file,) = (sigma.data_dir / "servers").iterdir()
        file.rename(file.with_name("older.json"))
        with server_file.announced(elsewhere):
            newer = json.loads(file.read_text())
            file.write_text(json.dumps(newer | {"started_at": newer["started_at"] + 0.1}))
            shown = sigma.run("status").stdout.splitlines()
            assert shown[0].split()[2] == "http://localhost:4002"
            assert (
                next(line for line in shown if line.startswith("auth ")).split()[2] == "http://localhost:4001/auth/v1,"
            )
            assert sigma.assignments["BASE_URL"] == "http://localhost:4002"
            assert sigma.assignments["VITE_SUPABASE_URL"] == "http://localhost:4001"
        (sigma.data_dir / "servers" / "older.json").unlink()


def test_the_file_of_a_killed_server_is_swept_away(tmp_path: Path):
    settings = settings_for(tmp_path)
    with server_file.announced(settings):
        (mine,) = (tmp_path / "servers").iterdir()
        killed = json.loads(mine.read_text()) | {"started_at": psutil.boot_time() - 1000, "base_url": "http://old"}
        (tmp_path / "servers" / "1.json").write_text(json.dumps(killed))
        (tmp_path / "servers" / "2.json").write_text("half a fi")
        found = server_file.find(settings)
        assert found is not None
        assert found.pid == os.getpid()
        assert list((tmp_path / "servers").iterdir()) == [mine]
    assert server_file.find(settings) is None
    assert list((tmp_path / "servers").iterdir()) == []
