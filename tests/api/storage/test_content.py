"""Bytes on disk: whole or not at all, never lost while somebody needs them, never left when nobody does."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time

import httpx
import pytest

from sigma_app.core import login
from sigma_app.core.database import SERVICE, Database, serve_requests_from
from sigma_app.embedded.supabase.storage import receiving, rows
from sigma_app.embedded.supabase.storage.acting import acting
from sigma_app.embedded.supabase.storage.actor import STRANGER
from sigma_app.embedded.supabase.storage.content import Content
from sigma_app.embedded.supabase.storage.names import Place
from tests.api.storage.conftest import BUCKET, OBJECT
from tests.api.storage.samples import PNG
from tests.api.storage.served import served

pytestmark = pytest.mark.anyio

A = f"{OBJECT}/private/a"


def test_an_upload_cut_off_leaves_nothing(owner_url, owner, tmp_path):
    """Over a real socket, closed in the middle: raw with a length, raw in chunks, and by form."""
    data_dir = tmp_path / "data"
    with served(login.login_url(owner_url), data_dir) as running:
        url = httpx.URL(running.url)
        keys = {"apikey": running.keys.service_role, "authorization": f"Bearer {running.keys.service_role}"}
        httpx.post(f"{running.url}{BUCKET}", json={"name": "private"}, headers=keys)
        said = "".join(f"{name}: {value}\r\n" for name, value in keys.items())
        form = b'--x\r\ncontent-disposition: form-data; filename="a"\r\n\r\n'
        for headers, begin in (
            ("content-length: 9000000\r\n", b""),
            ("transfer-encoding: chunked\r\n", b"300000\r\n"),
            ("content-type: multipart/form-data; boundary=x\r\ncontent-length: 9000000\r\n", form),
        ):
            with socket.create_connection((url.host, url.port or 0)) as connection:
                connection.sendall(f"POST {A} HTTP/1.1\r\nhost: x\r\n{said}{headers}\r\n".encode() + begin)
                connection.sendall(b"x" * 3_000_000)
                until(lambda: any(half_received(data_dir)))
            until(lambda: not any(half_received(data_dir)))
        assert owner.execute("select from storage.objects").fetchall() == []
        assert [path for path in (data_dir / "storage").rglob("*") if path.is_file()] == []
        whole = httpx.post(f"{running.url}{A}", content=PNG, headers=keys)
        assert whole.status_code == 200


def half_received(data_dir):
    return (path for path in (data_dir / "storage" / "incoming").glob("*") if path.stat().st_size)


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("failing", ["write", "fsync", "link", "open"])
async def test_a_full_disk_is_told_and_leaves_nothing(service, buckets, files, owner, monkeypatch, failing):
    def full(*_args, **_named):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        if failing == "write":
            patched.setattr(receiving.Incoming, "_write_now", full)
        elif failing == "open":
            patched.setattr(Content, "_begin", full)
        else:
            patched.setattr(os, failing, full)
        answer = await service.post(A, content=PNG)
    assert answer.status_code == 507
    assert answer.json()["message"] == "There is no room left to store the file"
    assert files() == []
    assert owner.execute("select from storage.objects").fetchall() == []
    assert (await service.post(A, content=PNG)).status_code == 200


async def test_a_row_that_cannot_be_written_leaves_no_bytes(service, buckets, files, owner):
    owner.execute("alter table storage.objects add check (version = '1')")
    answer = await service.post(A, content=PNG)
    assert answer.status_code == 500
    assert files() == []


async def test_the_same_bytes_come_and_go_at_once_and_nobody_loses_them(service, buckets, files, owner):
    """Twelve objects with two contents between them, written over and removed all at once."""
    contents = (b"one" * 1000, b"two" * 1000)

    async def churn(number: int) -> None:
        place = f"{OBJECT}/private/{number}"
        for turn in range(8):
            put = await service.put(place, content=contents[(number + turn) % 2])
            assert put.status_code == 200, put.text
            read = await service.get(place)
            assert read.content == contents[(number + turn) % 2], read.text
            if turn % 3 == 2:
                assert (await service.delete(place)).status_code == 200

    await asyncio.gather(*(churn(number) for number in range(6)))
    versions = {version for (version,) in owner.execute("select version from storage.objects").fetchall()}
    assert {file.name for file in files()} == versions
    for number in range(6):
        assert (await service.get(f"{OBJECT}/private/{number}")).content == contents[(number + 7) % 2]


async def test_who_removes_the_last_row_waits_for_who_is_about_to_write_one(
    supabase_app, service, buckets, storage_dir, files, owner
):
    """The same bytes come back at the very moment at which nobody seems to need them any more."""
    content = Content(storage_dir)
    waiting = "select from pg_locks where locktype = 'advisory' and not granted"

    async def remove(digest: str) -> None:
        async with content.changing() as change:
            await change.remove([digest])

    async with content.receive() as incoming:
        await incoming.write(PNG)
        await incoming.finish()
        async with content.changing() as change, acting(SERVICE, "") as cursor:
            await change.add(incoming, cursor)
            removing = asyncio.create_task(remove(incoming.digest))
            await asyncio.to_thread(until, lambda: removing.done() or owner.execute(waiting).rowcount)
            row = rows.NewRow(Place("private", "a"), STRANGER, incoming.digest, {}, None)
            await rows.write(cursor, row)
        await removing
    assert (await service.get(A)).content == PNG
    assert len(files()) == 1


async def test_of_many_who_write_one_name_one_is_kept(service, buckets, files, owner):
    contents = [bytes([number]) * 100 for number in range(12)]
    answers = await asyncio.gather(*(service.put(A, content=content) for content in contents))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["Id"] for answer in answers}) == 1
    assert [file.read_bytes() for file in files()] == [(await service.get(A)).content]

    fresh = f"{OBJECT}/private/fresh"
    answers = await asyncio.gather(*(service.post(fresh, content=content) for content in contents))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 11
    assert len(files()) == len({row[0] for row in owner.execute("select version from storage.objects").fetchall()})


async def test_what_is_read_can_be_read_to_its_end(service, buckets, monkeypatch):
    """The file is removed while it is on its way."""
    await service.post(A, content=b"x" * 1_000_000)
    read = b""
    async with service.stream("GET", A) as answer:
        async for piece in answer.aiter_bytes(1000):
            if not read:
                assert (await service.delete(A)).status_code == 200
            read += piece
    assert len(read) == 1_000_000


async def test_what_processes_that_died_have_left_is_swept(login_url, storage_dir, service, buckets, files):
    """A half received file, one of which no row came, one that a row still needs; not what others are at now."""
    await service.post(A, content=PNG)
    (kept,) = files()
    orphan = storage_dir / "content" / "ab" / ("ab" * 32)
    orphan.parent.mkdir()
    orphan.write_bytes(b"orphan")
    incoming = storage_dir / "incoming"
    left = [incoming / "half", incoming / f"{orphan.name}.1", incoming / f"{kept.name}.2", incoming / f"{kept.name}.3"]
    for path in left:
        path.touch()
        os.utime(path, (0, 0))
    young = incoming / "young"
    young.touch()

    content = Content(storage_dir)
    async with content.receive() as being_received:
        await being_received.write(b"x" * receiving.WRITE_BYTES)
        (at_work,) = set(incoming.iterdir()) - {*left, young}
        os.utime(at_work, (0, 0))
        await Content(storage_dir).sweep()
        assert set(files()) == {kept, young, at_work}
    assert set(files()) == {kept, young}
    assert (await service.get(A)).content == PNG


async def test_it_is_swept_with_the_first_upload_of_a_process(supabase_app, service, buckets, storage_dir, files):
    (storage_dir / "incoming").mkdir(parents=True)
    half = storage_dir / "incoming" / "half"
    half.write_bytes(b"x")
    os.utime(half, (0, 0))
    assert (await service.post(A, content=PNG)).status_code == 200
    assert half not in files()


async def test_while_the_database_is_away_it_says_so(service, buckets, connect, keys, supabase_app):
    async with Database("postgresql://nobody@127.0.0.1:1/none") as away:
        with serve_requests_from(away):
            asked = (
                service.get(A),
                service.post(A, content=PNG),
                service.get(BUCKET),
                service.post(f"{OBJECT}/list/private", json={"prefix": ""}),
            )
            for answer in await asyncio.gather(*asked):
                assert answer.status_code == 503
                assert answer.json()["message"] == "The connection to the database timed out"
            assert (await service.get("/storage/v1/health")).json() == {"healthy": False}
