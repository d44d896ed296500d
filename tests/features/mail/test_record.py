"""What is kept of each mail: before it is handed over, after, and when something comes back about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator

import psycopg
import pytest

from sigma_app.core.database import SERVICE, Database, serve_requests_from
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.features.mail import jobs, record, service
from sigma_app.gateways.mail import Mail, MailDelayed, MailRefused, sending_mail
from tests.gateways.conftest import Resend, resend_api

__all__ = ["resend_api"]

pytestmark = pytest.mark.anyio

ALICE = "Alice@Example.com"
TO_ALICE = Mail(ALICE, "Hello", "<p>Hello</p>", "Hello")
KEY = "auth/1/signup"


@pytest.fixture
async def resend(resend_api: Resend, database: Database) -> AsyncIterator[Resend]:
    with serve_requests_from(database):
        async with sending_mail():
            yield resend_api


async def send(key: str = KEY, *, kind: str | None = "accounts:signup", account: bool = True) -> bool:
    return await service.send(TO_ALICE, key, kind=kind, account=account)


def noted(owner: psycopg.Connection, *columns: str) -> list[tuple]:
    wanted = ", ".join(columns or ("key", "kind", "recipient", "state", "provider_id"))
    return owner.execute(f"select {wanted} from sigma.messages order by queued_at".encode()).fetchall()


def tell(owner: psycopg.Connection, kind: str, provider_id: str = "mail-1", **data: object) -> str:
    """Keep an event of Resend's as the webhook does; its id."""
    identity = f"msg_{kind}_{provider_id}"
    body = {"type": kind, "data": {"email_id": provider_id, "to": [ALICE], **data}}
    owner.execute(
        "insert into sigma.webhook_events (source, id, type, body) values ('resend', %s, %s, %s)",
        [identity, kind, json.dumps(body)],
    )
    return identity


async def told(owner: psycopg.Connection, kind: str, provider_id: str = "mail-1", **data: object) -> None:
    await jobs.apply_event("resend", tell(owner, kind, provider_id, **data))


async def test_a_mail_that_was_sent_is_noted_without_its_words(resend: Resend, owner):
    assert await send()
    assert noted(owner) == [(KEY, "accounts:signup", ALICE, "sent", "mail-1")]
    assert noted(owner, "tries", "note", "digest") == [(1, None, hashlib.sha256(b"alice@example.com").digest())]
    row = owner.execute("select to_jsonb(messages)::text from sigma.messages").fetchone()
    assert row
    assert "Hello" not in row[0]


async def test_a_mail_that_could_not_be_handed_over_is_delayed_until_it_is_sent(resend: Resend, owner):
    resend.refuse(429, "rate_limit_exceeded")
    with pytest.raises(MailDelayed):
        await send()
    assert noted(owner, "state", "sent_at is null") == [("delayed", True)]
    ((note,),) = noted(owner, "note")
    assert "rate_limit_exceeded" in note
    assert await send()
    assert noted(owner, "state", "tries", "note", "delayed_at is not null") == [("sent", 2, None, True)]


async def test_a_mail_that_is_refused_says_why_without_an_address(resend: Resend, owner):
    resend.refuse(422, "validation_error", f"Invalid `to` field: {ALICE}")
    with pytest.raises(MailRefused):
        await send()
    ((state, note),) = noted(owner, "state", "note")
    assert state == "refused"
    assert "validation_error" in note
    assert "alice" not in note.lower()
    assert await send()  # the operator has mended it
    assert noted(owner, "state") == [("sent",)]


async def test_a_mail_to_an_address_that_gets_none_is_withheld_and_nothing_is_handed_over(
    resend: Resend, owner, database
):
    async with database.transaction(SERVICE) as session:
        await service.suppress(session, "alice@example.com", "bounced")
    assert not await send(account=False)
    assert noted(owner, "state", "sent_at is null") == [("withheld", True)]
    assert resend.requests == []
    assert await send("auth/2/signup", account=True)
    assert noted(owner, "state") == [("withheld",), ("sent",)]


async def test_the_same_mail_tried_again_is_one(resend: Resend, owner):
    assert await send()
    assert await send()
    assert noted(owner, "state", "tries", "provider_id") == [("sent", 2, "mail-2")]


async def test_a_mail_whose_worker_died_after_handing_it_over_is_noted_by_the_next_try(
    resend: Resend, owner, monkeypatch: pytest.MonkeyPatch
):
    async def away(*_: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(record, "sent", away)
        with pytest.raises(DatabaseUnavailable):
            await send()
    assert noted(owner, "state") == [("queued",)]
    assert await send()
    assert noted(owner, "state", "tries") == [("sent", 2)]
    first, second = resend.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == KEY
    assert first.body == second.body


async def test_a_mail_that_cannot_be_noted_is_sent_all_the_same(
    resend: Resend, owner, caplog: pytest.LogCaptureFixture
):
    owner.execute("alter table sigma.messages add constraint none_fits check (kind is null)")
    assert await send()
    assert len(resend.requests) == 1
    assert noted(owner) == []
    assert "could not be noted" in caplog.text
    assert "alice" not in caplog.text.lower()


async def test_a_mail_that_cannot_be_noted_still_goes_to_nobody_who_gets_none(resend: Resend, owner, database):
    owner.execute("alter table sigma.messages add constraint none_fits check (kind is null)")
    async with database.transaction(SERVICE) as session:
        await service.suppress(session, "alice@example.com", "bounced")
    assert not await send(account=False)
    assert resend.requests == []


async def test_a_mail_that_must_not_be_kept_is_not(resend: Resend, owner):
    assert await send(kind=None)
    assert len(resend.requests) == 1
    assert noted(owner) == []


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["email.sent"], "sent"),
        (["email.delivery_delayed"], "delayed"),
        (["email.delivered"], "delivered"),
        (["email.delivered", "email.delivery_delayed"], "delivered"),
        (["email.delivery_delayed", "email.delivered"], "delivered"),
        (["email.bounced"], "bounced"),
        (["email.delivered", "email.complained"], "complained"),
        (["email.complained", "email.delivered"], "complained"),
        (["email.failed"], "refused"),
        (["email.suppressed"], "withheld"),
        (["email.opened", "something.new"], "sent"),
    ],
)
async def test_what_comes_back_says_how_a_mail_stands_in_any_order(resend: Resend, owner, kinds: list[str], state: str):
    await send()
    await send("auth/2/signup")
    for kind in kinds:
        await told(owner, kind)
    assert noted(owner, "state") == [(state,), ("sent",)]


async def test_why_a_mail_came_back_is_noted_without_an_address(resend: Resend, owner):
    await send()
    await told(
        owner, "email.bounced", bounce={"type": "Permanent", "subType": f"NoEmail {ALICE}", "message": "x" * 999}
    )
    assert noted(owner, "state", "note") == [("bounced", "Permanent, NoEmail [address]")]


@pytest.mark.parametrize("kind", ["email.delivered", "email.failed", "email.delivery_delayed"])
async def test_what_is_told_before_the_mail_is_noted_as_sent_counts_as_well(resend: Resend, owner, kind: str):
    await told(owner, kind)
    await send()
    assert noted(owner, "state") != [("sent",)]


@pytest.mark.parametrize("data", [None, [], "x", {"email_id": 7}, {"email_id": None}, {"email_id": {}}])
async def test_an_event_that_names_no_mail_changes_nothing(resend: Resend, owner, data: object):
    await send()
    owner.execute(
        "insert into sigma.webhook_events (source, id, type, body) values ('resend', 'msg_1', 'email.delivered', %s)",
        [json.dumps({"type": "email.delivered", "data": data})],
    )
    await jobs.apply_event("resend", "msg_1")
    assert noted(owner, "state") == [("sent",)]
    assert owner.execute("select handled_at is not null from sigma.webhook_events").fetchall() == [(True,)]


async def test_what_was_noted_outlives_the_events(resend: Resend, owner):
    await send()
    await told(owner, "email.delivered")
    owner.execute("delete from sigma.webhook_events")
    await send()
    await told(owner, "email.opened", provider_id="mail-2")
    assert noted(owner, "state", "provider_id") == [("delivered", "mail-2")]


async def test_whoever_is_forgotten_is_forgotten_here_and_nobody_else_is(resend: Resend, owner):
    await send()
    await service.send(Mail("bob@example.com", "Hi", "<p>Hi</p>", "Hi"), "auth/2/signup", kind="accounts:signup")
    await jobs.forget(hashlib.sha256(b"alice@example.com").hexdigest(), again=False)
    assert noted(owner, "recipient") == [("bob@example.com",)]


async def test_mails_are_kept_for_ninety_days(resend: Resend, owner):
    for number, age in enumerate(("89 days", "91 days")):
        await send(f"auth/{number}/signup")
        owner.execute(
            "update sigma.messages set queued_at = now() - %s::interval where key = %s", [age, f"auth/{number}/signup"]
        )
    await jobs.forget_events(0)
    assert noted(owner, "key") == [("auth/0/signup",)]
