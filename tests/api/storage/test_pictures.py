"""The policies of people's pictures, through the API, with their own tokens."""

from __future__ import annotations

import pytest

from tests.api.storage.conftest import OBJECT

pytestmark = pytest.mark.anyio

WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L\r\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
AS_WEBP = {"content-type": "image/webp"}


@pytest.fixture(autouse=True)
async def bucket(service) -> None:
    """As gateways/pictures.py makes it at the first picture."""
    made = {"name": "pictures", "public": False, "file_size_limit": 1024 * 1024, "allowed_mime_types": ["image/webp"]}
    assert (await service.post("/storage/v1/bucket", json=made)).status_code == 200


async def test_everybody_keeps_their_own(as_person, alice):
    mine, picture = as_person(alice), f"{OBJECT}/pictures/{alice.id}/1.webp"
    assert (await mine.post(picture, content=WEBP, headers=AS_WEBP)).status_code == 200
    answer = await mine.get(f"{OBJECT}/authenticated/pictures/{alice.id}/1.webp")
    assert (answer.status_code, answer.content) == (200, WEBP)
    assert (await mine.delete(picture)).status_code == 200


async def test_nobody_touches_anothers(as_person, anon, service, alice, bob):
    picture = f"{OBJECT}/pictures/{bob.id}/1.webp"
    assert (await service.post(picture, content=WEBP, headers=AS_WEBP)).status_code == 200
    for client in (as_person(alice), anon):
        for ask in (
            client.get(picture),
            client.get(f"{OBJECT}/public/pictures/{bob.id}/1.webp"),
            client.get(f"{OBJECT}/authenticated/pictures/{bob.id}/1.webp"),
            client.get(f"{OBJECT}/info/pictures/{bob.id}/1.webp"),
            client.post(f"{OBJECT}/sign/pictures/{bob.id}/1.webp", json={"expiresIn": 60}),
            client.post(f"{OBJECT}/pictures/{bob.id}/2.webp", content=WEBP, headers=AS_WEBP),
            client.put(picture, content=WEBP, headers=AS_WEBP),
            client.post(picture, content=WEBP, headers=AS_WEBP | {"x-upsert": "true"}),
            client.delete(picture),
        ):
            assert (await ask).status_code == 400
        for body in ({"prefix": ""}, {"prefix": f"{bob.id}/"}):
            listed = await client.post(f"{OBJECT}/list/pictures", json=body)
            assert str(bob.id) not in listed.text
            assert "1.webp" not in listed.text
        assert (
            await client.request("DELETE", f"{OBJECT}/pictures", json={"prefixes": [f"{bob.id}/1.webp"]})
        ).json() == []
        keys = {"bucketId": "pictures", "sourceKey": f"{bob.id}/1.webp", "destinationKey": f"{alice.id}/1.webp"}
        for how in ("copy", "move"):
            assert (await client.post(f"{OBJECT}/{how}", json=keys)).status_code == 400
    assert (await service.get(picture)).content == WEBP


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"<svg/>", "image/svg+xml"), (b"<html>", "text/html"), (b"x" * (1024 * 1024 + 1), "image/webp")],
)
async def test_what_is_no_picture_of_ours_is_not_taken(as_person, alice, content: bytes, kind: str):
    picture = f"{OBJECT}/pictures/{alice.id}/1.webp"
    answer = await as_person(alice).post(picture, content=content, headers={"content-type": kind})
    assert answer.status_code == 400
