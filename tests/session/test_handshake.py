"""What the frontend's framework learns of a handshake: who it is, and nothing that opens a session."""

from __future__ import annotations

import subprocess
import sys

import pytest
from starlette.types import Receive, Scope, Send

from sigma_app.session.cookie import new_cookie
from sigma_app.session.handshake import seal_cookie, sealed_cookie, sealing_cookies
from sigma_app.settings import Settings
from tests.sigma import PROJECT_ROOT, clean_environment

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("settings")]

IN_ANOTHER_PROCESS = "import sys; from sigma_app.session.handshake import *; print(sealed_cookie(sys.argv[1]))"


async def passed_on(kind: str, *headers: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The headers that the application gets."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def never(*_: object) -> None:
        raise AssertionError

    await sealing_cookies(app)({"type": kind, "headers": list(headers)}, never, never)  # pyright: ignore[reportArgumentType]
    return seen[0]["headers"]


async def test_a_websocket_brings_its_session_sealed_and_no_other_cookie():
    cookie = new_cookie()
    host = (b"host", b"sigma.example.com")
    headers = await passed_on("websocket", host, (b"cookie", f"other=1; sigma_session={cookie}; more=2".encode()))
    assert headers[0] == host
    [(name, value)] = headers[1:]
    assert name == b"cookie"
    assert cookie.encode() not in value
    assert sealed_cookie(value.decode()) == cookie


@pytest.mark.parametrize("given", [b"other=1", b"sigma_session=short", b"sigma_session=\xff"])
async def test_without_a_session_it_brings_none(given: bytes):
    assert await passed_on("websocket", (b"cookie", given)) == []


async def test_a_request_keeps_its_cookies():
    given = (b"cookie", b"sigma_session=" + new_cookie().encode())
    assert await passed_on("http", given) == [given]


def test_every_process_of_this_sigma_reads_it_and_no_other_sigma(settings: Settings, tmp_path):
    cookie = new_cookie()

    def read_by(data_dir: object) -> str:
        return subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, seal_cookie(cookie).decode()],
            cwd=PROJECT_ROOT,
            env=clean_environment(SIGMA_DATA_DIR=str(data_dir)),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    assert read_by(settings.data_dir) == cookie
    assert read_by(tmp_path / "another") == "None"


def test_what_somebody_else_sealed_or_wrote_is_nobody():
    cookie = new_cookie()
    for header in ("", cookie, f"sigma_session={cookie}", seal_cookie(cookie).decode()[:-8] + "AAAAAAA="):
        assert sealed_cookie(header) is None
