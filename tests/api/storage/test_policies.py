"""Row level security decides: each operation needs the rights that the real server asks for, and no others."""

from __future__ import annotations

import pytest

from tests.api.storage.conftest import OBJECT, OWN_FOLDER

pytestmark = pytest.mark.anyio

RULES = {
    "upload": {"insert"},
    "upload by form": {"insert"},
    "upsert a new one": {"insert", "select"},
    "upsert": {"insert", "select", "update"},
    "put": {"insert", "select", "update"},
    "download": {"select"},
    "info": {"select"},
    "exists": {"select"},
    "sign": {"select"},
    "sign an upload": {"insert"},
    "remove": {"select", "delete"},
    "remove many": {"select", "delete"},
    "move": {"select", "update"},
    "copy": {"select", "insert"},
}


async def attempt(client, what: str) -> bool:
    """Do one thing in bucket `private`, where object `there` is; whether it was done."""
    there, new = f"{OBJECT}/private/there", f"{OBJECT}/private/new"
    keys = {"bucketId": "private", "sourceKey": "there", "destinationKey": "other"}
    upsert = {"x-upsert": "true"}
    asked = {
        "upload": ("POST", new, {"content": b"x"}),
        "upload by form": ("POST", new, {"files": {"": ("blob", b"x")}}),
        "upsert a new one": ("POST", new, {"content": b"x", "headers": upsert}),
        "upsert": ("POST", there, {"content": b"x", "headers": upsert}),
        "put": ("PUT", there, {"content": b"x"}),
        "download": ("GET", there, {}),
        "info": ("GET", f"{OBJECT}/info/private/there", {}),
        "exists": ("HEAD", there, {}),
        "sign": ("POST", f"{OBJECT}/sign/private/there", {"json": {"expiresIn": 9}}),
        "sign an upload": ("POST", f"{OBJECT}/upload/sign/private/new", {}),
        "remove": ("DELETE", there, {}),
        "remove many": ("DELETE", f"{OBJECT}/private", {"json": {"prefixes": ["there"]}}),
        "move": ("POST", f"{OBJECT}/move", {"json": keys}),
        "copy": ("POST", f"{OBJECT}/copy", {"json": keys}),
    }
    method, path, options = asked[what]
    answer = await client.request(method, path, **options)
    assert answer.status_code in (200, 400), answer.text
    return answer.status_code == 200 and answer.text != "[]"


@pytest.mark.parametrize("what", RULES)
async def test_each_operation_needs_its_rights(service, as_person, alice, allow, owner, buckets, files, what):
    await service.post(f"{OBJECT}/private/there", content=b"there")
    client = as_person(alice)
    needed = RULES[what]
    for missing in needed:
        allow(*needed - {missing})
        assert not await attempt(client, what), f"{what} without {missing}"
        for (policy,) in owner.execute("select policyname from pg_policies where tablename = 'objects'").fetchall():
            owner.execute(f'drop policy "{policy}" on storage.objects'.encode())
    rows = owner.execute("select name, version from storage.objects").fetchall()
    assert [name for name, _ in rows] == ["there"]
    assert len(files()) == 1
    allow(*needed)
    assert await attempt(client, what)


async def test_everybody_keeps_to_their_folder(service, as_person, anon, alice, bob, allow, buckets, owner):
    allow("select", "insert", "update", "delete", condition=OWN_FOLDER, role="authenticated")
    hers, his = f"{OBJECT}/private/{alice.id}/cv.pdf", f"{OBJECT}/private/{bob.id}/cv.pdf"
    assert (await as_person(alice).post(hers, content=b"hers")).status_code == 200
    assert owner.execute("select owner, owner_id from storage.objects").fetchone() == (alice.id, str(alice.id))

    for client in (as_person(bob), anon):
        assert (await client.get(hers)).json()["error"] == "not_found"
        for answer in (
            await client.post(hers, content=b"x", headers={"x-upsert": "true"}),
            await client.put(hers, content=b"x"),
            await client.post(f"{OBJECT}/private/{alice.id}/other", content=b"x"),
        ):
            assert answer.status_code == 400
            assert answer.json()["statusCode"] == "403"
            assert answer.json()["error"] == "Unauthorized"
            assert answer.json()["message"] == "new row violates row-level security policy"
        assert (await client.delete(hers)).json()["message"] == "Access denied"
        removed = await client.request("DELETE", f"{OBJECT}/private", json={"prefixes": [f"{alice.id}/cv.pdf"]})
        assert removed.json() == []
    keys = {"bucketId": "private", "sourceKey": f"{alice.id}/cv.pdf", "destinationKey": f"{bob.id}/cv.pdf"}
    for what in ("copy", "move"):
        assert (await as_person(bob).post(f"{OBJECT}/{what}", json=keys)).json()["error"] == "not_found"
        assert (await as_person(alice).post(f"{OBJECT}/{what}", json=keys)).json()["statusCode"] == "403"
    assert (await service.get(hers)).content == b"hers"
    assert (await service.get(his)).status_code == 400


async def test_a_public_bucket_is_public_for_reading_only(anon, service, buckets):
    await service.post(f"{OBJECT}/open/a", content=b"x")
    assert (await anon.get(f"{OBJECT}/open/a")).content == b"x"
    assert (await anon.post(f"{OBJECT}/open/b", content=b"x")).json()["statusCode"] == "403"
    assert (await anon.delete(f"{OBJECT}/open/a")).json()["statusCode"] == "403"
    assert (await anon.post(f"{OBJECT}/list/open", json={"prefix": ""})).json() == []
    assert (await anon.post(f"{OBJECT}/sign/open/a", json={"expiresIn": 9})).json()["error"] == "not_found"


async def test_policies_may_ask_what_it_is_about(service, as_person, alice, allow, buckets):
    allow("select", condition="storage.allow_only_operation('object.get_authenticated')")
    await service.post(f"{OBJECT}/private/a", content=b"x")
    client = as_person(alice)
    assert (await client.get(f"{OBJECT}/private/a")).content == b"x"
    assert (await client.post(f"{OBJECT}/list/private", json={"prefix": ""})).json() == []
    assert (await client.post(f"{OBJECT}/sign/private/a", json={"expiresIn": 9})).status_code == 400


async def test_policies_may_ask_for_the_declared_type_and_the_name(as_person, alice, allow, buckets):
    allow("insert", condition="metadata ->> 'mimetype' = 'image/png' and storage.extension(name) = 'png'")
    client = as_person(alice)
    png = {"content-type": "image/png"}
    assert (await client.post(f"{OBJECT}/private/a.png", content=b"x", headers=png)).status_code == 200
    assert (await client.post(f"{OBJECT}/private/a.gif", content=b"x", headers=png)).status_code == 400
    assert (await client.post(f"{OBJECT}/private/b.png", content=b"x")).status_code == 400


async def test_a_token_that_is_not_good_is_refused(connect, keys, token_of, alice, buckets):
    for claims, message in [
        ({"exp": 1}, '"exp" claim timestamp check failed'),
        ({"nbf": 2**33}, '"nbf" claim timestamp check failed'),
        ({"role": "nobody_of_this_name"}, 'role "nobody_of_this_name" does not exist'),
        ({"role": "postgres"}, 'permission denied to set role "postgres"'),
        ({"role": 5}, "Access denied: Invalid role"),
    ]:
        client = connect(apikey=keys.anon, authorization=f"Bearer {token_of(alice, **claims)}")
        answer = await client.post(f"{OBJECT}/list/private", json={"prefix": ""})
        assert answer.status_code == 400
        assert answer.json()["statusCode"] == "403"
        assert answer.json()["message"] == message


async def test_the_bearer_counts_and_not_the_key(connect, keys, token_of, alice, buckets):
    as_alice = connect(apikey=keys.service_role, authorization=f"bearer {token_of(alice)}")
    assert (await as_alice.post(f"{OBJECT}/private/a", content=b"x")).json()["statusCode"] == "403"
    as_service = connect(apikey=keys.anon, authorization=f"Bearer {keys.service_role}")
    assert (await as_service.post(f"{OBJECT}/private/a", content=b"x")).status_code == 200
    basic = connect(apikey=keys.service_role, authorization="Basic YTpi")
    assert (await basic.post(f"{OBJECT}/private/b", content=b"x")).json()["message"] == "Invalid Compact JWS"


async def test_names_are_taken_apart_as_policies_expect(owner):
    row = owner.execute(
        "select storage.foldername('a/b/c.tar.gz'), storage.filename('a/b/c.tar.gz'),"
        " storage.extension('a/b/c.tar.gz'), storage.foldername('c'), storage.filename('c'),"
        " storage.allow_any_operation(array['x'])"
    ).fetchone()
    assert row == (["a", "b"], "c.tar.gz", "gz", [], "c", False)
