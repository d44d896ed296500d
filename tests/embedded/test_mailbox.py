"""The stand-in for Resend, reached as the app reaches it: through the SDK, in process, into a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import psycopg
import pytest
import resend
from resend.exceptions import ResendError
from starlette.applications import Starlette

from sigma_app.core.addresses import address_digest
from sigma_app.core.database import ANONYMOUS, Database, serve_requests_from
from sigma_app.embedded.mailbox import api, page
from sigma_app.gateways import mail
from sigma_app.gateways.mail import Mail, MailDelayed, send, sending_mail
from sigma_app.settings import get_settings

pytestmark = pytest.mark.anyio

ALICE = Mail("alice@example.com", "Hello", "<p>Hello</p>", "Hello", {"List-Unsubscribe": "<https://x.example/u>"})
FOR_BOB = Mail("bob@example.com", "Hi", "<p>Hi</p>", "Hi")
BODY = {"from": "Sigma <hello@localhost>", "to": "alice@example.com", "subject": "Hello", "text": "Hello"}


@pytest.fixture(autouse=True)
def nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("RESEND_API_KEY", "RESEND_API_URL", "MAIL_FROM", "SIGMA_ENV", "BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
async def sending(database: Database) -> AsyncIterator[None]:
    with serve_requests_from(database):
        async with sending_mail():
            yield


@pytest.fixture
async def browser(sending) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=page.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
        yield client


@pytest.fixture
async def raw(sending) -> AsyncIterator[httpx.AsyncClient]:
    """Requests as the SDK would not make them."""
    headers = {"authorization": "Bearer any"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api.app), base_url="http://mailbox", headers=headers
    ) as it:
        yield it


def count(owner: psycopg.Connection) -> int:
    row = owner.execute("select count(*) from sigma.mailbox").fetchone()
    return row[0] if row else 0


async def test_a_mail_is_kept_whole(sending, owner):
    kept = await send(ALICE, "test/1")
    row = owner.execute(
        "select id::text, sender, recipients, subject, html, body, headers from sigma.mailbox"
    ).fetchone()
    assert row == (
        kept,
        "Sigma <hello@localhost>",
        ["alice@example.com"],
        "Hello",
        "<p>Hello</p>",
        "Hello",
        {"List-Unsubscribe": "<https://x.example/u>"},
    )


async def test_a_second_try_for_the_same_cause_keeps_nothing_and_gives_the_same_id(sending, owner):
    tries = await asyncio.gather(*(send(ALICE, "test/1") for _ in range(8)))
    assert len(set(tries)) == 1
    assert await send(ALICE, "test/2") not in tries
    assert count(owner) == 2


async def test_another_mail_for_the_same_cause_is_refused_by_the_stand_in_and_counts_as_sent(sending, owner):
    await send(ALICE, "test/1")
    with pytest.raises(ResendError) as raised:
        await resend.Emails.send_async(BODY, {"idempotency_key": "test/1"})  # pyright: ignore[reportArgumentType]
    assert (raised.value.code, raised.value.error_type) == (409, "invalid_idempotent_request")
    assert await send(FOR_BOB, "test/1") == ""
    assert count(owner) == 1


async def test_a_key_is_forgotten_after_a_day(sending, owner):
    first = await send(ALICE, "test/1")
    owner.execute("update sigma.mailbox set created_at = now() - interval '25 hours'")
    assert await send(ALICE, "test/1") != first
    assert count(owner) == 2


async def test_without_a_key_every_request_is_a_mail_of_its_own(sending, owner):
    for _ in range(2):
        await resend.Emails.send_async(BODY)  # pyright: ignore[reportArgumentType]
    assert count(owner) == 2


@pytest.mark.parametrize(
    ("change", "status", "name"),
    [
        ({"from": None}, 422, "missing_required_field"),
        ({"to": []}, 422, "missing_required_field"),
        ({"subject": ""}, 422, "missing_required_field"),
        ({"text": None}, 422, "missing_required_field"),
        ({"to": "alice"}, 422, "validation_error"),
        ({"to": ["alice@example.com", "a b@c"]}, 422, "validation_error"),
        ({"to": ["alice@example.com"] * 51}, 422, "validation_error"),
        ({"to": {"a": 1}}, 422, "validation_error"),
        ({"from": "Sigma"}, 422, "validation_error"),
        ({"html": 5}, 422, "validation_error"),
        ({"headers": {"x": 1}}, 422, "validation_error"),
    ],
)
async def test_a_mail_that_resend_would_refuse_is_refused_alike(raw, owner, change, status, name):
    answer = await raw.post("/emails", json=BODY | change)
    assert answer.status_code == status
    assert (answer.json()["statusCode"], answer.json()["name"]) == (status, name)
    assert answer.json()["message"]
    assert count(owner) == 0


@pytest.mark.parametrize(
    ("headers", "content", "status", "name"),
    [
        ({"authorization": ""}, b"{}", 401, "missing_api_key"),
        ({"idempotency-key": "x" * 257}, b"{}", 400, "invalid_idempotency_key"),
        ({}, b"{", 400, "validation_error"),
        ({}, b"\xff", 400, "validation_error"),
        ({}, b"[]", 422, "validation_error"),
    ],
)
async def test_a_strange_request_is_refused_in_resends_shape(raw, headers, content, status, name):
    answer = await raw.post("/emails", content=content, headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (status, name)


async def test_mail_waits_while_the_database_is_away():
    async with sending_mail():
        with pytest.raises(MailDelayed):
            await send(ALICE, "test/1")


async def test_the_list_is_newest_first_with_the_documented_keys(browser):
    assert (await browser.get("/dev/mailbox.json")).json() == []
    await send(ALICE, "test/1")
    await send(FOR_BOB, "test/2")
    bob, alice = (await browser.get("/dev/mailbox.json")).json()
    assert set(alice) == {"to", "subject", "text", "html", "created_at"}
    assert (bob["to"], alice["to"]) == ("bob@example.com", "alice@example.com")
    assert (alice["subject"], alice["text"], alice["html"]) == ("Hello", "Hello", "<p>Hello</p>")
    assert bob["created_at"] > alice["created_at"]


async def test_the_page_shows_mails_as_text_and_their_html_in_a_frame_that_may_do_nothing(browser):
    assert "No mail yet" in (await browser.get("/dev/mailbox")).text
    mischief = '"><script>alert(1)</script>'
    await send(Mail("alice@example.com", mischief, f"<p>{mischief}</p>", mischief, {"X-Name": mischief}), "test/1")
    answer = await browser.get("/dev/mailbox")
    assert "<script" not in answer.text
    assert 'sandbox="allow-top-navigation-by-user-activation"' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_the_page_holds_the_newest_hundred_and_says_that_there_are_more(browser, owner):
    owner.execute(
        "insert into sigma.mailbox (fingerprint, sender, recipients, subject, body)"
        " select '', 'a@b', '{c@d}', 'Mail ' || n, 'Hello' from generate_series(1, 100) as n"
    )
    assert "These are the newest" not in (await browser.get("/dev/mailbox")).text
    await send(ALICE, "test/1")
    text = (await browser.get("/dev/mailbox")).text
    assert "These are the newest 100." in text
    assert text.count("<li>") == 100


async def test_a_mailbox_without_a_database_says_so():
    transport = httpx.ASGITransport(Starlette(routes=page.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
        for path in ("/dev/mailbox", "/dev/mailbox.json"):
            assert (await client.get(path)).status_code == 503


async def test_somebody_who_is_forgotten_is_gone_from_the_mailbox_in_any_case_and_nobody_else(sending, owner):
    await send(ALICE, "test/1")
    await send(FOR_BOB, "test/2")
    await mail.forget(address_digest("ALICE@example.com"))
    assert owner.execute("select recipients from sigma.mailbox").fetchall() == [(["bob@example.com"],)]


async def test_so_is_what_was_kept_before_mail_went_to_resend(sending, owner, monkeypatch):
    await send(ALICE, "test/1")
    monkeypatch.setenv("RESEND_API_KEY", "re_1")
    monkeypatch.setenv("MAIL_FROM", "hello@sigma.example.com")
    get_settings.cache_clear()
    assert get_settings().is_hosted("mail")
    assert await mail.forget(address_digest("alice@example.com")) == 1
    assert owner.execute("select from sigma.mailbox").fetchall() == []


@pytest.mark.parametrize("table", ["mailbox", "suppressions", "webhook_events"])
async def test_the_tables_of_mail_are_the_services_alone(database, owner, table):
    holders = owner.execute(
        "select role from unnest(array['anon', 'authenticated', 'authenticator', 'service_role']) as role"
        " where has_table_privilege(role, %s, 'select, insert, update, delete, truncate')",
        [f"sigma.{table}"],
    ).fetchall()
    assert holders == [("service_role",)]
    with pytest.raises(Exception, match="permission denied"):
        async with database.transaction(ANONYMOUS) as session:
            await (await session.connection()).exec_driver_sql(f"select * from sigma.{table}")
