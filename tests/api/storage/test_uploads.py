"""Uploads: raw and by form, new and over an old one, their limits, and what is told of the file."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest

from tests.api.storage import samples
from tests.api.storage.conftest import BUCKET, OBJECT
from tests.api.storage.samples import HTML, PNG

pytestmark = pytest.mark.anyio

HERE = f"{OBJECT}/private/folder/cat.png"
INFO = f"{OBJECT}/info/private/folder/cat.png"


async def test_raw_bytes_are_stored_with_what_the_headers_say(service, buckets, files):
    kept = {"a": "ü", "n": [1, None]}
    headers = {
        "content-type": "image/png",
        "cache-control": "max-age=3600",
        "x-metadata": base64.b64encode(json.dumps(kept).encode()).decode(),
    }
    answer = await service.post(HERE, content=PNG, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["Key"] == "private/folder/cat.png"
    info = (await service.get(INFO)).json()
    assert info["id"] == answer.json()["Id"]
    assert info["name"] == "folder/cat.png"
    assert (info["size"], info["content_type"], info["cache_control"]) == (len(PNG), "image/png", "max-age=3600")
    assert info["metadata"] == kept
    assert info["bucket_id"] == "private"
    assert (await service.get(HERE)).content == PNG
    assert [file.read_bytes() for file in files()] == [PNG]


@pytest.mark.parametrize("field", ["file", ""])
async def test_a_form_is_stored_as_both_clients_send_it(service, buckets, field):
    answer = await service.post(
        HERE,
        files={field: ("blob", PNG, "image/png")},
        data={"cacheControl": "60", "metadata": '{"a":1}'},
    )
    assert answer.status_code == 200
    info = (await service.get(INFO)).json()
    assert (info["content_type"], info["cache_control"], info["metadata"]) == ("image/png", "max-age=60", {"a": 1})
    assert (await service.get(HERE)).content == PNG


async def test_fields_may_follow_the_file(service, buckets):
    body = (
        b'--x\r\nContent-Disposition: form-data; name=""; filename="blob"\r\nContent-Type: image/png\r\n\r\n'
        + PNG
        + b'\r\n--x\r\nContent-Disposition: form-data; name="cacheControl"\r\n\r\n7\r\n--x--\r\n'
    )
    await service.post(HERE, content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert (await service.get(INFO)).json()["cache_control"] == "max-age=7"
    assert (await service.get(HERE)).content == PNG


async def test_a_form_arrives_in_pieces_of_any_size(service, buckets):
    content = b"\r\n--x\r" * 40 + PNG
    body = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content + b"\r\n--xyz--\r\n"

    async def bytewise() -> AsyncIterator[bytes]:
        for index in range(len(body)):
            yield body[index : index + 1]

    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    assert (await service.post(HERE, content=bytewise(), headers=headers)).status_code == 200
    assert (await service.get(HERE)).content == content
    assert (await service.get(INFO)).json()["content_type"] == "application/octet-stream"


async def test_a_form_without_one_whole_file_leaves_nothing(service, buckets, files, owner):
    for body, kind in [
        (b"", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--y\r\n\r\n", "multipart/form-data; boundary=x"),
        (b"anything", "multipart/form-data"),
        (b"anything", "multipart/form-data; boundary=" + "b" * 300),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nno file\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\nno end', "multipart/form-data; boundary=x"),
        (b"--x\r\n:::\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\n1\r\n'
            b'--x\r\nContent-Disposition: form-data; filename="b"\r\n\r\n2\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (
            b"".join(b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n' % n for n in range(11))
            + b'--x\r\nContent-Disposition: form-data; filename="b"\r\n\r\n2\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ]:
        answer = await service.post(HERE, content=body, headers={"content-type": kind})
        assert answer.status_code == 400
        assert answer.json()["message"] == "No content provided"
        assert files() == []
        assert owner.execute("select from storage.objects").fetchall() == []


async def test_a_name_is_taken_once_unless_it_may_be_replaced(service, buckets, files):
    first = (await service.post(HERE, content=b"one")).json()
    again = await service.post(HERE, content=b"two")
    assert again.status_code == 400
    assert again.json() == {
        "statusCode": "409",
        "error": "Duplicate",
        "message": "The resource already exists",
        "code": "KeyAlreadyExists",
    }
    assert (await service.get(HERE)).content == b"one"

    replaced = await service.post(HERE, content=b"two", headers={"x-upsert": "true"})
    assert replaced.json()["Id"] == first["Id"]
    assert (await service.get(HERE)).content == b"two"

    put = await service.put(HERE, content=b"three", headers={"content-type": "text/plain"})
    assert put.json() == first
    assert (await service.get(HERE)).content == b"three"
    assert [file.read_bytes() for file in files()] == [b"three"]


async def test_some_names_no_object_may_have(service, buckets):
    for name in [
        "",
        "ü",
        "%00",
        "a%00b",
        "a%0Ab",
        "%0D%0A",
        "%5C",
        "a%23b",
        "%7Ba",
        "a%25b",
        "x" * 1025,
        "%F0%9F%98%80",
    ]:
        for answer in (
            await service.post(f"{OBJECT}/private/{name}", content=b"x"),
            await service.get(f"{OBJECT}/private/{name}"),
            await service.delete(f"{OBJECT}/private/{name}"),
        ):
            assert answer.status_code == 400
            assert answer.json()["code"] == "InvalidKey"


@pytest.mark.parametrize(
    "name",
    [
        "a b.png", "..%2F..%2Fetc%2Fpasswd", "%2E%2E/x", "a//b", "%2Fa", "a%2Fb", "a+b&c=d@e,f;g:h?i",
        "x" * 1024, "(a)'!*$",
    ],
)  # fmt: skip
async def test_other_names_are_but_names(service, buckets, files, storage_dir, name):
    address = f"/storage/v1/object/private/{name.replace('?', '%3F')}"
    request = service.build_request("POST", "/", content=b"x")
    request.url = request.url.copy_with(raw_path=address.encode())
    assert (await service.send(request)).status_code == 200
    reading = service.build_request("GET", "/")
    reading.url = reading.url.copy_with(raw_path=address.encode())
    assert (await service.send(reading)).content == b"x"
    assert [file.parent.parent for file in files()] == [storage_dir / "content"]


async def test_an_escape_that_stands_for_nothing_is_refused(service, buckets):
    assert (await service.get(f"{OBJECT}/private/%ff%fe")).status_code == 400


async def test_a_bucket_has_to_be_there(service):
    answer = await service.post(f"{OBJECT}/none/a", content=b"x")
    assert answer.json()["message"] == "Bucket not found"
    assert (await service.post(f"{OBJECT}/a%2Fb/c", content=b"x")).json()["code"] == "InvalidBucketName"


class TestSizes:
    @pytest.fixture
    def variables(self):
        return {"STORAGE_FILE_SIZE_LIMIT": "1000"}

    async def test_the_project_has_a_limit(self, service, buckets, files):
        assert (await service.post(HERE, content=b"x" * 1000)).status_code == 200
        refused = await service.put(HERE, content=b"x" * 1001)
        assert refused.status_code == 400
        assert refused.json() == {
            "statusCode": "413",
            "error": "Payload too large",
            "message": "The object exceeded the maximum allowed size",
            "code": "EntityTooLarge",
        }
        form = await service.put(HERE, files={"file": ("a", b"x" * 1001)})
        assert form.json()["statusCode"] == "413"
        assert len((await service.get(HERE)).content) == 1000
        assert len(files()) == 1

    async def test_it_counts_what_comes_whatever_is_announced(self, service, buckets, files):
        async def much() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b"x" * 100

        assert (await service.post(HERE, content=much())).json()["statusCode"] == "413"
        request = service.build_request("POST", HERE, content=much(), headers={"content-length": "5"})
        assert (await service.send(request)).json()["statusCode"] == "413"
        assert files() == []

    async def test_a_bucket_has_one_of_its_own(self, service):
        await service.post(BUCKET, json={"name": "small", "file_size_limit": "10B"})
        assert (await service.post(f"{OBJECT}/small/a", content=b"x" * 10)).status_code == 200
        assert (await service.post(f"{OBJECT}/small/b", content=b"x" * 11)).json()["statusCode"] == "413"

    async def test_an_empty_folder_holds_nothing(self, service):
        await service.post(BUCKET, json={"name": "images", "allowed_mime_types": ["image/png"]})
        place = f"{OBJECT}/images/new/.emptyFolderPlaceholder"
        assert (await service.post(place, content=b"x")).json()["statusCode"] == "413"
        assert (await service.post(place, content=b"", headers={"content-type": "text/plain"})).status_code == 200


async def test_an_empty_file_is_a_file(service, buckets):
    assert (await service.post(HERE, content=b"")).status_code == 200
    assert (await service.get(HERE)).content == b""
    assert (await service.get(INFO)).json()["size"] == 0


@pytest.mark.parametrize(
    ("allowed", "declared", "content", "taken"),
    [
        (["image/png"], "image/png", PNG, True),
        (["image/*"], "image/webp", samples.WEBP, True),
        (["image/*"], "image/avif", samples.AVIF, True),
        (["*/*"], "anything/else", b"x", True),
        (["image/jpg"], "image/jpg", samples.JPEG, True),
        (["text/plain"], "text/plain;charset=UTF-8", samples.TEXT, True),
        (["application/pdf"], "application/pdf", samples.PDF, True),
        ([samples.DOCX_KIND], samples.DOCX_KIND, samples.DOCX, True),
        (["video/mp4"], "video/mp4", samples.MP4, True),
        (["image/svg+xml"], "image/svg+xml", samples.SVG, True),
        (["text/html", "image/png"], "text/html", HTML, True),
        (["text/csv"], "text/csv", b"a,b\n1,2\n", True),
        (["application/json"], "application/json", b'{"a":1}', True),
        (["image/png"], "image/gif", samples.GIF, False),
        (["image/png"], "text/plain", PNG, False),
        (["image/png"], "image/png", HTML, False),
        (["image/png"], "image/png", samples.SCRIPT, False),
        (["image/png"], "image/png", samples.HTML_LIKE_AN_IMAGE, False),
        (["image/png"], "image/png", samples.JPEG, False),
        (["image/*"], "image/png", samples.PDF, False),
        (["image/png"], "image/png", b"", False),
        (["image/svg+xml"], "image/svg+xml", HTML, False),
        (["text/csv"], "text/csv", PNG, False),
        (["application/pdf"], "application/pdf", samples.TEXT, False),
    ],
)
async def test_a_bucket_takes_what_a_file_is_and_not_what_it_is_called(
    service, files, allowed, declared, content, taken
):
    await service.post(BUCKET, json={"name": "some", "allowed_mime_types": allowed})
    answers = [
        await service.post(f"{OBJECT}/some/raw", content=content, headers={"content-type": declared}),
        await service.post(f"{OBJECT}/some/form", files={"": ("blob", content, declared)}),
    ]
    for answer in answers:
        if taken:
            assert answer.status_code == 200
        else:
            assert answer.status_code == 400
            assert answer.json()["statusCode"] == "415"
            assert answer.json()["error"] == "invalid_mime_type"
            assert answer.json()["message"].endswith("is not supported")
    assert len(files()) == taken


async def test_a_media_type_that_is_none_is_refused(service, buckets):
    for kind in ["image", "image/", "/png", "image/png\tx", "a b/c", "ü/x"]:
        raw = await service.post(HERE, content=PNG, headers={"content-type": kind.encode()})
        assert raw.json()["statusCode"] == "415"
        form = await service.post(HERE, files={"": ("blob", PNG)}, data={"contentType": kind})
        assert form.json()["statusCode"] == "415"


async def test_no_header_of_an_answer_is_made_of_an_upload(service, buckets):
    form = await service.post(HERE, files={"": ("blob", PNG)}, data={"cacheControl": "1\r\nset-cookie: a=b"})
    assert form.json()["error"] == "invalid_header_char"


@pytest.mark.parametrize(
    "metadata", ["", "{", "[1]", "null", '{"a":"\\u0000"}', '{"a":1e999}', "[" * 9999, '{"\\ud800":1}']
)
async def test_metadata_that_cannot_be_kept_counts_as_none(service, buckets, metadata):
    form = await service.post(HERE, files={"": ("blob", PNG)}, data={"metadata": metadata})
    assert form.status_code == 200
    assert (await service.get(INFO)).json()["metadata"] == {}
    encoded = base64.b64encode(metadata.encode()).decode()
    assert (await service.put(HERE, content=PNG, headers={"x-metadata": encoded})).status_code == 200
    assert (await service.put(HERE, content=PNG, headers={"x-metadata": "%%%"})).status_code == 200
    assert (await service.get(INFO)).json()["metadata"] == {}


async def test_metadata_has_an_end(service, buckets):
    form = await service.post(HERE, files={"": ("blob", PNG)}, data={"metadata": "x" * 2**20 + "x"})
    assert form.json()["message"] == "The user_metadata exceeded the maximum allowed size"
