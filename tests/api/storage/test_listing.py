"""Lists: folders out of names, pages, orders, and no more than one may see."""

from __future__ import annotations

import pytest

from tests.api.storage.conftest import OBJECT, OWN_FOLDER

pytestmark = pytest.mark.anyio

NAMES = ("b.txt", "a/1.txt", "a/2.txt", "a/deep/x", "C.txt", "a.txt", "a_b/x", "ab/y")


@pytest.fixture
async def names(service, buckets) -> None:
    for name in NAMES:
        await service.post(f"{OBJECT}/private/{name}", content=name.encode())


@pytest.fixture
def listed(service):
    async def ask(prefix: str = "", **options) -> list[str]:
        answer = await service.post(f"{OBJECT}/list/private", json={"prefix": prefix} | options)
        assert answer.status_code == 200, answer.text
        return [entry["name"] for entry in answer.json()]

    return ask


@pytest.fixture
def page(service):
    async def ask(**options) -> dict:
        answer = await service.post(f"{OBJECT}/list-v2/private", json=options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


async def test_a_folder_shows_its_files_and_folders(listed, names):
    assert await listed() == ["a.txt", "a", "a_b", "ab", "b.txt", "C.txt"]
    assert await listed("a") == ["1.txt", "2.txt", "deep"]
    assert await listed("a/") == ["1.txt", "2.txt", "deep"]
    assert await listed("a/deep") == ["x"]
    assert await listed("none") == []
    assert await listed("a_") == []


async def test_it_says_what_each_is(service, names):
    answer = await service.post(f"{OBJECT}/list/private", json={"prefix": ""})
    file, folder = answer.json()[:2]
    keys = {"name", "id", "updated_at", "created_at", "last_accessed_at", "metadata"}
    assert set(file) == set(folder) == keys
    assert file["metadata"]["size"] == 5
    assert file["metadata"]["mimetype"] == "application/octet-stream"
    assert folder == dict.fromkeys(keys) | {"name": "a"}


async def test_it_is_ordered_and_paged(listed, names):
    desc = {"column": "name", "order": "desc"}
    assert await listed(sortBy=desc) == ["C.txt", "b.txt", "ab", "a_b", "a", "a.txt"]
    assert await listed(limit=2, offset=1) == ["a", "a_b"]
    assert await listed(sortBy={"column": "created_at"}) == ["a", "a_b", "ab", "b.txt", "C.txt", "a.txt"]
    newest = {"column": "updated_at", "order": "desc"}
    assert await listed(sortBy=newest, limit=4) == ["ab", "a_b", "a", "a.txt"]


async def test_it_is_searched_by_how_names_begin(listed, names):
    assert await listed(search="A") == ["a.txt", "a", "a_b", "ab"]
    assert await listed(search="a_") == ["a_b"]
    assert await listed(search="c") == ["C.txt"]
    assert await listed(search="%") == []
    assert await listed("a", search="1") == ["1.txt"]
    assert await listed(search="a/d") == ["a/deep"]


async def test_what_makes_no_sense_is_refused(service, buckets):
    for body in [
        {},
        {"prefix": "", "limit": 0},
        {"prefix": "", "limit": "x"},
        {"prefix": "", "offset": -1},
        {"prefix": "", "sortBy": {"column": "owner"}},
        {"prefix": "", "sortBy": {"order": "asc"}},
        {"prefix": "", "sortBy": {"column": "name", "order": "up"}},
        {"prefix": "", "sortBy": "name"},
        {"prefix": {}},
        {"prefix": "a\0"},
        {"prefix": "", "offset": 10**30},
        {"prefix": "", "search": []},
    ]:
        assert (await service.post(f"{OBJECT}/list/private", json=body)).status_code == 400


async def test_a_bucket_that_is_not_there_lists_nothing(service):
    answer = await service.post(f"{OBJECT}/list/none", json={"prefix": ""})
    assert (answer.status_code, answer.json()) == (200, [])


async def test_everybody_sees_what_policies_show(service, anon, as_person, allow, alice, bob, buckets):
    for person in (alice, bob):
        await service.post(f"{OBJECT}/private/{person.id}/x", content=b"x")
    assert (await as_person(alice).post(f"{OBJECT}/list/private", json={"prefix": ""})).json() == []
    allow("select", condition=OWN_FOLDER)
    for client, seen in ((as_person(alice), [str(alice.id)]), (as_person(bob), [str(bob.id)]), (anon, [])):
        answer = await client.post(f"{OBJECT}/list/private", json={"prefix": ""})
        assert [entry["name"] for entry in answer.json()] == seen
        answer = await client.post(f"{OBJECT}/list-v2/private", json={})
        assert [entry["name"] for entry in answer.json()["objects"]] == [f"{person}/x" for person in seen]


async def test_pages_hold_whole_names(page, names):
    whole = await page()
    assert [entry["name"] for entry in whole["objects"]] == sorted(NAMES)
    assert (whole["folders"], whole["hasNext"]) == ([], False)
    assert "nextCursor" not in whole
    folder = await page(prefix="a/", with_delimiter=True)
    assert [(entry["name"], entry["key"]) for entry in folder["folders"]] == [("a/deep/", "deep")]
    assert [(entry["name"], entry["key"]) for entry in folder["objects"]] == [
        ("a/1.txt", "1.txt"),
        ("a/2.txt", "2.txt"),
    ]


@pytest.mark.parametrize("with_delimiter", [False, True])
@pytest.mark.parametrize("column", ["name", "created_at", "updated_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_one_page_follows_the_other(page, names, with_delimiter, column, order):
    asked = {"with_delimiter": with_delimiter, "sortBy": {"column": column, "order": order}}
    whole = await page(**asked)
    count = len(whole["objects"]) + len(whole["folders"])
    assert count == (6 if with_delimiter else 8)
    seen, cursor = {"objects": [], "folders": []}, {}
    for number in range(1, count + 1):
        part = await page(**asked, **cursor, limit=1)
        for kind in seen:
            seen[kind] += part[kind]
        assert part["hasNext"] == (number < count)
        cursor = {"cursor": part.get("nextCursor")}
    assert seen == {kind: whole[kind] for kind in seen}
    assert whole["objects"] == sorted(whole["objects"], key=lambda entry: entry[column], reverse=order == "desc")


async def test_a_cursor_of_somebody_elses_is_refused(service, buckets):
    for cursor in ["x", "", "e30=", "WzFd", "WyJhIixudWxsLFsiY3JlYXRlZF9hdCIsImFzYyJdXQ==", "ü"]:
        answer = await service.post(f"{OBJECT}/list-v2/private", json={"cursor": cursor})
        assert (answer.status_code, answer.json()["message"]) == (400, "Invalid Parameter continuation token")
