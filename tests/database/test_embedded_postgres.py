"""The embedded Postgres comes up, whatever happened before, and goes down; and it opens nothing to others."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pwd
import shutil
import signal
import site
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from sigma_app.core.database import SERVICE, Database, Step
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.login import login_url
from sigma_app.core.migrations import migrate
from sigma_app.embedded import postgres, postgres_layout
from sigma_app.embedded.postgres_layout import ClusterError
from sigma_app.settings import PROJECT_ROOT
from tests.conftest import settings_for

ROOT = os.geteuid() == 0


@pytest.fixture
def settings(tmp_path):
    """The settings of a checkout that was never started; its cluster is taken away afterwards."""
    yield from checkout(tmp_path / "checkout" / ".sigma")


def checkout(data_dir: Path):
    made = settings_for(data_dir)
    yield made
    cluster = postgres.locate(made)
    cluster.stop()
    if ROOT:
        shutil.rmtree(cluster.layout.home, ignore_errors=True)
    if cluster.layout.sockets.parent != cluster.layout.home:
        shutil.rmtree(cluster.layout.sockets, ignore_errors=True)


def write(cluster: postgres.Cluster, text: str = "kept") -> None:
    with psycopg.connect(cluster.owner_url(), autocommit=True) as connection:
        connection.execute("create table if not exists notes (note text)")
        connection.execute("insert into notes values (%s)", [text])


def notes(cluster: postgres.Cluster) -> list[str]:
    with psycopg.connect(cluster.owner_url()) as connection:
        return [note for (note,) in connection.execute("select note from notes")]


def ask(cluster: postgres.Cluster, setting: str) -> str:
    with psycopg.connect(cluster.owner_url()) as connection:
        row = connection.execute(f"show {setting}".encode()).fetchone()
        return row[0] if row else ""


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


@pytest.mark.skipif(not ROOT, reason="an ordinary user's cluster lies inside the data directory")
class TestIdentity:
    """As root the cluster lies apart from the data directory, and still belongs to it."""

    def test_the_first_start_writes_it_down_on_both_sides_and_locating_does_not(self, settings):
        settings.data_dir.mkdir(parents=True)
        before = postgres.locate(settings)
        assert not before.layout.home.exists()
        assert list(settings.data_dir.iterdir()) == []
        cluster = postgres.start(settings)
        assert cluster.layout == before.layout == postgres.locate(settings).layout
        identity = settings.data_dir / "postgres.id"
        assert identity.read_text() == f"{cluster.layout.home.name}\n"
        assert stat.S_IMODE(identity.stat().st_mode) == 0o600
        assert postgres_layout.recorded_data_dir(cluster.layout.home) == settings.data_dir

    @pytest.mark.parametrize("stopped", [True, False])
    def test_a_renamed_checkout_keeps_its_rows(self, settings, tmp_path, stopped):
        cluster = postgres.start(settings)
        write(cluster)
        if stopped:
            cluster.stop()
        settings.data_dir.parent.rename(tmp_path / "renamed")
        for renamed in checkout(tmp_path / "renamed" / ".sigma"):
            again = postgres.start(renamed)
            assert notes(again) == ["kept"]
            assert again.layout.home == cluster.layout.home
            assert postgres_layout.recorded_data_dir(again.layout.home) == renamed.data_dir

    @pytest.mark.parametrize("stopped", [True, False])
    def test_a_new_checkout_in_the_place_of_a_deleted_one_starts_empty(self, settings, stopped):
        old = postgres.start(settings)
        write(old)
        if stopped:
            old.stop()
        shutil.rmtree(settings.data_dir)
        try:
            assert not postgres.locate(settings).running
            new = postgres.start(settings)
            assert new.layout.home != old.layout.home
            with pytest.raises(psycopg.errors.UndefinedTable):
                notes(new)
            new.stop()
            assert old.running != stopped
            assert postgres.start(settings).layout == new.layout
        finally:
            _end_and_remove(old)

    @pytest.mark.parametrize("stopped", [True, False])
    def test_a_copy_of_a_data_directory_is_refused_and_the_original_left_alone(self, settings, tmp_path, stopped):
        cluster = postgres.start(settings)
        write(cluster)
        if stopped:
            cluster.stop()
        shutil.copytree(settings.data_dir, tmp_path / "copy")
        copy = settings_for(tmp_path / "copy")
        for attempt in (postgres.locate, postgres.start):
            with pytest.raises(
                ClusterError, match=f"is a copy of {settings.data_dir}, .* Remove .*/copy/postgres.id"
            ) as refused:
                attempt(copy)
            assert "\n" not in str(refused.value)
        assert cluster.running != stopped
        assert notes(postgres.start(settings)) == ["kept"]
        (copy.data_dir / "postgres.id").unlink()
        for own in checkout(copy.data_dir):
            assert postgres.start(own).layout.home != cluster.layout.home

    def test_a_copy_whose_original_is_gone_or_has_another_database_by_now_is_a_rename(self, settings, tmp_path):
        cluster = postgres.start(settings)
        write(cluster)
        cluster.stop()
        shutil.copytree(settings.data_dir, tmp_path / "copy")
        (settings.data_dir / "postgres.id").unlink()
        other = postgres.start(settings)
        assert other.layout.home != cluster.layout.home
        for copy in checkout(tmp_path / "copy"):
            assert notes(postgres.start(copy)) == ["kept"]

    def test_the_same_directory_by_another_way_is_no_copy(self, settings, tmp_path, monkeypatch):
        cluster = postgres.start(settings)
        alias = tmp_path / "alias"
        alias.symlink_to(settings.data_dir)  # stands for a bind mount, which cannot be resolved
        (cluster.layout.home / "belongs_to").write_bytes(os.fsencode(alias))
        assert postgres.start(settings).pid == cluster.pid

    @pytest.mark.parametrize("content", ["", "../../../etc", "0123456789abcdef/.."])
    def test_an_identity_that_sigma_did_not_write_is_refused(self, settings, content):
        settings.data_dir.mkdir(parents=True)
        identity = settings.data_dir / "postgres.id"
        identity.write_text(content)
        with pytest.raises(ClusterError, match="remove it to start with an empty database") as refused:
            postgres.start(settings)
        assert "\n" not in str(refused.value)
        identity.unlink()

    def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one_unasked(self, settings):
        cluster = postgres.start(settings)
        _end_and_remove(cluster)
        with pytest.raises(ClusterError, match="is gone") as refused:
            postgres.start(settings)
        assert "\n" not in str(refused.value)
        (settings.data_dir / "postgres.id").unlink()
        assert postgres.start(settings).running

    def test_an_ordinary_user_needs_none(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        (tmp_path / "postgres.id").write_text("whatever")
        assert postgres_layout.layout_of(tmp_path).home == tmp_path / "postgres"


class TestPlaces:
    def test_a_path_with_a_space_and_a_comma_and_a_quote(self, tmp_path):
        for settings in checkout(tmp_path / "my, \"own\" 'place' %20" / ".sigma"):
            assert ask(postgres.start(settings), "data_checksums") == "on"

    def test_a_deep_path_gets_its_socket_elsewhere_and_another_for_each_checkout(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000)  # root's clusters are never deep
        deep = [postgres_layout.layout_of(tmp_path.joinpath(name, *["a" * 60] * 3)) for name in ("one", "two")]
        assert deep[0].sockets != deep[1].sockets
        for layout in deep:
            assert layout.sockets.parent == Path(tempfile.gettempdir())
            assert len(os.fsencode(layout.socket)) <= 107

    def test_two_checkouts_side_by_side_have_nothing_in_common(self, tmp_path):
        for one in checkout(tmp_path / "one"):
            for two in checkout(tmp_path / "two"):
                first, second = postgres.start(one), postgres.start(two)
                assert first.pid != second.pid
                assert first.layout.socket != second.layout.socket
                first.stop()
                assert second.running

    def test_a_socket_directory_that_somebody_else_laid_there_is_refused(self, settings, tmp_path, monkeypatch):
        layout = postgres.locate(settings).layout
        trap = tmp_path / "trap"
        trap.mkdir()
        trapped = postgres_layout.Layout(layout.data_dir, layout.home, tmp_path / "link")
        trapped.sockets.symlink_to(trap)
        monkeypatch.setattr(postgres, "layout_of", lambda data_dir: trapped)
        with pytest.raises(ClusterError, match="must be a directory of user"):
            postgres.start(settings)

    def test_only_the_servers_user_may_enter(self, settings):
        layout = postgres.start(settings).layout
        for directory in (layout.home, layout.data, layout.sockets):
            assert stat.S_IMODE(directory.stat().st_mode) & 0o077 == 0, directory
        assert stat.S_IMODE(layout.socket.stat().st_mode) & 0o077 == 0


class TestSayingWhy:
    def test_a_data_directory_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        settings = settings_for(tmp_path / "file" / ".sigma")
        with pytest.raises(ClusterError, match="set SIGMA_DATA_DIR") as refused:
            postgres.start(settings)
        assert "\n" not in str(refused.value)

    def test_a_full_disk(self, settings, monkeypatch):
        program = settings.data_dir.parent / "initdb"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\necho 'initdb: error: could not write: No space left on device' >&2\nexit 1\n")
        program.chmod(0o755)
        bin_dir = Path(tempfile.mkdtemp())
        bin_dir.chmod(0o755)
        shutil.copy(program, bin_dir)
        monkeypatch.setattr(postgres, "server_binaries", lambda: bin_dir)
        with pytest.raises(ClusterError, match="no space left on that disk") as refused:
            postgres.start(settings)
        shutil.rmtree(bin_dir)
        assert "\n" not in str(refused.value)

    def test_a_server_that_refuses_its_files_is_quoted_in_one_line(self, settings):
        cluster = postgres.start(settings)
        cluster.stop()
        (cluster.layout.data / "PG_VERSION").write_text("9.6\n")
        with pytest.raises(ClusterError, match="incompatible") as refused:
            postgres.start(settings)
        assert "\n" not in str(refused.value)

    @pytest.mark.skipif(not ROOT, reason="only root needs a user for the server")
    def test_without_useradd(self, settings, monkeypatch):
        monkeypatch.setattr(postgres_layout, "SYSTEM_USER", "sigma-nobody")
        monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
        with pytest.raises(ClusterError, match="useradd is missing"):
            postgres.start(settings)


@pytest.mark.skipif(not ROOT, reason="needs root to become somebody else")
class TestUsers:
    def test_as_root_no_mode_above_the_data_directory_changes_and_the_server_is_somebody_else(self, tmp_path):
        home = tmp_path / "home"
        home.mkdir(mode=0o700)
        above = [home, *home.parents]
        modes = [path.stat().st_mode for path in above]
        wheel = postgres_layout.wheel_install()
        wheel_modes = [path.stat().st_mode for path in (wheel, wheel / "bin" / "postgres", *wheel.parents)]
        for settings in checkout(home / "sigma" / ".sigma"):
            cluster = postgres.start(settings)
            user = pwd.getpwnam("sigma-postgres")
            assert Path(f"/proc/{cluster.pid}").stat().st_uid == user.pw_uid
            assert cluster.layout.data.stat().st_uid == user.pw_uid
            assert [path.stat().st_mode for path in above] == modes
            assert [path.stat().st_mode for path in (wheel, wheel / "bin" / "postgres", *wheel.parents)] == wheel_modes

    @pytest.mark.parametrize("below", [".sigma", "/".join(["a" * 60] * 3)], ids=["short path", "deep path"])
    def test_an_ordinary_user_needs_no_root_and_leaves_everything_theirs(self, below):
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        home = Path(tempfile.mkdtemp(prefix="sigma user "))
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        paths = os.pathsep.join([str(PROJECT_ROOT), *site.getsitepackages()])
        environment = {
            "HOME": str(home),
            "PATH": os.defpath,
            "PYTHONPATH": paths,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [_python_for(who), "-c", _START_AND_STOP, str(home / below)]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, env=environment, **who)
        owners = {path.lstat().st_uid for path in home.rglob("*")}
        shutil.rmtree(home)
        assert done.stderr == ""
        sockets, mode, running, stopped = done.stdout.splitlines()
        assert (mode, running, stopped) == ("0o700", "True", "False")
        assert sockets.startswith(str(home)) == (below == ".sigma")
        assert owners == {nobody.pw_uid}


def _python_for(who: dict) -> str:
    """A Python that an ordinary user may run: this one may lie in root's home, as pyenv's does."""
    for program in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError):
            if subprocess.run([program, "-c", ""], cwd="/", capture_output=True, **who).returncode == 0:
                return program
    pytest.skip("no Python of this version that an ordinary user may run")


_START_AND_PRINT = """
import sys; from pathlib import Path
from sigma_app.embedded import postgres; from sigma_app.settings import Settings
print(postgres.start(Settings(_env_file=None, SIGMA_DATA_DIR=Path(sys.argv[1]))).pid)
"""
_START_AND_STOP = """
import sys; from pathlib import Path
from sigma_app.embedded import postgres; from sigma_app.settings import Settings
cluster = postgres.start(Settings(_env_file=None, SIGMA_DATA_DIR=Path(sys.argv[1])))
print(cluster.layout.sockets)
print(oct(cluster.layout.sockets.stat().st_mode & 0o777))
print(cluster.running)
cluster.stop()
print(cluster.running)
if cluster.layout.sockets.parent != cluster.layout.home:
    cluster.layout.sockets.rmdir()
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


def _end_and_remove(cluster: postgres.Cluster) -> None:
    """Take a cluster away whose data directory no longer leads to it."""
    pid = cluster.pid
    if pid is not None:
        postgres._end(cluster.layout, pid)
    shutil.rmtree(cluster.layout.home)


_SLEEPERS: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def no_sleeper_stays():
    yield
    while _SLEEPERS:
        sleeper = _SLEEPERS.pop()
        sleeper.kill()
        sleeper.wait()
