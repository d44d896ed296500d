"""How much memory eight uploads and downloads of 50 MB take at once, in a process of their own."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from sigma_app.core import login
from tests.api.storage.conftest import BUCKET, OBJECT
from tests.api.storage.served import served

pytestmark = pytest.mark.anyio

FILE_BYTES = 50 * 1024 * 1024
AT_ONCE = 8
MOST_BYTES = 60 * 1024 * 1024  # of growth; 400 MB go through


def peak(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
async def test_memory_stays_flat_at_eight_times_50_mb(owner_url, tmp_path):
    block = os.urandom(64 * 1024)

    async def content(number: int) -> AsyncIterator[bytes]:
        yield bytes([number]) * len(block)
        for _ in range(FILE_BYTES // len(block) - 1):
            yield block

    async def upload(client: httpx.AsyncClient, number: int) -> None:
        place = f"{OBJECT}/private/{number}"
        if number % 2:
            answer = await client.post(place, content=content(number))
        else:
            body = b'--x\r\ncontent-disposition: form-data; filename="a"\r\n\r\n'
            headers = {"content-type": "multipart/form-data; boundary=x"}
            answer = await client.post(place, content=wrapped(body, content(number), b"\r\n--x--\r\n"), headers=headers)
        assert answer.status_code == 200, answer.text

    async def download(client: httpx.AsyncClient, number: int) -> None:
        size = 0
        async with client.stream("GET", f"{OBJECT}/private/{number}") as answer:
            async for piece in answer.aiter_raw():
                size += len(piece)
        assert size == FILE_BYTES

    with served(login.login_url(owner_url), tmp_path / "data") as running:
        keys = {"apikey": running.keys.service_role}
        async with httpx.AsyncClient(base_url=running.url, headers=keys, timeout=120) as client:
            await client.post(BUCKET, json={"name": "private"})
            await client.post(f"{OBJECT}/private/small", content=b"x")
            before = peak(running.pid)
            await asyncio.gather(*(upload(client, number) for number in range(AT_ONCE)))
            after_uploads = peak(running.pid)
            await asyncio.gather(*(download(client, number) for number in range(AT_ONCE)))
            after_downloads = peak(running.pid)
    print(f"grew {(after_uploads - before) / 2**20:.1f} MB, then {(after_downloads - after_uploads) / 2**20:.1f} MB")
    assert after_downloads - before < MOST_BYTES


async def wrapped(before: bytes, content: AsyncIterator[bytes], after: bytes) -> AsyncIterator[bytes]:
    yield before
    async for piece in content:
        yield piece
    yield after
