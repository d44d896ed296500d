"""`python -m sigma_app dev`: starts, reaches the backend through the pages' port, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from tests.sigma import PROJECT_ROOT, Sigma, free_port


def port_with_room_above() -> int:
    """A free port whose neighbour 5000 above is free too."""
    while True:
        port = free_port()
        if port + 5000 > 65535:
            continue
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port + 5000)):
                return port


def founders(port: int) -> dict | None:
    """What the pages' port says of the count, or None while it does not answer."""
    try:
        with urlopen(f"http://localhost:{port}/founders.json", timeout=5) as answer:
            return json.load(answer)
    except (URLError, ConnectionError, TimeoutError, ValueError):
        return None


def test_development_reaches_the_backend_and_ends_with_everything_it_started(tmp_path: Path):
    sigma = Sigma(tmp_path / "data", port=port_with_room_above())
    with sigma.log.open("w") as log:
        command = [sys.executable, "-m", "sigma_app", "dev"]
        process = subprocess.Popen(command, cwd=PROJECT_ROOT, env=sigma.environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while (answer := founders(sigma.port)) is None:
            assert process.poll() is None, sigma.log.read_text()
            assert time.monotonic() < deadline, sigma.log.read_text()
            time.sleep(0.2)
        assert answer == {"founders": 0}
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) > 2
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    assert psutil.wait_procs(started, timeout=20)[1] == []
    sigma.remove()
