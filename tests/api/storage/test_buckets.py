"""Buckets: their life, their limits, who may touch them, and what is refused in the real server's words."""

from __future__ import annotations

import pytest

from tests.api.storage.conftest import BUCKET, OBJECT
from tests.api.storage.samples import PNG

pytestmark = pytest.mark.anyio


async def test_a_bucket_is_made_seen_changed_and_deleted(service):
    made = await service.post(BUCKET, json={"id": "avatars", "name": "avatars"})
    assert (made.status_code, made.json()) == (200, {"name": "avatars"})

    seen = (await service.get(f"{BUCKET}/avatars")).json()
    assert set(seen) == {
        "id", "name", "owner", "public", "created_at", "updated_at", "file_size_limit", "allowed_mime_types",
    }  # fmt: skip
    assert (seen["id"], seen["owner"], seen["public"], seen["file_size_limit"]) == ("avatars", "", False, None)
    assert seen["created_at"].endswith("Z")

    changes = {"public": True, "file_size_limit": "1.5MB", "allowed_mime_types": ["image/*", ""]}
    changed = await service.put(f"{BUCKET}/avatars", json={"id": "avatars", "name": "avatars"} | changes)
    assert changed.json() == {"message": "Successfully updated"}
    seen = (await service.get(f"{BUCKET}/avatars")).json()
    assert (seen["public"], seen["file_size_limit"], seen["allowed_mime_types"]) == (True, 1_500_000, ["image/*"])

    assert (await service.delete(f"{BUCKET}/avatars")).json() == {"message": "Successfully deleted"}
    gone = await service.get(f"{BUCKET}/avatars")
    assert gone.status_code == 400
    assert gone.json() == {
        "statusCode": "404",
        "error": "Bucket not found",
        "message": "Bucket not found",
        "code": "NoSuchBucket",
    }


async def test_a_name_is_taken_once(service, buckets):
    again = await service.post(BUCKET, json={"name": "private"})
    assert again.status_code == 400
    assert again.json()["statusCode"] == "409"
    assert again.json()["error"] == "Duplicate"
    assert again.json()["message"] == "The resource already exists"


async def test_some_names_no_bucket_may_have(service):
    for name in ["", "a/b", "ü", "x" * 101, " a", "a ", "a\0b", "a\nb", "a#b"]:
        answer = await service.post(BUCKET, json={"name": name})
        assert answer.status_code == 400
        assert answer.json()["statusCode"] == "400"


async def test_what_is_of_another_shape_is_refused_by_name(service):
    for body, message in [
        ({}, "body must have required property 'name'"),
        ({"name": ["a", "b"]}, "body/name must be string"),
        ({"name": "a", "public": "perhaps"}, "body/public must be boolean"),
        ({"name": "a", "file_size_limit": -1}, "body/file_size_limit must be >= 0"),
        ({"name": "a", "file_size_limit": "5 apples"}, "body/file_size_limit must be integer"),
        ({"name": "a", "file_size_limit": 1.5}, "body/file_size_limit must be integer"),
        ({"name": "a", "type": "OTHER"}, "body/type must be equal to one of the allowed values"),
        ({"name": "a", "allowed_mime_types": [{}]}, "body/allowed_mime_types/0 must be string"),
        ([], "body must be object"),
    ]:
        answer = await service.post(BUCKET, json=body)
        assert answer.status_code == 400
        assert answer.json()["message"] == message


async def test_what_is_no_json_is_refused(service):
    for content, kind in [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b'{"name":"a\\u0000"}', "application/json"),
        (b'{"name":"\\ud800"}', "application/json"),
        (b'{"name":"\xff"}', "application/json"),
        (b'{"file_size_limit":1e999,"name":"a"}', "application/json"),
        (b'{"file_size_limit":NaN,"name":"a"}', "application/json"),
        (b'{"name":' + b"[" * 100_000, "application/json"),
        (b'{"name":"a"}', "text/plain"),
        (b"name=a", "application/x-www-form-urlencoded"),
    ]:
        answer = await service.post(BUCKET, content=content, headers={"content-type": kind})
        assert answer.status_code == 400
        assert answer.json()["code"] == "InvalidRequest"


async def test_a_body_has_an_end(service):
    answer = await service.post(BUCKET, json={"name": "a", "more": "x" * 2**20})
    assert answer.status_code == 413
    assert answer.json()["code"] == "EntityTooLarge"


async def test_no_bucket_takes_larger_files_than_the_project(service):
    for limit in ["51GB", 10**12, "999999999999999GB"]:
        answer = await service.post(BUCKET, json={"name": "a", "file_size_limit": limit})
        assert answer.json()["statusCode"] == "413"
        assert answer.json()["error"] == "Payload too large"


@pytest.mark.parametrize(
    ("limit", "bytes_"), [("50MB", 50_000_000), ("20kb", 20_000), ("3B", 3), ("0.01gb", 10_000_000), (0, 0), ("77", 77)]
)
async def test_a_limit_may_have_a_unit(service, limit, bytes_):
    await service.post(BUCKET, json={"name": "a", "file_size_limit": limit})
    assert (await service.get(f"{BUCKET}/a")).json()["file_size_limit"] == bytes_


async def test_a_bucket_takes_media_types_only(service):
    for kind in ["image", "image/png; x=y", "a/b/c", "x" * 1001 + "/*"]:
        answer = await service.post(BUCKET, json={"name": "a", "allowed_mime_types": [kind]})
        assert answer.json()["error"] == "invalid_mime_type"
        assert answer.json()["statusCode"] == "415"


async def test_a_bucket_goes_only_when_nothing_is_in_it(service, buckets, files):
    for name in ("a", "b/c"):
        await service.post(f"{OBJECT}/private/{name}", content=PNG)
    full = await service.delete(f"{BUCKET}/private")
    assert full.json()["statusCode"] == "409"
    assert full.json()["message"] == "The bucket you tried to delete is not empty"

    assert (await service.post(f"{BUCKET}/private/empty", json={})).status_code == 200
    assert files() == []
    assert (await service.delete(f"{BUCKET}/private")).status_code == 200


async def test_what_is_not_there_cannot_be_changed(service):
    for answer in (
        await service.put(f"{BUCKET}/none", json={"public": True}),
        await service.delete(f"{BUCKET}/none"),
        await service.post(f"{BUCKET}/none/empty", json={}),
    ):
        assert answer.json()["statusCode"] == "404"


async def test_a_change_says_what_changes(service, buckets):
    assert (await service.put(f"{BUCKET}/private", json={"name": "private"})).status_code == 400


async def test_buckets_are_listed_by_page_order_and_name(service):
    for name in ("b1", "a2", "a1", "c_d"):
        await service.post(BUCKET, json={"name": name})

    async def names(**query) -> list[str]:
        return [bucket["id"] for bucket in (await service.get(BUCKET, params=query)).json()]

    assert set(await names()) == {"b1", "a2", "a1", "c_d"}
    assert await names(sortColumn="name", sortOrder="desc", limit=2) == ["c_d", "b1"]
    assert await names(sortColumn="name", search="a", offset=1) == ["a2"]
    assert await names(search="_") == ["c_d"]
    assert await names(sortColumn="created_at") == ["b1", "a2", "a1", "c_d"]
    assert (await service.get(BUCKET)).json()[0]["type"] == "STANDARD"
    for query in (
        {"limit": 0},
        {"limit": "x"},
        {"offset": -1},
        {"sortColumn": "owner"},
        {"sortOrder": "up"},
        {"search": "\0"},
    ):
        assert (await service.get(BUCKET, params=query)).status_code == 400


async def test_without_a_policy_buckets_are_for_the_service_alone(service, anon, as_person, alice, buckets):
    for client in (anon, as_person(alice)):
        refused = await client.post(BUCKET, json={"name": "mine"})
        assert refused.status_code == 400
        assert refused.json()["statusCode"] == "403"
        assert refused.json()["message"] == "new row violates row-level security policy"
        assert (await client.get(BUCKET)).json() == []
        assert (await client.get(f"{BUCKET}/open")).json()["statusCode"] == "404"
        assert (await client.put(f"{BUCKET}/open", json={"public": False})).json()["statusCode"] == "404"
        assert (await client.delete(f"{BUCKET}/open")).json()["statusCode"] == "404"
        emptied = await client.post(f"{BUCKET}/open/empty", json={})
        assert (emptied.status_code, emptied.json()["message"]) == (403, "Access denied: Invalid role")


async def test_a_policy_lets_people_make_buckets_of_their_own(owner, as_person, alice, bob):
    owner.execute("create policy own on storage.buckets to authenticated using (owner_id = (select auth.uid())::text)")
    assert (await as_person(alice).post(BUCKET, json={"name": "hers"})).status_code == 200
    seen = (await as_person(alice).get(f"{BUCKET}/hers")).json()
    assert seen["owner"] == str(alice.id)
    assert (await as_person(bob).get(f"{BUCKET}/hers")).json()["statusCode"] == "404"
    assert (await as_person(bob).delete(f"{BUCKET}/hers")).json()["statusCode"] == "404"
    assert (await as_person(alice).delete(f"{BUCKET}/hers")).status_code == 200


async def test_no_row_is_deleted_past_the_api(owner, service, buckets):
    with pytest.raises(Exception, match="Use the Storage API instead"):
        owner.execute("delete from storage.buckets")
