"""The embedded Postgres comes up, whatever happened before, and goes down."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from sigma_app.core.database import SERVICE, Database, Step
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from sigma_app.embedded import postgres
from sigma_app.settings import PROJECT_ROOT
from tests.conftest import settings_for
from tests.database.embedded import ROOT, ask, notes, write


class TestComingUp:
    def test_first_start_makes_a_durable_cluster_that_listens_on_no_network(self, settings):
        cluster = postgres.start(settings)
        assert cluster.running
        assert ask(cluster, "listen_addresses") == ""
        expected = {
            "data_checksums": "on",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "server_encoding": "UTF8",
            "timezone": "UTC",
            "server_version_num": "18",
        }
        assert {name: ask(cluster, name)[: len(value)] for name, value in expected.items()} == expected
        with psycopg.connect(cluster.owner_url()) as connection:
            assert connection.execute("select lower('ΣIGMÅ')").fetchone() == ("σigmå",)

    def test_a_second_start_adopts_the_running_server(self, settings):
        first = postgres.start(settings)
        second = postgres.start(settings)
        assert first.pid == second.pid
        second.stop()
        assert not first.running
        first.stop()

    def test_rows_survive_a_stop(self, settings):
        cluster = postgres.start(settings)
        write(cluster)
        cluster.stop()
        assert not cluster.running
        assert cluster.pid is None
        assert notes(postgres.start(settings)) == ["kept"]

    def test_a_warm_start_is_fast(self, settings):
        postgres.start(settings).stop()
        started = time.perf_counter()
        postgres.start(settings)
        assert time.perf_counter() - started < 1.5  # measured 0.03 s; the machine may be busy

    def test_two_processes_at_once_both_come_up_on_one_server(self, settings):
        command = [sys.executable, "-c", _START_AND_PRINT, str(settings.data_dir)]
        both = [subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        pids = {process.communicate(timeout=60)[0].strip() for process in both}
        assert pids == {str(postgres.locate(settings).pid)}

    def test_locating_starts_nothing(self, settings):
        cluster = postgres.locate(settings)
        assert not cluster.running
        assert cluster.pid is None
        assert not settings.data_dir.exists()
        cluster.stop()

    def test_the_programs_beside_it_run(self, settings):
        cluster = postgres.start(settings)
        done = subprocess.run(
            [cluster.bin / "psql", cluster.owner_url(), "-Atc", "select 6 * 7"],
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.stderr) == ("42\n", "")
        assert all((cluster.bin / name).exists() for name in ("pg_dump", "pg_restore", "pgbench"))


class TestRecovering:
    def test_after_kill_9_of_the_postmaster_every_committed_row_is_there(self, settings):
        cluster = postgres.start(settings)
        write(cluster)
        os.kill(cluster.pid or 0, signal.SIGKILL)
        again = postgres.start(settings)
        assert notes(again) == ["kept"]

    def test_after_kill_9_of_the_process_that_started_it_the_next_adopts_it(self, settings):
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_start_and_die, args=[settings.data_dir])
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        cluster = postgres.start(settings)
        assert notes(cluster) == ["kept"]

    def test_a_lock_file_with_the_number_of_an_unrelated_process_is_no_obstacle(self, settings):
        cluster = postgres.start(settings)
        write(cluster)
        lock_file = cluster.layout.data / "postmaster.pid"
        lines = lock_file.read_text().splitlines()
        os.kill(int(lines[0]), signal.SIGKILL)
        lines[0] = str(_process_of_the_servers_user(cluster))
        lock_file.write_text("\n".join(lines) + "\n")
        assert notes(postgres.start(settings)) == ["kept"]

    def test_a_first_start_that_was_cut_short_leaves_nothing_in_the_way(self, settings):
        cluster = postgres.start(settings)
        cluster.stop()
        half = cluster.layout.home / "data.new-half"
        cluster.layout.data.rename(half)
        (half / "PG_VERSION").unlink()
        assert postgres.start(settings).running
        assert not half.exists()

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_inside_of_kept_up_a_server_that_ends_is_started_again(self, settings, how):
        cluster = postgres.start(settings)
        with postgres.kept_up(settings, cluster):
            write(cluster)
            ended = cluster.pid
            os.kill(ended or 0, how)
            wait_until(lambda: cluster.pid not in (None, ended) and postgres._is_ready(cluster))
            assert notes(cluster) == ["kept"]
        cluster.stop()
        assert cluster.pid is None

    def test_a_server_that_does_not_start_is_tried_again_until_it_does(self, settings, caplog, monkeypatch):
        monkeypatch.setattr(postgres, "PAUSE_SECONDS", 0.1)
        cluster = postgres.start(settings)
        hidden = cluster.layout.data.with_name("hidden")
        with postgres.kept_up(settings, cluster):
            version = cluster.layout.data / "global" / "pg_control"
            version.rename(hidden)
            os.kill(cluster.pid or 0, signal.SIGKILL)
            wait_until(lambda: caplog.text.count("The database does not start") > 1)
            hidden.rename(version)
            wait_until(lambda: postgres._is_ready(cluster))

    @pytest.mark.anyio
    async def test_the_pool_finds_the_database_again_by_itself(self, settings, caplog):
        caplog.set_level("CRITICAL", "psycopg.pool")
        cluster = postgres.start(settings)
        migrate(cluster.owner_url())
        async with Database(login_url(cluster.owner_url()), pool_size=3) as database:
            await database.ping()
            cluster.stop()
            with pytest.raises(DatabaseUnavailable):
                await database.ping()
            postgres.start(settings)
            started = time.monotonic()
            await database.run(Step(SERVICE, "select count(*) from leads"))
            assert time.monotonic() - started < 3


def wait_until(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


_START_AND_PRINT = """
import sys; from pathlib import Path
from sigma_app.embedded import postgres; from sigma_app.settings import Settings
print(postgres.start(Settings(_env_file=None, SIGMA_DATA_DIR=Path(sys.argv[1]))).pid)
"""


def _start_and_die(data_dir: Path) -> None:
    write(postgres.start(settings_for(data_dir)))
    os.kill(os.getpid(), signal.SIGKILL)


def _process_of_the_servers_user(cluster: postgres.Cluster) -> int:
    """A live process that Postgres, looking at its number alone, would take for another postmaster."""
    owner = cluster.layout.data.stat()
    ids = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if ROOT else {}
    process = subprocess.Popen(["sleep", "30"], **ids)
    _SLEEPERS.append(process)
    return process.pid


_SLEEPERS: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def no_sleeper_stays():
    yield
    while _SLEEPERS:
        sleeper = _SLEEPERS.pop()
        sleeper.kill()
        sleeper.wait()
