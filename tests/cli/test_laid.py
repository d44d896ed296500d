"""Commands that look for something never lay a database to look for it in: an empty one would be an answer."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from sigma_app.cli import cli
from sigma_app.embedded import postgres
from tests.cli.test_run import assert_one_line
from tests.conftest import settings_for
from tests.sigma import Sigma

LOOKING = {
    "backup": ["backup", "--to", "OUT"],
    "erase": ["erase", "alice@example.com", "--yes"],
    "person": ["person", "export", "alice@example.com", "--out", "OUT"],
    "admin": ["admin", "list"],
    "invite": ["invite", "--next", "1"],
    "jobs": ["jobs"],
    "reconcile": ["reconcile"],
    "access-why": ["access-why", "alice@example.com"],
    "stripe-setup": ["stripe-setup"],
    "stripe-events": ["stripe-events"],
    "export-supabase": ["export-supabase", "OUT"],
    "psql": ["psql", "--", "-c", "select 1"],
}
OTHERS = {"run", "dev", "worker", "supabase", "build", "migrate", "restore", "status"}
"""They start something, lay a database, or need none."""


def test_every_command_is_of_one_kind():
    assert OTHERS.isdisjoint(LOOKING)
    assert OTHERS | set(LOOKING) == set(cli.list_commands(click.Context(cli)))


@pytest.mark.parametrize("command", LOOKING)
def test_without_a_database_they_say_where_they_looked_and_make_nothing(sigma: Sigma, tmp_path: Path, command: str):
    done = sigma.run(*(str(tmp_path / "out") if word == "OUT" else word for word in LOOKING[command]))
    assert_one_line(done, f"{sigma.data_dir}: ", "SIGMA_DATA_DIR", "DATABASE_URL", "migrate")
    assert (done.stdout, list(tmp_path.iterdir())) == ("", [])
    assert not postgres.locate(settings_for(sigma.data_dir)).layout.home.exists()


def test_one_that_was_never_migrated_is_none_yet_and_is_left_stopped(sigma: Sigma):
    cluster = postgres.start(settings_for(sigma.data_dir))  # as a first start that was killed leaves it
    cluster.stop()
    assert_one_line(sigma.run("psql", "--", "-c", "select 1"), f"{sigma.data_dir}: ")
    assert not cluster.running
    sigma.lay()
    assert sigma.run("psql", "--", "-c", "select 1").returncode == 0
