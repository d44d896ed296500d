"""Signed addresses: what they open, for how long, and all that they do not."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from sigma_app.embedded.supabase import tokens
from sigma_app.embedded.supabase.storage.names import Place
from sigma_app.embedded.supabase.storage.signing import UPLOAD_SECONDS, Signer
from tests.api.storage.conftest import OBJECT, OWN_FOLDER
from tests.api.storage.samples import PNG

pytestmark = pytest.mark.anyio

SIGN = f"{OBJECT}/sign/private/a.png"
SIGN_UPLOAD = f"{OBJECT}/upload/sign/private/new.png"


@pytest.fixture
async def picture(service, buckets) -> None:
    for name in ("a.png", "b.png"):
        await service.post(f"{OBJECT}/private/{name}", content=PNG, headers={"content-type": "image/png"})


def token_in(address: str) -> str:
    return parse_qs(urlsplit(address).query)["token"][0]


async def test_whoever_has_the_address_reads(service, connect, picture):
    answer = await service.post(SIGN, json={"expiresIn": 60}, headers={"apikey": service.headers["apikey"]})
    address = answer.json()["signedURL"]
    assert address.startswith("/object/sign/private/a.png?token=")
    bare = connect()
    read = await bare.get(f"/storage/v1{address}&download=x.png")
    assert (read.status_code, read.content) == (200, PNG)
    assert read.headers["content-disposition"].startswith("attachment; filename=x.png")
    assert "expires" in read.headers
    assert "cache-control" not in read.headers
    assert (await bare.head(f"/storage/v1{address}")).headers["content-length"] == str(len(PNG))
    part = await bare.get(f"/storage/v1{address}", headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")


async def test_it_tells_what_it_is_for_and_until_when(service, picture):
    address = (await service.post(SIGN, json={"expiresIn": "60"})).json()["signedURL"]
    claims = jwt.decode(token_in(address), options={"verify_signature": False})
    assert claims["url"] == "private/a.png"
    assert claims["exp"] - claims["iat"] == 60


async def test_many_are_signed_at_once(service, connect, picture):
    body = {"expiresIn": 60, "paths": ["a.png", "none", "b.png"]}
    signed = (await service.post(f"{OBJECT}/sign/private", json=body)).json()
    assert [item["path"] for item in signed] == ["a.png", "none", "b.png"]
    assert signed[1]["error"] == "Either the object does not exist or you do not have access to it"
    assert signed[1]["signedURL"] is None
    assert signed[0]["error"] is None
    assert (await connect().get(f"/storage/v1{signed[2]['signedURL']}")).content == PNG


async def test_only_who_may_read_signs(anon, as_person, allow, service, alice, bob, buckets):
    allow("select", condition=OWN_FOLDER)
    await service.post(f"{OBJECT}/private/{alice.id}/x", content=b"hers")
    path = f"{OBJECT}/sign/private/{alice.id}/x"
    assert (await as_person(alice).post(path, json={"expiresIn": 60})).status_code == 200
    for client in (as_person(bob), anon):
        assert (await client.post(path, json={"expiresIn": 60})).json()["error"] == "not_found"
        many = await client.post(f"{OBJECT}/sign/private", json={"expiresIn": 60, "paths": [f"{alice.id}/x"]})
        assert many.json()[0]["signedURL"] is None


async def test_a_time_that_is_none_is_refused(service, picture):
    for seconds in [0, -1, 1.5, "x", None, [], 2**53, 10**30, "9" * 30]:
        assert (await service.post(SIGN, json={"expiresIn": seconds})).status_code == 400
        body = {"expiresIn": seconds, "paths": ["a.png"]}
        assert (await service.post(f"{OBJECT}/sign/private", json=body)).status_code == 400


async def test_a_very_long_time_is_a_time(service, connect, picture):
    address = await service.post(SIGN, json={"expiresIn": 9_000_000_000_000 - int(time.time()) - 9})
    assert (await connect().get(f"/storage/v1{address.json()['signedURL']}")).content == PNG


async def test_what_shall_be_signed_has_to_be_said(service, picture):
    for body in [{}, {"paths": ["a"]}, {"expiresIn": 60}, {"expiresIn": 60, "paths": []}]:
        assert (await service.post(f"{OBJECT}/sign/private", json=body)).status_code == 400


async def test_too_many_are_refused(service, picture):
    body = {"expiresIn": 60, "paths": ["a.png"] * 1001}
    assert (await service.post(f"{OBJECT}/sign/private", json=body)).status_code == 400


async def test_an_address_ends(connect, keys, picture):
    token = Signer(keys.secret).sign(Place("private", "a.png"), "download", -1)
    answer = await connect().get(SIGN, params={"token": token})
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidJWT"
    assert answer.json()["message"] == '"exp" claim timestamp check failed'


async def test_a_token_opens_one_object_in_one_way(connect, keys, picture):
    signer = Signer(keys.secret)
    bare = connect()
    for token in (
        signer.sign(Place("private", "b.png"), "download", 60),
        signer.sign(Place("open", "a.png"), "download", 60),
        signer.sign(Place("private", "a.png"), "upload", 60),
    ):
        answer = await bare.get(SIGN, params={"token": token})
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidSignature")
    token = signer.sign(Place("private", "new.png"), "download", 60)
    answer = await bare.put(SIGN_UPLOAD, params={"token": token}, content=PNG)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidSignature")


@pytest.mark.parametrize("ending", ["", "A", "B", "xx", "AA"])
async def test_a_changed_signature_is_a_wrong_one_whatever_its_ending(connect, keys, picture, ending):
    token = Signer(keys.secret).sign(Place("private", "a.png"), "download", 60)
    answer = await connect().get(SIGN, params={"token": token[:-3] + ending})
    assert (answer.json()["error"], answer.json()["message"]) == ("InvalidJWT", "signature verification failed")


async def test_access_tokens_and_tokens_of_addresses_are_not_the_same(connect, keys, picture):
    bare = connect()
    forged = {"url": "private/a.png", "scope": "download", "role": "service_role", "exp": int(time.time()) + 60}
    for token in (keys.service_role, tokens.sign(forged, keys.secret), "", "x", "a.b.c"):
        answer = await bare.get(SIGN, params={"token": token})
        assert (answer.status_code, answer.json()["error"]) == (400, "InvalidJWT")
    assert (await bare.get(SIGN)).json()["message"] == "querystring must have required property 'token'"

    signed = Signer(keys.secret).sign(Place("private", "a.png"), "download", 60, role="service_role")
    for path in ("/storage/v1/bucket", "/storage/v1/object/authenticated/private/a.png"):
        answer = await connect(apikey=keys.anon, authorization=f"Bearer {signed}").get(path)
        assert answer.json()["message"] == "signature verification failed"


async def test_whoever_has_the_address_uploads_once(service, connect, buckets, owner):
    made = (await service.post(SIGN_UPLOAD)).json()
    assert made["url"] == f"/object/upload/sign/private/new.png?token={made['token']}"
    claims = jwt.decode(made["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == UPLOAD_SECONDS
    bare = connect()
    address = f"/storage/v1{made['url']}"
    put = await bare.put(address, files={"": ("blob", PNG, "image/png")}, data={"cacheControl": "5"})
    assert (put.status_code, put.json()) == (200, {"Key": "private/new.png"})
    again = await bare.put(address, content=b"other")
    assert again.json()["statusCode"] == "409"
    assert (await service.get(f"{OBJECT}/private/new.png")).content == PNG


async def test_an_upload_by_address_belongs_to_who_signed_it(as_person, connect, allow, alice, bob, buckets, owner):
    allow("insert", "select", "update", condition=OWN_FOLDER)
    path = f"{OBJECT}/upload/sign/private/{alice.id}/x"
    refused = await as_person(bob).post(path)
    assert refused.json()["message"] == "new row violates row-level security policy"
    for upsert in ("false", "true", "true"):
        made = (await as_person(alice).post(path, headers={"x-upsert": upsert})).json()
        assert (await connect().put(f"/storage/v1{made['url']}", content=upsert.encode())).status_code == 200
    row = owner.execute("select owner, owner_id from storage.objects").fetchone()
    assert row == (alice.id, str(alice.id))


async def test_what_is_there_is_signed_for_replacing_only(service, picture):
    path = f"{OBJECT}/upload/sign/private/a.png"
    assert (await service.post(path)).json()["statusCode"] == "409"
    assert (await service.post(path, headers={"x-upsert": "true"})).status_code == 200


async def test_names_that_clients_would_take_for_something_else_are_escaped(service, connect, buckets):
    await service.post(f"{OBJECT}/private/a%3Fb c", content=b"x")
    address = (await service.post(f"{OBJECT}/sign/private/a%3Fb c", json={"expiresIn": 60})).json()["signedURL"]
    assert (await connect().get(f"/storage/v1{address}")).content == b"x"


async def test_signing_needs_somebody(connect, keys, picture):
    bare = await connect().post(SIGN, json={"expiresIn": 60})
    assert bare.status_code == 400
    assert bare.json()["message"] == "headers must have required property 'authorization'"
    by_key = await connect(apikey=keys.service_role).post(SIGN, json={"expiresIn": 60})
    assert by_key.status_code == 200
