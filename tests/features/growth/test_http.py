"""POST /visit as anybody may send it: counted is what a page of ours says for a person; the answer never tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.features.growth import http
from tests.conftest import settings_for
from tests.features.growth.conftest import PUBLIC
from tests.settled import settled

pytestmark = pytest.mark.anyio

ARRIVAL = {
    "page": f"{PUBLIC}/join?utm_source=News&utm_medium=mail&utm_campaign=may&ref=abc",
    "referrer": "https://x.test/y",
}
STORED = "select page, source, medium, campaign, referrer, referral from sigma.visits"


@pytest.fixture
def limit() -> str:
    return "1000/minute"


@pytest.fixture(autouse=True)
def settings(tmp_path, limit: str) -> Iterator[None]:
    http._limiter.cache_clear()
    with settled(settings_for(tmp_path, BASE_URL=PUBLIC, VISIT_LIMIT_PER_NETWORK=limit, TRUSTED_PROXIES="1")):
        yield
    http._limiter.cache_clear()


@pytest.fixture
async def client(serving: Database) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=http.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC) as client:
        yield client


async def tell(client: httpx.AsyncClient, body: object = ARRIVAL, **headers: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await client.post(
        "/visit", content=content, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (204, b"", "no-store")


async def test_an_arrival_is_kept_as_a_few_words_and_nothing_of_whom(client, owner):
    await tell(client, origin=PUBLIC, user_agent="Mozilla/5.0", cookie="a=b", x_forwarded_for="192.0.2.7")
    assert owner.execute(STORED).fetchall() == [("/join", "news", "mail", "may", "x.test", "yes")]
    assert set(owner.execute("select to_jsonb(visits) - 'at' from sigma.visits").fetchone()[0]) == {
        "page", "source", "medium", "campaign", "referrer", "referral",
    }  # fmt: skip


async def test_arrivals_at_once_are_all_kept(client, owner):
    await asyncio.gather(*(tell(client) for _ in range(50)))
    assert owner.execute("select count(*) from sigma.visits").fetchone() == (50,)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"null", b"[]", b'"/"', b"1" * 5000, b"[" * 5000, {}, {"page": "/"},
        {"page": None, "referrer": None},
        {"page": [f"{PUBLIC}/"], "referrer": ""}, ARRIVAL | {"page": ""}, ARRIVAL | {"page": "http://["},
        ARRIVAL | {"page": f"{PUBLIC}/place/secret"}, ARRIVAL | {"page": f"{PUBLIC}/admin"}, ARRIVAL | {"referrer": 5},
    ],
)  # fmt: skip
async def test_what_is_no_arrival_is_not_kept(client, owner, body):
    await tell(client, body)
    assert owner.execute(STORED).fetchall() == []


@pytest.mark.parametrize(
    "arrival",
    [
        {"page": f"{PUBLIC}/?utm_source=%00\u0000%ed%a0%80\ud800", "referrer": "\u0000\ud800"},
        {"page": f"{PUBLIC}/?utm_source={'ß' * 600}", "referrer": "https://" + "é" * 600},
        {"page": f"{PUBLIC}/?" + "a=b&" * 400, "referrer": "javascript:alert(1)"},
        {"page": f"{PUBLIC}/?utm_source='); drop table sigma.visits; --", "referrer": "http://%s/%(x)s"},
        {"page": "https://elsewhere.example/", "referrer": "http://["},
    ],
)
async def test_whatever_it_says_it_is_one_row_of_short_texts(client, owner, arrival):
    await tell(client, arrival)
    (row,) = owner.execute(STORED).fetchall()
    assert all(len(text) <= 64 for text in row)


async def test_a_body_that_is_too_large_is_not_read(client, owner):
    await tell(client, ARRIVAL | {"more": "x" * http.LARGEST})
    assert owner.execute(STORED).fetchall() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"sec_gpc": "1"},
        {"dnt": "1"},
        {"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
        {"user_agent": "ExampleCrawler"},
    ],
)
async def test_neither_another_site_nor_who_objects_nor_a_robot_is_counted(client, owner, headers):
    await tell(client, **headers)
    assert owner.execute(STORED).fetchall() == []


@pytest.mark.parametrize("headers", [{}, {"origin": PUBLIC}, {"dnt": "0"}, {"user_agent": "Mozilla/5.0 (CUBOT X30)"}])
async def test_everybody_else_is(client, owner, headers):
    await tell(client, **headers)
    assert len(owner.execute(STORED).fetchall()) == 1


@pytest.mark.parametrize("limit", ["2/minute"])
async def test_of_one_network_so_many_are_counted_and_the_others_are_not_kept_from_it(client, owner):
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.7", "192.0.2.8"):
        await tell(client, x_forwarded_for=address)
    assert len(owner.execute(STORED).fetchall()) == 3


async def test_without_a_database_the_page_hears_nothing_of_it(client, caplog):
    async with Database("postgresql://nobody@127.0.0.1:9/none", pool_size=1) as away:
        with serve_requests_from(away):
            await tell(client)
    assert "A visit was not counted" in caplog.text
    assert "x.test" not in caplog.text


async def test_it_is_asked_by_post_alone(client):
    assert (await client.get("/visit")).status_code == 405
