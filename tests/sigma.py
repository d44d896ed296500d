"""Starts Sigma as a person would, in a process of its own on a free port, for tests that need the real thing."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg
from psycopg.rows import dict_row

from sigma_app.cli.dev import BACKEND_OFFSET, HIGHEST_PORT
from sigma_app.embedded import postgres
from sigma_app.settings import Settings

PROJECT_ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


def free_port() -> int:
    """A port that nobody listens on right now, and that leaves room for the API's, which `dev` puts above it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port <= HIGHEST_PORT - BACKEND_OFFSET:
            return port


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment without anything that would configure Sigma, plus `variables`."""
    names = {"PATH", "HOME", "LANG", "TMPDIR", "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name in names} | variables


@dataclass
class Sigma:
    """A Sigma of its own: its port, its data directory, its process."""

    command = ("run",)
    env_command = ("status", "--env")

    data_dir: Path
    port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)
    root: Path = PROJECT_ROOT
    process: subprocess.Popen[str] | None = None

    @property
    def base_url(self) -> str:
        host = self.variables.get("HOST", "127.0.0.1")
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def own_dir(self) -> Path:
        """Where its database, its keys and its files are."""
        return self.data_dir

    @property
    def log(self) -> Path:
        return self.data_dir.with_name(self.data_dir.name + ".log")

    @property
    def environment(self) -> dict[str, str]:
        own = {"SIGMA_DATA_DIR": str(self.data_dir), "PORT": str(self.port)}
        return clean_environment(**own | self.variables)

    def lay(self) -> None:
        """Have its database, for commands that look into it while nothing is started."""
        done = self.run("migrate")
        assert done.returncode == 0, done.stderr

    def launch(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that runs for long, its own unless told, and return at once."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sigma_app", *(arguments or self.command)],
                cwd=self.root,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        return self.process

    def start(self) -> Self:
        """Start it and return when it answers."""
        self.launch()
        self.wait_until_serving()
        return self

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process is not None
            assert self.process.poll() is None, f"Sigma ended at its start:\n{self.log.read_text()}"
            try:
                with urlopen(self.base_url, timeout=5):  # noqa: S310 - an http address of our own
                    return
            except HTTPError:  # it answers
                return
            except (URLError, ConnectionError, TimeoutError):
                assert time.monotonic() < deadline, f"Sigma does not answer:\n{self.log.read_text()}"
                time.sleep(0.05)

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """End the server and return its exit code."""
        assert self.process is not None
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=30)

    def remove(self) -> None:
        """Stop whatever still runs, and take away the files that root keeps outside of the data directory."""
        if self.process and self.process.poll() is None:
            self.stop()
        cluster = self._cluster
        cluster.stop()
        if os.geteuid() == 0:
            shutil.rmtree(cluster.layout.home, ignore_errors=True)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of ours, `python -m sigma_app …`, on the same data directory."""
        return subprocess.run(
            [sys.executable, "-m", "sigma_app", *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    @cached_property
    def assignments(self) -> dict[str, str]:
        """What `status --env` prints, or its like."""
        lines = (shlex.split(line)[0] for line in self.run(*self.env_command).stdout.splitlines())
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def database(self) -> psycopg.Connection:
        """A connection as the owner, to see what was really stored."""
        return psycopg.connect(self.variables.get("DATABASE_URL") or self._cluster.owner_url(), autocommit=True)

    @property
    def _cluster(self) -> postgres.Cluster:
        """Its embedded Postgres, where it has one. Asking a command of ours where that is takes a second."""
        settings = Settings(_env_file=None, SIGMA_DATA_DIR=self.own_dir)  # pyright: ignore[reportCallIssue]
        return postgres.locate(settings)

    def leads(self, email: str) -> list[dict]:
        """Every row whose address is `email`, in any case."""
        with self.database() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            return cursor.execute("select * from leads where lower(email) = lower(%s)", [email]).fetchall()


class Supabase(Sigma):
    """The stand-in for Supabase alone, as `python -m sigma_app supabase` serves it."""

    command = ("supabase",)
    env_command = ("supabase", "--env")

    @property
    def own_dir(self) -> Path:
        return self.data_dir / "supabase"
