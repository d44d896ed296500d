"""The waitlist's HTTP doors, on a real database: what a browser without JavaScript, a robot or curl gets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from html import escape

import httpx
import pytest
from starlette.applications import Starlette

from sigma_app.core.database import serve_requests_from
from sigma_app.features.waitlist import consent, http, intake
from sigma_app.settings import get_settings

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def fresh_limits_and_count(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test counts from nothing, under the default settings."""
    for variable in ("JOIN_LIMIT_PER_ADDRESS", "JOIN_LIMIT_PER_NETWORK", "SIGMA_ENV", "TRUSTED_PROXIES"):
        monkeypatch.delenv(variable, raising=False)
    caches = (get_settings, intake._network_limiter, intake._address_limiter)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setattr(intake, "_founder_count", intake.FounderCount())
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
async def client(database) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=http.ROUTES))
    with serve_requests_from(database):
        async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
            yield client


@pytest.fixture
async def client_without_database() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=http.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
        yield client


def count(owner) -> int:
    return owner.execute("select count(*) from leads").fetchone()[0]


async def test_a_plain_post_joins_and_leads_to_the_result_page(client, owner):
    answer = await client.post("/join", data={"email": "alice@example.com", "form": "hero"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/joined")
    assert count(owner) == 1


async def test_without_a_script_the_arrival_is_read_from_the_page_the_browser_left(client, owner):
    headers = {"referer": "http://sigma.test/?utm_source=paper&ref=F7"}
    await client.post("/join", data={"email": "alice@example.com"}, headers=headers)
    assert owner.execute("select utm_source, referral_code, referrer from leads").fetchone() == ("paper", "F7", None)


async def test_visitors_who_join_at_once_are_all_kept_but_one_whom_the_database_refuses(client, owner):
    owner.execute("alter table leads add constraint no_bobs check (email not like 'bob%')")
    try:
        names = ["alice", "bob", "carol", "dave"]
        posts = [client.post("/join", data={"email": f"{name}@example.com"}) for name in names]
        assert [answer.status_code for answer in await asyncio.gather(*posts)] == [303, 503, 303, 303]
    finally:
        owner.execute("alter table leads drop constraint no_bobs")
    kept = owner.execute("select email from leads order by email").fetchall()
    assert kept == [("alice@example.com",), ("carol@example.com",), ("dave@example.com",)]


async def test_a_wrong_address_comes_back_with_its_reason_and_is_not_cached(client, owner):
    answer = await client.post("/join", data={"email": "nonsense"})
    assert answer.status_code == 422
    assert "The @ is missing" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert count(owner) == 0


class Pages:
    """The exported pages, as far as the form needs them."""

    def text(self, path: str) -> str:
        assert path == "/join"
        return (
            '<input type="hidden" name="form" value="page"/>'
            '<input aria-invalid="false" data-template="email" name="email"/><p class="x" data-template="message"></p>'
        )


@pytest.mark.parametrize("typed", ['"><script>alert(1)</script>', "\\1 \\g<0> $&", "' onfocus=alert(1) x='"])
async def test_what_was_typed_is_shown_as_text_and_never_as_markup(database, typed):
    routes = Starlette(routes=http.ROUTES)

    async def app(scope, receive, send):
        await routes(scope | {"sigma.pages": Pages()}, receive, send)

    transport = httpx.ASGITransport(app)
    with serve_requests_from(database):
        async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
            answer = await client.post("/join", data={"email": typed})
    assert f'value="{escape(typed)}" aria-invalid="true"' in answer.text
    assert 'data-template="message"></p>' not in answer.text
    assert "<script" not in answer.text
    assert 'aria-invalid="false"' not in answer.text


async def test_a_throw_away_address_joins_and_is_marked_for_the_operator(client, owner):
    answer = await client.post("/join", data={"email": "Robin@mailinator.com"})
    assert answer.status_code == 303
    assert owner.execute("select email, disposable from leads").fetchone() == ("Robin@mailinator.com", True)


async def test_an_address_in_any_script_gets_an_answer(client, owner):
    for address in ("a@א1.com", "用户@例え.jp", "a@ا٣.com"):
        assert (await client.post("/join", data={"email": address})).status_code == 303
    assert count(owner) == 3


async def test_the_words_agreed_to_are_those_on_the_page(client, owner, monkeypatch):
    monkeypatch.setitem(consent.CONSENTS, "1999-12-31", "Older words.")
    for version in ("1999-12-31", "made up", ""):
        await client.post("/join", data={"email": f"v{len(version)}@example.com", "consent_version": version})
    kept = owner.execute("select consent_version from leads order by created_at").fetchall()
    assert kept == [("1999-12-31",), (consent.CONSENT_VERSION,), (consent.CONSENT_VERSION,)]


async def test_a_database_that_refuses_is_said_plainly_and_nothing_is_logged_of_the_visitor(client, owner, caplog):
    owner.execute("alter table leads add constraint none check (email = '') not valid")
    answer = await client.post("/join", data={"email": "alice@example.com"})
    assert answer.status_code == 503
    assert "try again in a moment" in answer.text
    assert "CheckViolation 23514" in caplog.text
    assert "alice" not in caplog.text


async def test_fifty_people_join_one_address_at_once_and_there_is_one_row(client, owner, monkeypatch):
    monkeypatch.setenv("JOIN_LIMIT_PER_ADDRESS", "1000/hour")
    get_settings.cache_clear()
    joins = [client.post("/join", data={"email": f"{'aA'[n % 2]}lice@example.com"}) for n in range(50)]
    answers = await asyncio.gather(*joins)
    assert {answer.status_code for answer in answers} == {303}
    assert count(owner) == 1


async def test_a_filled_honeypot_is_held_back_and_says_so(client, owner):
    answer = await client.post("/join", data={"email": "robot@example.com", intake.HONEYPOT: "https://spam.example"})
    assert answer.status_code == 422
    assert "press the button again" in answer.text
    assert count(owner) == 0


@pytest.mark.parametrize(
    ("elapsed", "status"),
    [*((ms, 422) for ms in ("0", "999")), *((ms, 303) for ms in ("1000", "", "soon", "²", "9" * 5000, "-1"))],
)
async def test_only_a_form_that_says_it_was_filled_too_fast_is_held_back(client, elapsed, status):
    answer = await client.post("/join", data={"email": "alice@example.com", "elapsed_ms": elapsed})
    assert answer.status_code == status


async def test_too_many_tries_for_one_address_are_told_when_to_come_back(client, owner):
    answers = [await client.post("/join", data={"email": "alice@example.com"}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [303] * 10 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 3600
    assert "Please wait" in answers[-1].text
    assert (await client.post("/join", data={"email": "bob@example.com"})).status_code == 303


async def test_the_limit_of_an_address_holds_whatever_its_case_and_says_how_long(client, clock):
    clock(20 * 60)
    answers = [await client.post("/join", data={"email": f"{'aA'[n % 2]}lice@example.com"}) for n in range(11)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"] == str(40 * 60)
    assert "Please wait 40 minutes" in answers[-1].text


async def test_tries_that_failed_on_our_side_cost_nobody_their_next_one(client_without_database, database):
    for _ in range(30):
        assert (await client_without_database.post("/join", data={"email": "alice@example.com"})).status_code == 503
    with serve_requests_from(database):
        assert (await client_without_database.post("/join", data={"email": "alice@example.com"})).status_code == 303


async def test_too_many_tries_from_one_network_are_told_when_to_come_back(client, clock):
    statuses = [(await client.post("/join", data={"email": f"f{n}@example.com"})).status_code for n in range(62)]
    assert statuses == [303] * 60 + [429] * 2


async def test_behind_our_proxy_each_visitor_has_a_limit_of_their_own(client, monkeypatch):
    monkeypatch.setenv("TRUSTED_PROXIES", "1")
    get_settings.cache_clear()
    for n in range(70):
        forwarded = {"x-forwarded-for": f"203.0.113.66, 198.51.100.{n}"}
        answer = await client.post("/join", data={"email": f"f{n}@example.com"}, headers=forwarded)
        assert answer.status_code == 303


async def test_a_visitor_cannot_choose_the_address_they_are_limited_by(client, clock):
    statuses = [
        (
            await client.post(
                "/join", data={"email": f"f{n}@example.com"}, headers={"x-forwarded-for": f"198.51.100.{n}"}
            )
        ).status_code
        for n in range(61)
    ]
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://sigma.test", 303),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://sigma.test.evil.example", 403),
        ("http://[", 403),
    ],
)
async def test_another_sites_form_cannot_join_people(client, origin, status):
    answer = await client.post("/join", data={"email": "alice@example.com"}, headers={"origin": origin})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"email": "a@example.com"}', "application/json", 415),
        (b"email=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"\xff\xfe=%zz&&&;;=", "application/x-www-form-urlencoded", 422),
        (b"email=a%00b@example.com", "application/x-www-form-urlencoded", 422),
        (b"", "application/x-www-form-urlencoded; charset=utf-8", 422),
    ],
)
async def test_a_strange_body_is_refused_in_words(client, body, content_type, status):
    answer = await client.post("/join", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert answer.text


async def test_a_database_that_is_away_is_said_plainly_and_nothing_is_acknowledged(client_without_database):
    answer = await client_without_database.post("/join", data={"email": "alice@example.com"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "try again in a moment" in answer.text


async def test_the_count_is_kept_for_a_few_seconds_and_renewed_by_a_join(client, owner, monkeypatch):
    assert (await client.get("/founders.json")).json() == {"founders": 0}
    owner.execute("insert into leads (email) values ('elsewhere@example.com')")
    assert (await client.get("/founders.json")).json() == {"founders": 0}
    await client.post("/join", data={"email": "alice@example.com"})
    assert (await client.get("/founders.json")).json() == {"founders": 2}
    owner.execute("delete from leads")
    monkeypatch.setattr(intake._founder_count, "_read_at", -1000.0)
    assert (await client.get("/founders.json")).json() == {"founders": 0}


async def test_the_count_of_before_is_shown_while_the_database_is_away(client, client_without_database, monkeypatch):
    await client.post("/join", data={"email": "alice@example.com"})
    await client.get("/founders.json")
    monkeypatch.setattr(intake._founder_count, "_read_at", -1000.0)
    monkeypatch.setattr("sigma_app.core.database._serving", None)
    answer = await client_without_database.get("/founders.json")
    assert (answer.status_code, answer.json()) == (200, {"founders": 1})


async def test_a_count_that_was_never_known_is_an_honest_503(client_without_database):
    answer = await client_without_database.get("/founders.json")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
