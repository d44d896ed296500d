"""Reading: public and private, in parts, only what changed, and nothing that a browser would run."""

from __future__ import annotations

import os

import pytest

from tests.api.storage import samples
from tests.api.storage.conftest import OBJECT
from tests.api.storage.samples import PNG

pytestmark = pytest.mark.anyio

LETTERS = b"abcdefghij"
OPEN = f"{OBJECT}/public/open/a.txt"


@pytest.fixture
async def letters(service, buckets) -> None:
    for bucket in ("private", "open"):
        headers = {"content-type": "text/plain", "cache-control": "max-age=60"}
        await service.post(f"{OBJECT}/{bucket}/a.txt", content=LETTERS, headers=headers)


async def test_everybody_reads_in_a_public_bucket(connect, anon, letters):
    bare = connect()
    assert (await bare.get(OPEN)).content == LETTERS
    for path in ("open/a.txt", "authenticated/open/a.txt"):
        assert (await anon.get(f"{OBJECT}/{path}")).content == LETTERS
    assert (await bare.get(f"{OBJECT}/info/public/open/a.txt")).json()["size"] == 10
    assert (await anon.get(f"{OBJECT}/info/open/a.txt")).json()["size"] == 10


async def test_nobody_reads_in_a_private_bucket_by_its_public_address(connect, service, letters):
    for path in ("public/private/a.txt", "info/public/private/a.txt"):
        assert (await connect().get(f"{OBJECT}/{path}")).json()["message"] == "Bucket not found"
    assert (await service.get(f"{OBJECT}/private/a.txt")).content == LETTERS
    assert (await service.get(f"{OBJECT}/authenticated/private/a.txt")).content == LETTERS
    assert (await service.get(f"{OBJECT}/info/authenticated/private/a.txt")).json()["size"] == 10


async def test_without_a_policy_there_is_nothing_to_read_in_a_private_bucket(anon, as_person, alice, letters):
    for client in (anon, as_person(alice)):
        for path in ("private/a.txt", "authenticated/private/a.txt", "info/private/a.txt"):
            answer = await client.get(f"{OBJECT}/{path}")
            assert answer.status_code == 400
            assert answer.json() == {
                "statusCode": "404",
                "error": "not_found",
                "message": "Object not found",
                "code": "NoSuchKey",
            }
        assert (await client.head(f"{OBJECT}/private/a.txt")).status_code == 400


async def test_a_token_that_is_none_sees_what_is_public(connect, keys, letters):
    stranger = connect(apikey=keys.anon, authorization="Bearer nonsense")
    assert (await stranger.get(f"{OBJECT}/open/a.txt")).content == LETTERS
    assert (await stranger.get(f"{OBJECT}/private/a.txt")).json()["message"] == "Bucket not found"
    refused = (await stranger.get(f"{OBJECT}/authenticated/open/a.txt")).json()
    assert refused == {
        "statusCode": "403",
        "error": "Unauthorized",
        "message": "Invalid Compact JWS",
        "code": "AccessDenied",
    }


async def test_what_is_not_there_is_told_apart(service, buckets):
    assert (await service.get(f"{OBJECT}/private/none")).json()["error"] == "not_found"
    assert (await service.get(f"{OBJECT}/none/none")).json()["error"] == "Bucket not found"
    assert (await service.get(f"{OBJECT}/public/no/none")).json()["error"] == "Bucket not found"
    assert (await service.get(f"{OBJECT}/info/none/none")).json()["error"] == "Bucket not found"


async def test_a_head_says_what_a_get_would(service, letters):
    got, head = [await service.request(method, OPEN) for method in ("GET", "HEAD")]
    assert head.content == b""
    assert head.headers["content-length"] == "10"
    assert dict(head.headers) == dict(got.headers)


async def test_a_part_is_given_where_one_is_asked_for(service, letters):
    for asked, answered, said in [
        ("bytes=0-0", b"a", "bytes 0-0/10"),
        ("bytes=2-4", b"cde", "bytes 2-4/10"),
        ("bytes=7-", b"hij", "bytes 7-9/10"),
        ("bytes=-3", b"hij", "bytes 7-9/10"),
        ("bytes=-99", LETTERS, "bytes 0-9/10"),
        ("bytes=5-99", b"fghij", "bytes 5-9/10"),
        ("bytes=0-", LETTERS, "bytes 0-9/10"),
    ]:
        for method, content in (("GET", answered), ("HEAD", b"")):
            part = await service.request(method, OPEN, headers={"range": asked})
            assert (part.status_code, part.content, part.headers["content-range"]) == (206, content, said)
            assert part.headers["content-length"] == str(len(answered))


async def test_a_part_that_does_not_exist_cannot_be_given(service, letters):
    for asked in ["bytes=10-", "bytes=99-100", "bytes=-0", "bytes=4-2"]:
        answer = await service.get(OPEN, headers={"range": asked})
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")
        assert answer.json()["error"] == "invalid_range"


async def test_what_is_no_single_range_gets_the_whole(service, letters):
    for asked in ["bytes=-", "bytes=0-1,3-4", "lines=0-1", "bytes", "bytes=a-b", "bytes=0-" + "9" * 99]:
        answer = await service.get(OPEN, headers={"range": asked})
        assert (answer.status_code, answer.content) == (200, LETTERS)


async def test_a_part_of_another_file_is_not_joined(service, letters):
    tag = (await service.head(OPEN)).headers["etag"]
    same = await service.get(OPEN, headers={"range": "bytes=0-1", "if-range": tag})
    other = await service.get(OPEN, headers={"range": "bytes=0-1", "if-range": '"other"'})
    assert (same.content, other.content) == (b"ab", LETTERS)


async def test_what_is_known_is_not_sent_again(service, letters):
    first = await service.get(OPEN)
    tag, changed = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"if-none-match": tag},
        {"if-none-match": f'"x", W/{tag}'},
        {"if-none-match": "*"},
        {"if-modified-since": changed},
    ):
        known = await service.get(OPEN, headers=headers)
        assert (known.status_code, known.content) == (304, b"")
        assert known.headers["etag"] == tag
        assert known.headers["cache-control"] == "max-age=60"
    for headers in (
        {"if-none-match": '"x"'},
        {"if-none-match": '"x"', "if-modified-since": changed},
        {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"if-modified-since": "yesterday"},
    ):
        assert (await service.get(OPEN, headers=headers)).content == LETTERS


async def test_a_new_content_has_a_new_tag(service, letters):
    before = (await service.head(OPEN)).headers["etag"]
    await service.put(f"{OBJECT}/open/a.txt", content=b"other")
    assert (await service.head(OPEN)).headers["etag"] != before


@pytest.mark.parametrize(
    ("declared", "content", "is_shown"),
    [
        ("image/png", PNG, True),
        ("image/jpeg", samples.JPEG, True),
        ("image/jpg", samples.JPEG, True),
        ("image/gif", samples.GIF, True),
        ("image/webp", samples.WEBP, True),
        ("image/avif", samples.AVIF, True),
        ("image/gif", samples.POLYGLOT, True),
        ("image/png", samples.HTML, False),
        ("image/png", samples.HTML_LIKE_AN_IMAGE, False),
        ("image/png", samples.JPEG, False),
        ("image/png", b"", False),
        ("text/html", PNG, False),
        ("text/html", samples.HTML, False),
        ("image/svg+xml", samples.SVG, False),
        ("application/pdf", samples.PDF, False),
        ("text/plain", samples.TEXT, False),
        ("application/xhtml+xml", samples.HTML, False),
        ("video/mp4", samples.MP4, False),
        ("application/zip", samples.ZIP, False),
    ],
)
async def test_a_browser_shows_images_of_pixels_and_saves_the_rest(service, buckets, declared, content, is_shown):
    await service.post(f"{OBJECT}/open/file", content=content, headers={"content-type": declared})
    answer = await service.get(f"{OBJECT}/public/open/file")
    assert answer.content == content
    assert answer.headers["content-type"] == ("text/plain" if declared == "text/html" else declared)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers.get("content-disposition") == (None if is_shown else "attachment")


async def test_a_download_has_the_name_that_is_asked_for(service, letters):
    for asked, said in [
        ("", "attachment;"),
        ("cat.png", "attachment; filename=cat.png; filename*=UTF-8''cat.png"),
        ("a b.png", "attachment; filename=a%20b.png; filename*=UTF-8''a%20b.png"),
        ("ü.png", "attachment; filename=%C3%BC.png; filename*=UTF-8''%C3%BC.png"),
        ('"; x="\r\nset-cookie: a', "attachment; filename={0}; filename*=UTF-8''{0}"),
        ("../../x", "attachment; filename=..%2F..%2Fx; filename*=UTF-8''..%2F..%2Fx"),
    ]:
        answer = await service.get(OPEN, params={"download": asked})
        said = said.format("%22%3B%20x%3D%22%0D%0Aset-cookie%3A%20a")
        assert answer.headers["content-disposition"] == said


async def test_rows_that_came_another_way_are_no_way_in(service, owner, letters, storage_dir):
    """A version is a name of content or nothing; what a header cannot hold is left out."""
    outside = storage_dir.parent / "secret"
    outside.write_text("secret")
    for version in ("../../secret", str(outside), "", None, "0" * 64, "a\nb"):
        owner.execute("update storage.objects set version = %s", [version])
        answer = await service.get(OPEN)
        assert (answer.status_code, answer.json()["message"]) == (400, "The resource was not found")
    assert (await service.post(f"{OBJECT}/open/b", content=b"x")).status_code == 200
    metadata = '{"mimetype": "a/b\\r\\nx: y", "cacheControl": "ü", "size": "many"}'
    for value in (metadata, "[]", "null", '"text"', None):
        owner.execute("update storage.objects set metadata = %s where name = 'b'", [value])
        answer = await service.get(f"{OBJECT}/public/open/b")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
        assert (await service.get(f"{OBJECT}/info/public/open/b")).status_code == 200


async def test_files_are_for_nobody_else_on_the_machine(letters, storage_dir, files):
    for path in [storage_dir, *storage_dir.rglob("*")]:
        assert os.stat(path).st_mode & 0o077 == 0


async def test_image_transformation_is_off(service, letters):
    for path in ("public/open/a.txt", "authenticated/private/a.txt?width=5", "sign/private/a.txt?token=x"):
        answer = await service.get(f"/storage/v1/render/image/{path}")
        assert answer.status_code == 404
        assert answer.json() == {
            "statusCode": "404",
            "error": "Not Found",
            "message": f"Route GET:/render/image/{path} not found",
            "code": "InvalidRequest",
        }


async def test_other_methods_and_places_are_not_served(service, buckets):
    for method, path in (("PATCH", "/bucket/private"), ("PUT", "/object/copy"), ("GET", "/"), ("POST", "/s3/x")):
        assert (await service.request(method, f"/storage/v1{path}")).status_code == 404


async def test_it_says_that_it_is_well(service):
    assert (await service.get("/storage/v1/status")).status_code == 200
    assert (await service.get("/storage/v1/health")).json() == {"healthy": True}
    assert (await service.get("/storage/v1/version")).status_code == 200
