"""A real Redis for the tests that need one: found, or installed by Debian's package.

`python -m tests.redis_server` is the step of `make test` that installs it; tests skip where that cannot be done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
import redis

from tests.sigma import START_SECONDS, free_port

PASSWORD = "a-password-of-redis"


@dataclass
class RedisServer:
    """One of a test's own, behind a password; keeps nothing when it ends."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A connection of the test's own."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> Self:
        """Start it, and return when it answers."""
        program = find()
        if program is None:
            pytest.skip("There is no redis-server here, and none could be installed: apt-get install redis-server")
        options = {"port": self.port, "bind": "127.0.0.1", "requirepass": PASSWORD, "save": "", "dir": self.directory}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self.process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, "Redis ended at its start."
            assert time.monotonic() < deadline, "Redis does not answer."
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End it at once, as a crash does."""
        if self.process:
            self.process.kill()
            self.process.wait(15)
            self.process = None

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


def find() -> str | None:
    """The program, if it is there."""
    return shutil.which("redis-server")


def ensure() -> None:
    """Install it where that is possible; nothing is said where it is not, as tests say so themselves."""
    if find() or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "--yes", "--no-install-recommends", "redis-server"],
    ):
        print(f"  Looking for a Redis: {' '.join(command)} …", file=sys.stderr)
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)


if __name__ == "__main__":
    ensure()
