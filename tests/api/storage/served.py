"""The embedded Supabase in a process of its own: `python -m tests.api.storage.served PORT LOGIN_URL DATA_DIR`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase import app
from sigma_app.embedded.supabase.keys import Keys, keys_in
from tests.conftest import settings_for
from tests.sigma import PROJECT_ROOT, clean_environment, free_port

START_SECONDS = 60


@dataclass(frozen=True)
class Served:
    """A running one."""

    url: str
    pid: int
    keys: Keys
    data_dir: Path


@contextmanager
def served(login_url: str, data_dir: Path) -> Iterator[Served]:
    """Run one inside the block."""
    port = free_port()
    command = [sys.executable, "-m", "tests.api.storage.served", str(port), login_url, str(data_dir)]
    with data_dir.with_suffix(".log").open("a") as log:
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=clean_environment(), stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(process, url, data_dir)
        yield Served(url, process.pid, keys_in(data_dir), data_dir)
    finally:
        process.terminate()
        process.wait(15)


def _wait_until_it_answers(process: subprocess.Popen, url: str, data_dir: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{url}/storage/v1/status")
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(data_dir.with_suffix(".log").read_text())


async def _serve(port: int, login_url: str, data_dir: Path) -> None:
    async with Database(login_url, pool_size=10) as database:
        with serve_requests_from(database):
            routes = app.routes(settings_for(data_dir))
            config = uvicorn.Config(Starlette(routes=routes), port=port, log_level="warning")
            await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
