"""The real Python client, asynchronous over ASGI and synchronous over HTTP: all that its storage module offers."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from storage3.exceptions import StorageApiError
from supabase import AsyncClient, AsyncClientOptions, Client, ClientOptions, create_async_client, create_client

from tests.api.conftest import ORIGIN
from tests.api.storage.samples import HTML, PNG
from tests.api.storage.served import Served

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(supabase_app, keys) -> AsyncIterator[AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(supabase_app)) as over_asgi:
        options = AsyncClientOptions(httpx_client=over_asgi)
        yield await create_async_client(ORIGIN, keys.service_role, options)


@pytest.fixture
def sync_client(running: Served) -> Iterator[Client]:
    with httpx.Client() as over_http:
        yield create_client(running.url, running.keys.service_role, ClientOptions(httpx_client=over_http))


async def test_buckets_with_the_asynchronous_client(client):
    storage = client.storage
    await storage.create_bucket("docs", options={"public": False, "allowed_mime_types": ["text/plain"]})
    assert [bucket.id for bucket in await storage.list_buckets()] == ["docs"]
    bucket = await storage.get_bucket("docs")
    assert (bucket.public, bucket.allowed_mime_types, bucket.owner) == (False, ["text/plain"], "")
    changed = await storage.update_bucket("docs", {"public": True, "file_size_limit": 100})
    assert changed["message"] == "Successfully updated"
    assert (await storage.get_bucket("docs")).file_size_limit == 100
    with pytest.raises(StorageApiError) as taken:
        await storage.create_bucket("docs")
    assert (taken.value.status, taken.value.code) == ("409", "Duplicate")
    await storage.from_("docs").upload("a.txt", b"x")
    with pytest.raises(StorageApiError) as full:
        await storage.delete_bucket("docs")
    assert full.value.status == "409"
    await storage.empty_bucket("docs")
    await storage.delete_bucket("docs")
    with pytest.raises(StorageApiError) as gone:
        await storage.get_bucket("docs")
    assert (gone.value.status, gone.value.code) == ("404", "Bucket not found")


async def test_objects_with_the_asynchronous_client(client, connect, tmp_path):
    await client.storage.create_bucket("files", options={"public": True})
    files = client.storage.from_("files")
    kept = {"content-type": "image/png", "cache-control": "60", "metadata": {"by": "me"}}
    uploaded = await files.upload("a b/cat.png", PNG, kept)
    assert (uploaded.path, uploaded.full_path) == ("a b/cat.png", "files/a b/cat.png")
    assert await files.download("a b/cat.png") == PNG
    info = await files.info("a b/cat.png")
    assert (info["size"], info["content_type"], info["cache_control"]) == (len(PNG), "image/png", "max-age=60")
    assert info["metadata"] == {"by": "me"}
    assert await files.exists("a b/cat.png")
    assert not await files.exists("a b/dog.png")

    with pytest.raises(StorageApiError) as taken:
        await files.upload("a b/cat.png", b"other")
    assert (taken.value.status, taken.value.code) == ("409", "Duplicate")
    await files.upload("a b/cat.png", b"other", {"upsert": "true"})
    await files.update("a b/cat.png", PNG, {"content-type": "image/png"})
    written = tmp_path / "note.txt"
    written.write_text("hello")
    await files.upload("note.txt", written)
    await files.upload("stream.txt", io.BufferedReader(io.BytesIO(b"streamed")))

    assert [entry["name"] for entry in await files.list()] == ["a b", "note.txt", "stream.txt"]
    listed = await files.list("a b", {"limit": 1, "sortBy": {"column": "created_at", "order": "desc"}, "search": "c"})
    assert [entry["name"] for entry in listed] == ["cat.png"]
    paged = await files.list_v2({"with_delimiter": True, "limit": 2})
    assert ([f.name for f in paged.folders], [o.name for o in paged.objects]) == (["a b/"], ["note.txt"])
    following = await files.list_v2({"with_delimiter": True, "cursor": paged.nextCursor or ""})
    assert [o.name for o in following.objects] == ["stream.txt"]

    await files.copy("note.txt", "copies/note.txt")
    await files.move("stream.txt", "moved/stream.txt")
    assert await files.download("copies/note.txt") == b"hello"
    assert await files.download("moved/stream.txt") == b"streamed"
    removed = await files.remove(["copies/note.txt", "moved/stream.txt", "none"])
    assert sorted(entry["name"] for entry in removed) == ["copies/note.txt", "moved/stream.txt"]

    public = await files.get_public_url("a b/cat.png", {"download": "ü cat.png"})
    read = await connect().get(public)
    assert read.content == PNG
    assert "filename*=UTF-8''%C3%BC%20cat.png" in read.headers["content-disposition"]


async def test_signed_addresses_with_the_asynchronous_client(client, connect):
    await client.storage.create_bucket("files")
    files = client.storage.from_("files")
    await files.upload("a b/cat.png", PNG, {"content-type": "image/png"})
    signed = await files.create_signed_url("a b/cat.png", 60, {"download": True})
    read = await connect().get(signed["signedURL"])
    assert (read.content, read.headers["content-disposition"]) == (PNG, "attachment;")
    many = await files.create_signed_urls(["a b/cat.png", "none"], 60)
    assert (await connect().get(many[0]["signedURL"])).content == PNG
    assert many[1]["signedURL"] is None

    target = await files.create_signed_upload_url("new/one.txt")
    stored = await files.upload_to_signed_url("new/one.txt", target["token"], b"by address")
    assert stored.full_path == "files/new/one.txt"
    assert await files.download("new/one.txt") == b"by address"
    with pytest.raises(StorageApiError) as again:
        await files.upload_to_signed_url("new/one.txt", target["token"], b"twice")
    assert again.value.status == "409"
    with pytest.raises(StorageApiError) as elsewhere:
        await files.upload_to_signed_url("other.txt", target["token"], b"x")
    assert elsewhere.value.code == "InvalidSignature"


async def test_limits_with_the_asynchronous_client(client):
    await client.storage.create_bucket(
        "small", options={"file_size_limit": 100, "allowed_mime_types": ["image/*", "text/plain"]}
    )
    files = client.storage.from_("small")
    await files.upload("cat.png", PNG, {"content-type": "image/png"})
    await files.upload("default.txt", b"text")
    for content, kind, status in ((b"x" * 101, "text/plain", "413"), (HTML, "image/png", "415"), (b"x", "a/b", "415")):
        with pytest.raises(StorageApiError) as refused:
            await files.upload("x", content, {"content-type": kind})
        assert refused.value.status == status


def test_everything_with_the_synchronous_client(sync_client, running, tmp_path):
    storage = sync_client.storage
    storage.create_bucket("sync", options={"public": True})
    files = storage.from_("sync")
    source = tmp_path / "big.bin"
    source.write_bytes(bytes(range(256)) * 40_000)
    assert files.upload("deep/big.bin", source).full_path == "sync/deep/big.bin"
    assert files.download("deep/big.bin") == source.read_bytes()
    assert httpx.get(files.get_public_url("deep/big.bin")).content == source.read_bytes()
    signed = files.create_signed_url("deep/big.bin", 60)["signedURL"]
    part = httpx.get(signed, headers={"range": "bytes=256-257"})
    assert (part.status_code, part.content) == (206, b"\0\1")
    files.move("deep/big.bin", "big.bin")
    assert files.exists("big.bin")
    assert not files.exists("deep/big.bin")
    files.copy("big.bin", "again.bin")
    assert [entry["name"] for entry in files.list()] == ["again.bin", "big.bin"]
    target = files.create_signed_upload_url("signed.txt")
    files.upload_to_signed_url("signed.txt", target["token"], b"x")
    assert len(files.remove(["again.bin", "big.bin", "signed.txt"])) == 3
    storage.delete_bucket("sync")
    with httpx.Client() as over_http, pytest.raises(StorageApiError) as refused:
        anonymous = create_client(running.url, running.keys.anon, ClientOptions(httpx_client=over_http))
        anonymous.storage.create_bucket("mine")
    assert (refused.value.status, refused.value.code) == ("403", "Unauthorized")
    stored = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    assert stored == [source]
