"""`python -m sigma_app status`: where Supabase's API is served, and its keys, for people and for scripts."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sigma_app.cli.parts import describe_parts
from tests.conftest import settings_for
from tests.sigma import Sigma

HOSTED = {
    "VITE_SUPABASE_URL": "https://x.supabase.co",
    "VITE_SUPABASE_ANON_KEY": "anon.key.there",
    "SUPABASE_SERVICE_ROLE_KEY": "service.role.key.there",
}


def row(shown: str, name: str) -> str:
    """The line of a table that has `name` in it."""
    (line,) = [line for line in shown.splitlines() if f" {name} " in f" {line} "]
    return line


def test_it_says_where_the_stand_in_is_and_shows_the_anon_key_whole_and_the_other_hardly(sigma: Sigma):
    shown = sigma.run("status").stdout
    kept = json.loads((sigma.data_dir / "supabase.json").read_text())
    assert row(shown, "auth").split()[1:3] == ["local", f"http://localhost:{sigma.port}/auth/v1,"]
    assert row(shown, "anon").split() == ["key", "anon", kept["anon"]]
    assert kept["service_role"][:12] in row(shown, "service_role")
    assert "status --env" in row(shown, "service_role")
    assert kept["service_role"][:20] not in row(shown, "service_role")
    assert kept["service_role"][-20:] not in shown
    assert kept["secret"] not in shown
    assert stat.S_IMODE((sigma.data_dir / "supabase.json").stat().st_mode) == 0o600


def test_the_stand_in_is_where_the_running_server_is_whatever_is_configured_now(sigma: Sigma):
    sigma.start()
    other = Sigma(sigma.data_dir)
    where = f"http://localhost:{sigma.port}"
    assert where in row(other.run("status").stdout, "auth")
    assert other.assignments["VITE_SUPABASE_URL"] == other.assignments["BASE_URL"] == where


def test_scripts_get_both_keys_whole(sigma: Sigma):
    kept = {"VITE_SUPABASE_ANON_KEY": "anon", "SUPABASE_SERVICE_ROLE_KEY": "service_role"}
    found = sigma.assignments
    made = json.loads((sigma.data_dir / "supabase.json").read_text())
    assert {name: found[name] for name in kept} == {name: made[role] for name, role in kept.items()}


def test_a_hosted_supabase_is_named_with_its_own_keys(sigma: Sigma):
    sigma.variables = HOSTED
    shown = sigma.run("status").stdout
    assert row(shown, "auth").split()[1:3] == ["hosted", "x.supabase.co,"]
    assert "anon.key.there" in shown
    assert "service.role.key.there" not in shown
    assert {name: sigma.assignments[name] for name in HOSTED} == HOSTED
    assert not (sigma.data_dir / "supabase.json").exists()


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://localhost:54321", "localhost:54321,"),
        ("http://[::1]:54321", "[::1]:54321,"),
        ("https://x.supabase.co:443/", "x.supabase.co,"),
    ],
)
def test_a_supabase_elsewhere_is_named_with_its_port(tmp_path: Path, address: str, shown: str):
    described = {name: what for name, _, what in describe_parts(settings_for(tmp_path, VITE_SUPABASE_URL=address))}
    assert described["auth"].split()[0] == shown


def test_keys_that_may_not_be_read_take_nothing_else_away(sigma: Sigma):
    sigma.data_dir.mkdir()
    (sigma.data_dir / "supabase.json").mkdir()  # root may read every file, and no directory as one
    done = sigma.run("status")
    assert done.returncode == 0
    assert str(sigma.data_dir / "supabase.json") in done.stdout
    assert row(done.stdout, "mail")
