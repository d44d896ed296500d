"""Resend's events: only signed ones, each once, and what follows from them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette

from sigma_app.core.database import SERVICE, serve_requests_from
from sigma_app.core.jobs import work
from sigma_app.embedded.mailbox import store
from sigma_app.features.mail import service, webhook
from sigma_app.features.mail.jobs import apply_event, forget_events
from sigma_app.gateways.mail import Mail, sending_mail
from sigma_app.settings import get_settings
from tests.counted import deliveries

pytestmark = pytest.mark.anyio

KEY = b"a key of the webhook"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
ALICE = "Alice@Example.com"
TO_ALICE = Mail("alice@example.com", "Hello", "<p>Hello</p>", "Hello")


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RESEND_API_KEY", raising=False)
    monkeypatch.setenv("RESEND_WEBHOOK_SECRET", SECRET)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
async def client(database) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=webhook.ROUTES))
    with serve_requests_from(database):
        async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client, sending_mail():
            yield client


@pytest.fixture
def told(client: httpx.AsyncClient, login_url: str):
    """Tell an event to the door, and run what follows from it."""

    async def tell(kind: str, event_id: str = "msg_1", **data) -> None:
        body = event(kind, **data)
        assert (await client.post("/webhooks/resend", content=body, headers=signed(body, event_id))).status_code == 200
        await work(login_url, until_idle=True)

    return tell


def event(kind: str, **data) -> bytes:
    whole = {"type": kind, "created_at": "2026-01-01T00:00:00Z", "data": {"email_id": "1", "to": [ALICE]} | data}
    return json.dumps(whole, ensure_ascii=False).encode()


def signed(body: bytes, event_id: str = "msg_1", key: bytes = KEY, age: int = 0) -> dict[str, str]:
    """The headers of an event (https://docs.svix.com/receiving/verifying-payloads/how-manual)."""
    at = str(int(time.time()) - age)
    digest = hmac.new(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {"svix-id": event_id, "svix-timestamp": at, "svix-signature": f"v1,{base64.b64encode(digest).decode()}"}


def kept(owner) -> list[tuple]:
    return owner.execute(
        "select source, id, type, handled_at is not null from sigma.webhook_events order by id"
    ).fetchall()


def queued(owner) -> int:
    return owner.execute(
        "select count(*) from procrastinate.procrastinate_jobs where task_name = 'mail:apply_event'"
    ).fetchone()[0]


async def suppressed(database) -> bool:
    async with database.transaction(SERVICE) as session:
        return await service.is_suppressed(session, "alice@example.com")


BOUNCED = {"bounce": {"type": "Permanent", "subType": "NoEmail", "message": "No such mailbox."}}


async def test_an_address_where_mail_came_back_gets_no_more(told, database, owner):
    await told("email.bounced", **BOUNCED)
    assert await suppressed(database)
    assert kept(owner) == [("resend", "msg_1", "email.bounced", True)]
    assert not await service.send(TO_ALICE, "test/1", kind="test")
    assert await store.newest(10) == []


async def test_a_mail_about_somebodys_own_account_still_goes(told):
    await told("email.bounced", **BOUNCED)
    assert await service.send(TO_ALICE, "test/1", kind="test", account=True)
    assert [mail.to for mail in await store.newest(10)] == ["alice@example.com"]


async def test_a_mail_to_everybody_else_goes(told):
    await told("email.bounced", **BOUNCED)
    assert await service.send(Mail("bob@example.com", "Hi", "<p>Hi</p>", "Hi"), "test/1", kind="test")


@pytest.mark.parametrize("kind", ["email.complained", "email.suppressed"])
async def test_whoever_calls_it_spam_or_is_suppressed_at_resend_gets_no_more(told, database, kind):
    await told(kind, to=[f"Alice <{ALICE}>"])
    assert await suppressed(database)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("email.bounced", {"bounce": {"type": "Transient", "subType": "MailboxFull"}}),
        ("email.bounced", {"bounce": {"type": "Undetermined"}}),
        ("email.bounced", {}),
        ("email.delivered", {}),
        ("contact.created", {}),
        ("something.new", BOUNCED),
    ],
)
async def test_any_other_event_is_kept_and_changes_nothing(told, database, owner, kind, data):
    await told(kind, **data)
    assert not await suppressed(database)
    assert kept(owner) == [("resend", "msg_1", kind, True)]


async def test_only_a_digest_of_the_address_is_kept_with_the_first_reason(told, owner):
    await told("email.bounced", **BOUNCED)
    await told("email.complained", "msg_2")
    rows = owner.execute("select digest, reason from sigma.suppressions").fetchall()
    assert rows == [(hashlib.sha256(b"alice@example.com").digest(), "bounced")]


async def test_an_event_told_again_does_nothing_again(told, client, database, owner):
    await told("email.bounced", **BOUNCED)
    owner.execute("delete from sigma.suppressions")  # the operator's doing: a repetition must not undo it
    body = event("email.bounced", **BOUNCED)
    assert (await client.post("/webhooks/resend", content=body, headers=signed(body))).status_code == 200
    assert queued(owner) == 0
    assert not await suppressed(database)


async def test_an_event_is_applied_once_however_often_its_job_runs(told, database, owner):
    await told("email.bounced", **BOUNCED)
    owner.execute("delete from sigma.suppressions")
    await apply_event(source="resend", event_id="msg_1")
    assert not await suppressed(database)


async def refused(client: httpx.AsyncClient, owner, body: bytes, headers: dict[str, str]) -> int:
    answer = await client.post("/webhooks/resend", content=body, headers=headers)
    assert answer.text
    assert kept(owner) == []
    assert queued(owner) == 0
    return answer.status_code


async def test_a_body_that_was_changed_on_the_way_is_refused(client, owner):
    body = event("email.bounced", **BOUNCED)
    assert await refused(client, owner, body.replace(b"Alice", b"Bobby"), signed(body)) == 400


async def test_a_signature_of_another_secret_is_refused(client, owner):
    body = event("email.bounced", **BOUNCED)
    assert await refused(client, owner, body, signed(body, key=b"another key")) == 400


@pytest.mark.parametrize("age", [310, -310])
async def test_an_event_of_another_time_is_refused(client, owner, age):
    body = event("email.bounced", **BOUNCED)
    assert await refused(client, owner, body, signed(body, age=age)) == 400


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
async def test_an_event_without_one_of_its_headers_is_refused(client, owner, name):
    body = event("email.bounced", **BOUNCED)
    headers = {header: value for header, value in signed(body).items() if header != name}
    assert await refused(client, owner, body, headers) == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff\xfe", 400),
        (b"no JSON", 400),
        (b"[1]", 400),
        (b'{"type": "email.bounced", "data": "\\u0000"}', 400),
        (b'"' + b"x" * 256 * 1024 + b'"', 413),
    ],
)
async def test_a_signed_body_that_is_no_event_is_refused(client, owner, body, status):
    assert await refused(client, owner, body, signed(body)) == status


async def test_without_the_secret_nothing_is_believed(client, owner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RESEND_WEBHOOK_SECRET")
    get_settings.cache_clear()
    body = event("email.bounced", **BOUNCED)
    assert await refused(client, owner, body, signed(body)) == 503


async def test_while_the_database_is_away_resend_is_asked_to_tell_it_later():
    transport = httpx.ASGITransport(Starlette(routes=webhook.ROUTES))
    body = event("email.bounced", **BOUNCED)
    async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
        answer = await client.post("/webhooks/resend", content=body, headers=signed(body))
    assert answer.status_code == 503


async def test_what_becomes_of_each_is_counted(client: httpx.AsyncClient, database):
    before = deliveries("resend")
    body = event("email.delivered")
    unkept = b'{"type": "email.bounced", "data": "\\u0000"}'
    told = [
        *[(body, signed(body))] * 2,
        (body, signed(body, key=b"another key")),
        (b"[1]", signed(b"[1]")),
        (unkept, signed(unkept, "msg_2")),
    ]
    for content, headers in told:
        await client.post("/webhooks/resend", content=content, headers=headers)
    await database.close()
    await client.post("/webhooks/resend", content=body, headers=signed(body))
    became = {outcome: count - before[outcome] for outcome, count in deliveries("resend").items()}
    assert became == {"kept": 1, "known": 1, "forged": 1, "refused": 2, "failed": 1}


async def test_no_address_is_logged(told, client, owner, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG", "sigma_app")
    await told("email.bounced", **BOUNCED)
    body = b'{"type": "email.bounced", "data": {"to": ["alice@example.com", "\\u0000"]}}'
    assert (await client.post("/webhooks/resend", content=body, headers=signed(body, "msg_2"))).status_code == 400
    assert "alice" not in caplog.text.lower()


async def test_an_event_that_cannot_be_worked_is_kept_with_the_reason_until_it_can(told, database, owner):
    await told("email.complained", to=[1])  # which Resend has never told
    failed = "select tries, error, handled_at is not null from sigma.webhook_events"
    ((tries, error, handled),) = owner.execute(failed).fetchall()
    assert (tries, handled) == (1, False)
    assert error.startswith(("TypeError", "AttributeError"))
    owner.execute("update sigma.webhook_events set body = jsonb_set(body, '{data,to}', '[\"alice@example.com\"]')")
    await apply_event("resend", "msg_1")
    assert owner.execute(failed).fetchall() == [(1, None, True)]
    assert await suppressed(database)


async def test_events_are_forgotten_a_month_after_they_came_and_those_that_nobody_could_handle_after_three(told, owner):
    await told("email.delivered", "msg_old")
    await told("email.delivered", "msg_new")
    owner.execute("update sigma.webhook_events set received_at = now() - interval '31 days' where id = 'msg_old'")
    for name, days in (("msg_unhandled", 89), ("msg_never_handled", 91)):
        owner.execute(
            "insert into sigma.webhook_events (source, id, type, body, received_at, error)"
            " values ('resend', %s, 'email.bounced', '{}', now() - %s * interval '1 day', 'TypeError')",
            [name, days],
        )
    await forget_events(0)
    assert [row[1] for row in kept(owner)] == ["msg_new", "msg_unhandled"]
