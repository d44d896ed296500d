"""Where the embedded Postgres may lie, who may enter, and what it says when it cannot come up."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import site
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sigma_app.embedded import postgres, postgres_layout
from sigma_app.embedded.postgres_layout import ClusterError
from sigma_app.settings import PROJECT_ROOT
from tests.conftest import settings_for
from tests.database.embedded import ROOT, ask, checkout


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
