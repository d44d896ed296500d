"""Moving, copying, removing; and that bytes stay exactly as long as somebody needs them."""

from __future__ import annotations

import base64

import pytest

from tests.api.storage.conftest import OBJECT
from tests.api.storage.samples import PNG

pytestmark = pytest.mark.anyio

A = f"{OBJECT}/private/a"


@pytest.fixture
async def a(service, buckets) -> None:
    metadata = base64.b64encode(b'{"by":"me"}').decode()
    headers = {"content-type": "image/png", "cache-control": "max-age=9", "x-metadata": metadata}
    await service.post(A, content=PNG, headers=headers)


def between(source: str, target: str, **further) -> dict:
    return {"bucketId": "private", "sourceKey": source, "destinationKey": target} | further


async def test_a_copy_is_an_object_of_its_own_with_the_same_bytes(service, a, files):
    answer = await service.post(f"{OBJECT}/copy", json=between("a", "b/c"))
    assert answer.status_code == 200
    copied = answer.json()
    assert (copied["Key"], copied["name"], copied["bucket_id"]) == ("private/b/c", "b/c", "private")
    assert copied["Id"] == copied["id"]
    assert len(files()) == 1
    await service.delete(A)
    assert (await service.get(f"{OBJECT}/private/b/c")).content == PNG
    info = (await service.get(f"{OBJECT}/info/private/b/c")).json()
    assert (info["content_type"], info["cache_control"], info["metadata"]) == ("image/png", "max-age=9", {"by": "me"})
    await service.delete(f"{OBJECT}/private/b/c")
    assert files() == []


async def test_a_copy_may_go_to_another_bucket_and_be_called_otherwise(service, a):
    body = between("a", "x", destinationBucket="open", copyMetadata=False, metadata={"mimetype": "text/plain"})
    answer = await service.post(f"{OBJECT}/copy", json=body)
    assert answer.json()["Key"] == "open/x"
    info = (await service.get(f"{OBJECT}/info/open/x")).json()
    assert (info["content_type"], info["cache_control"], info["metadata"]) == ("text/plain", "max-age=9", None)


async def test_a_copy_goes_over_another_only_when_told(service, a, files):
    await service.post(f"{OBJECT}/private/b", content=b"other")
    taken = await service.post(f"{OBJECT}/copy", json=between("a", "b"))
    assert taken.json()["statusCode"] == "409"
    assert (await service.get(f"{OBJECT}/private/b")).content == b"other"
    over = await service.post(f"{OBJECT}/copy", json=between("a", "b"), headers={"x-upsert": "true"})
    assert over.status_code == 200
    assert (await service.get(f"{OBJECT}/private/b")).content == PNG
    itself = await service.post(f"{OBJECT}/copy", json=between("a", "a"), headers={"x-upsert": "true"})
    assert itself.status_code == 200
    assert [file.read_bytes() for file in files()] == [PNG]


async def test_a_move_takes_everything_along(service, a, files):
    before = (await service.get(f"{OBJECT}/info/private/a")).json()
    answer = await service.post(f"{OBJECT}/move", json=between("a", "deep/b", destinationBucket="open"))
    assert (answer.status_code, answer.json()) == (200, {"message": "Successfully moved"})
    after = (await service.get(f"{OBJECT}/info/open/deep/b")).json()
    assert (after["id"], after["metadata"], after["etag"]) == (before["id"], before["metadata"], before["etag"])
    assert (await service.get(A)).json()["error"] == "not_found"
    assert len(files()) == 1


async def test_a_move_goes_over_nothing(service, a):
    await service.post(f"{OBJECT}/private/b", content=b"other")
    assert (await service.post(f"{OBJECT}/move", json=between("a", "b"))).json()["statusCode"] == "409"
    assert (await service.post(f"{OBJECT}/move", json=between("a", "a"))).status_code == 200


@pytest.mark.parametrize("what", ["move", "copy"])
async def test_from_nowhere_and_to_nowhere_nothing_goes(service, a, what):
    for body, status in (
        (between("none", "b"), "404"),
        (between("a", "b", bucketId="none"), "404"),
        (between("a", "b", destinationBucket="none"), "404"),
        (between("a", "ü"), "400"),
        (between("a", ""), "400"),
        (between("a", "b", bucketId="a/b"), "400"),
        (between("a\0", "b"), "400"),
        ({"bucketId": "private", "sourceKey": "a"}, "400"),
        (between("a", "b", bucketId=None), "400"),
    ):
        answer = await service.post(f"{OBJECT}/{what}", json=body)
        assert answer.status_code == 400
        assert answer.json()["statusCode"] == status
    assert (await service.get(A)).content == PNG


async def test_many_are_removed_at_once(service, a, files):
    await service.post(f"{OBJECT}/private/b", content=b"b")
    await service.post(f"{OBJECT}/private/c", content=b"c")
    answer = await service.request("DELETE", f"{OBJECT}/private", json={"prefixes": ["a", "none", "b"]})
    assert answer.status_code == 200
    assert sorted(row["name"] for row in answer.json()) == ["a", "b"]
    row = answer.json()[0]
    assert set(row) == {
        "id", "name", "bucket_id", "owner", "owner_id", "version", "created_at", "updated_at", "last_accessed_at",
        "metadata", "user_metadata",
    }  # fmt: skip
    assert [file.read_bytes() for file in files()] == [b"c"]
    nothing = await service.request("DELETE", f"{OBJECT}/private", json={"prefixes": ["a"]})
    assert (nothing.status_code, nothing.json()) == (200, [])
    assert (await service.request("DELETE", f"{OBJECT}/none", json={"prefixes": ["a"]})).json() == []


async def test_what_shall_be_removed_has_to_be_said(service, a):
    for body in [{}, {"prefixes": []}, {"prefixes": [{}]}, {"prefixes": ["a\0"]}, {"prefixes": ["a"] * 1001}]:
        assert (await service.request("DELETE", f"{OBJECT}/private", json=body)).status_code == 400
        assert (await service.get(A)).content == PNG


async def test_one_is_removed(service, a, files):
    assert (await service.delete(A)).json() == {"message": "Successfully deleted"}
    assert files() == []
    assert (await service.delete(A)).json()["error"] == "not_found"
    assert (await service.delete(f"{OBJECT}/none/a")).json()["statusCode"] == "404"


async def test_the_same_bytes_lie_on_the_disk_once(service, buckets, files):
    for name in ("1", "2", "3"):
        await service.post(f"{OBJECT}/private/{name}", content=PNG)
    assert len(files()) == 1
    await service.delete(f"{OBJECT}/private/1")
    await service.put(f"{OBJECT}/private/2", content=b"other")
    assert (await service.get(f"{OBJECT}/private/3")).content == PNG
    await service.put(f"{OBJECT}/private/3", content=PNG)
    assert (await service.get(f"{OBJECT}/private/3")).content == PNG
    assert len(files()) == 2
