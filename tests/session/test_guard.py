"""Protected pages are for whoever is signed in, and in no browser's memory; everybody else signs in and comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from starlette.responses import PlainTextResponse

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.frontend.static import MemoryFiles
from sigma_app.serve import Site
from sigma_app.session import store
from sigma_app.session.cookie import new_cookie
from sigma_app.session.guard import CONSOLE, PROTECTED
from tests.portal import SignIn

pytestmark = pytest.mark.anyio

ORIGIN = "http://localhost:3000"
CONSOLE_PAGES = (CONSOLE, f"{CONSOLE}/leads")
Browse = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def browser(serving, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    build = tmp_path / "build"
    for page in (*(path.strip("/") for path in (*PROTECTED, *CONSOLE_PAGES)), "join"):
        (build / page).mkdir(parents=True)
        (build / page / "index.html").write_text(f"<html><h1>{page}</h1>" + "x" * 2000)
    site = Site(MemoryFiles(build, ORIGIN), [], PlainTextResponse("Not Found", 404), ORIGIN)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(site), base_url=ORIGIN) as client:
        yield client


def with_cookie(value: str, **headers: str) -> dict[str, str]:
    return {"cookie": f"sigma_session={value}", **headers}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [*PROTECTED, *CONSOLE_PAGES])
async def test_who_is_not_signed_in_is_led_to_sign_in_and_back(browser: httpx.AsyncClient, path: str, method: str):
    for headers in ({}, with_cookie(new_cookie()), with_cookie("junk")):
        answer = await browser.request(method, f"{path}?tab=picture&x=%2F%26", headers=headers)
        assert answer.status_code == 303
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content == b""
        location = urlsplit(answer.headers["location"])
        assert (location.netloc, location.path) == ("", "/sign-in")
        assert parse_qs(location.query) == {"next": [f"{path}?tab=picture&x=%2F%26"]}


async def test_the_usual_place_to_come_back_to_needs_no_saying(browser: httpx.AsyncClient):
    assert (await browser.get("/profile")).headers["location"] == "/sign-in"
    assert (await browser.get("/account")).headers["location"] == "/sign-in?next=%2Faccount"


@pytest.mark.parametrize("query", ["x=%0d%0aset-cookie:a=1", "\\evil", "x" * 5000, "next=//evil.example"])
async def test_whatever_query_it_came_with_the_answer_is_of_this_site(browser: httpx.AsyncClient, query: str):
    answer = await browser.get(f"/account?{query}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", PROTECTED)
async def test_who_is_signed_in_gets_the_page_and_no_copy_of_it_stays(
    browser: httpx.AsyncClient, cookie: str, path: str
):
    for method in ("GET", "HEAD"):
        answer = await browser.request(method, path, headers=with_cookie(cookie))
        assert answer.status_code == 200
        assert answer.headers.get_list("cache-control") == ["no-store"]
        assert "etag" not in answer.headers
        assert (path[1:] in answer.text) == (method == "GET")


@pytest.mark.parametrize("path", CONSOLE_PAGES)
async def test_the_console_is_there_for_operators_alone_and_for_as_long_as_they_are(
    browser: httpx.AsyncClient, cookie: str, owner: psycopg.Connection, path: str
):
    def give(role: str | None) -> None:
        owner.execute("update auth.users set raw_app_meta_data = jsonb_build_object('role', %s::text)", [role])

    for role, status in ((None, 404), ("admin", 200), ("editor", 404)):
        give(role)
        answer = await browser.get(path, headers=with_cookie(cookie))
        assert answer.status_code == status
        assert ("<h1>" in answer.text) == (status == 200)


@pytest.mark.parametrize("path", [*PROTECTED, CONSOLE])
async def test_who_came_by_a_link_for_a_forgotten_password_chooses_one_first(
    browser: httpx.AsyncClient, sign_in: SignIn, path: str
):
    recovered = await store.open_session(await sign_in("alice"), recovered=True)
    answer = await browser.get(path, headers=with_cookie(recovered))
    assert answer.status_code == 303
    assert urlsplit(answer.headers["location"]).path == "/reset"


async def test_a_browser_that_has_a_copy_nevertheless_gets_the_page_anew(browser: httpx.AsyncClient, cookie: str):
    etag = (await browser.get("/join")).headers["etag"]
    assert (await browser.get("/join", headers={"if-none-match": etag})).status_code == 304
    for said in (etag, "*"):
        answer = await browser.get("/profile", headers=with_cookie(cookie) | {"if-none-match": said})
        assert answer.status_code == 200
        assert "profile" in answer.text


async def test_after_signing_out_the_same_address_is_no_page_any_more(browser: httpx.AsyncClient, cookie: str):
    assert (await browser.get("/profile", headers=with_cookie(cookie))).status_code == 200
    await store.end(cookie)
    assert (await browser.get("/profile", headers=with_cookie(cookie))).status_code == 303


@pytest.mark.parametrize("path", ["/profile/", "/account/", "//profile", "/Profile", "/profile/index.html"])
async def test_no_other_spelling_of_the_address_shows_it(browser: httpx.AsyncClient, path: str):
    answer = await browser.get(f"{ORIGIN}{path}")
    assert answer.status_code in (303, 308, 404)
    assert "<h1>" not in answer.text


async def test_while_the_database_is_away_the_page_says_so_itself(browser: httpx.AsyncClient, cookie: str):
    async with Database("postgresql://nobody@127.0.0.1:9/none", pool_size=1) as away:
        with serve_requests_from(away):
            answer = await browser.get("/profile", headers=with_cookie(cookie))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_without_a_cookie_the_database_is_not_asked(browser: httpx.AsyncClient):
    async with Database("postgresql://nobody@127.0.0.1:9/none", pool_size=1) as away:
        with serve_requests_from(away):
            assert (await browser.get("/profile")).status_code == 303


async def test_other_pages_are_kept_as_ever(browser: httpx.AsyncClient):
    answer = await browser.get("/join")
    assert answer.headers["cache-control"] == "no-cache"
    assert "etag" in answer.headers
