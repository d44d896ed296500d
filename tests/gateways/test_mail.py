"""Sending through the real SDK: what arrives at Resend, and what its every answer means for a job."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
import resend

from sigma_app.core import jobs, logs
from sigma_app.core.database import SERVICE, Database, Step, serve_requests_from
from sigma_app.gateways import mail
from sigma_app.gateways.mail import Mail, MailDelayed, MailRefused, routes, send, sending_mail
from tests.conftest import settings_for
from tests.gateways.conftest import KEY, Resend
from tests.logged import logged

pytestmark = pytest.mark.anyio

REQUEST = "by.the-proxy-0001"
ALICE = Mail("alice@example.com", "Hello", "<p>Hello</p>", "Hello", {"List-Unsubscribe": "<https://x.example/u>"})


@pytest.fixture
async def sending(resend_api: Resend, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Resend]:
    """This process may send, to the Resend of the test, and gives up soon."""
    monkeypatch.setattr(mail, "TIMEOUT", httpx.Timeout(0.2))
    async with sending_mail():
        yield resend_api


@pytest.fixture(autouse=True)
def nothing_of_alice_or_the_key_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, "sigma_app")
    caplog.set_level(logging.INFO)
    yield
    text = logged(caplog)
    assert "alice" not in text.lower()
    assert KEY not in text


async def delayed() -> MailDelayed:
    with pytest.raises(MailDelayed) as raised:
        await send(ALICE, "test/1")
    assert raised.value.retry
    assert_discreet(str(raised.value))
    return raised.value


async def refused() -> str:
    with pytest.raises(MailRefused) as raised:
        await send(ALICE, "test/1")
    assert not raised.value.retry
    assert_discreet(str(raised.value))
    return str(raised.value)


def assert_discreet(message: str) -> None:
    assert "alice" not in message.lower()
    assert KEY not in message
    assert "\n" not in message


async def test_the_mail_its_headers_and_its_key_arrive(sending: Resend):
    assert await send(ALICE, "confirm/1") == "mail-1"
    (request,) = sending.requests
    assert request.line == "POST /emails HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["idempotency-key"] == "confirm/1"
    assert request.body == {
        "from": "Sigma <hello@sigma.example.com>",
        "to": ["alice@example.com"],
        "subject": "Hello",
        "html": "<p>Hello</p>",
        "text": "Hello",
        "headers": {"List-Unsubscribe": "<https://x.example/u>"},
    }


async def test_a_mail_has_the_id_of_the_request_it_follows_from_in_its_log_line_and_at_resend(
    sending: Resend, database: Database, login_url: str, owner
):
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logs._Json())
    handler.addFilter(logs._note_request)
    logging.getLogger().addHandler(handler)

    async def write() -> None:
        await send(ALICE, "test/1")

    jobs.job("test:write")(write)
    try:
        with serve_requests_from(database):
            known = logs.request_id.set(REQUEST)
            await database.run(Step(SERVICE, "select sigma.queue_job('test:write', '{}')"))
            logs.request_id.reset(known)
            sending.refuse(429, "rate_limit_exceeded")
            await jobs.work(login_url, until_idle=True)
            owner.execute("update procrastinate.procrastinate_jobs set scheduled_at = now()")  # it is tried again
            await jobs.work(login_url, until_idle=True)
    finally:
        del jobs.queue.tasks["test:write"]
        logging.getLogger().removeHandler(handler)
    refused, taken = sending.requests
    assert taken.body["tags"] == [{"name": "request", "value": REQUEST.replace(".", "-")}]
    assert refused.body == taken.body  # for which Resend knows that it is the same
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (handed,) = [line for line in lines if "handed over" in line["message"]]
    assert (handed["request"], handed["message"]) == (REQUEST, "A mail was handed over, as mail-2 (test).")


async def test_mails_share_a_connection(sending: Resend):
    await send(ALICE, "test/1")
    await send(ALICE, "test/2")
    assert (len(sending.requests), sending.connections) == (2, 1)


@pytest.mark.parametrize("key", ["", "x" * 257, "ключ", "a\r\nb"])
async def test_a_key_that_resend_could_not_take_is_a_mistake_of_ours(sending: Resend, key: str):
    with pytest.raises(ValueError, match="idempotency key"):
        await send(ALICE, key)
    assert sending.requests == []


async def test_too_many_requests_wait_as_long_as_resend_asks(sending: Resend):
    sending.refuse(429, "rate_limit_exceeded", Retry_After="7")
    assert (await delayed()).retry_after == timedelta(seconds=7)


async def test_a_date_to_come_back_at_is_understood(sending: Resend):
    at = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    sending.refuse(429, "daily_quota_exceeded", Retry_After=at)
    wait = (await delayed()).retry_after
    assert wait is not None
    assert timedelta(minutes=4) < wait <= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("given", "wait"),
    [
        ("99999999999", timedelta(days=1)),
        ("9" * 400, timedelta(days=1)),
        ("-5", None),
        ("soon", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", timedelta(0)),
        ("²", None),
    ],
)
async def test_whatever_else_it_asks_for_is_bounded(given: str, wait: timedelta | None):
    assert mail._wait({"Retry-After": given}) == wait


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (500, {"statusCode": 500, "name": "internal_server_error", "message": "Sorry, alice@example.com."}, None),
        (503, "<h1>Away, alice@example.com</h1>", "text/html"),
        (429, "<h1>Slow down</h1>", "text/html"),
        (408, {"statusCode": 408, "name": "timeout", "message": "Too slow."}, None),
        (200, "no JSON at all", None),
        (200, "", None),
        (200, "null", None),
        (200, "[]", None),
        (200, {"no": "id"}, None),
        (200, {"id": 5}, None),
        (200, {"statusCode": "what", "name": "?", "message": "?"}, None),
        (409, {"statusCode": 409, "name": "concurrent_idempotent_requests", "message": "Not yet."}, None),
    ],
)
async def test_trouble_on_their_side_is_tried_again(sending: Resend, status: int, body, content_type: str | None):
    sending.answer(status, body, content_type or "application/json")
    assert (await delayed()).retry_after is None


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab", b"\x00\xff garbage\r\n\r\n", None]
)
async def test_a_line_that_breaks_or_says_nothing_is_tried_again(sending: Resend, said: bytes | None):
    sending.answers.append(said)
    assert "could not be reached" in str(await delayed())


async def test_a_server_that_is_not_there_is_tried_again(sending: Resend, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resend, "api_url", "http://127.0.0.1:9")
    assert "ConnectError" in str(await delayed())


@pytest.mark.parametrize(
    ("status", "name"), [(401, "restricted_api_key"), (403, "invalid_api_key"), (403, "validation_error")]
)
async def test_a_key_or_a_domain_that_the_operator_must_mend_delays_and_says_so(
    sending: Resend, caplog: pytest.LogCaptureFixture, status: int, name: str
):
    sending.refuse(status, name, f"{KEY} is wrong")
    await delayed()
    assert f"RESEND_API_KEY and MAIL_FROM ({status} {name})" in caplog.text


@pytest.mark.parametrize(
    ("status", "name"), [(422, "validation_error"), (400, "invalid_idempotency_key"), (404, "not_found")]
)
async def test_what_resend_will_never_send_is_refused_with_its_reason(sending: Resend, status: int, name: str):
    sending.refuse(status, name, "Invalid `to`: Alice@Example.com,\nnor `Bob <bob@example.com>`.")
    error = await refused()
    assert error == f"Resend refuses a mail: {status} {name}: Invalid `to`: [address], nor `Bob <[address]>`."


async def test_an_address_that_does_not_look_like_one_is_not_repeated_either(sending: Resend):
    sending.refuse(422, "validation_error", 'Invalid: "Alice, in Wonderland"@EXAMPLE.com')
    with pytest.raises(MailRefused) as raised:
        await send(replace(ALICE, to='"alice, in wonderland"@example.com'), "test/1")
    assert_discreet(str(raised.value))


async def test_a_reason_is_bounded(sending: Resend):
    sending.refuse(422, "validation_error", "no " * 5000)
    assert len(await refused()) < 400


async def test_a_mail_that_was_taken_before_in_other_words_counts_as_sent(sending: Resend):
    sending.refuse(409, "invalid_idempotent_request")
    assert await send(ALICE, "test/1") == ""


async def test_requests_are_spread_so_that_a_second_sees_no_more_than_resend_takes(
    resend_api: Resend, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(mail, "PER_SECOND", 50)
    async with sending_mail():
        begin = time.monotonic()
        await asyncio.gather(*(send(ALICE, f"test/{n}") for n in range(6)))
        assert time.monotonic() - begin >= 5 / 50
    assert len(resend_api.requests) == 6


async def test_a_process_that_sends_no_mail_says_so_and_asks_nobody(resend_api: Resend):
    assert "sending_mail" in str(await delayed())
    async with sending_mail():
        pass
    assert "sending_mail" in str(await delayed())
    assert resend_api.requests == []
    assert resend.api_key is None


def test_the_mailbox_is_served_where_mail_is_local_and_never_in_production(tmp_path):
    def paths(**variables: str) -> set[str]:
        return {route.path for route in routes(settings_for(tmp_path, **variables))}  # pyright: ignore[reportAttributeAccessIssue]

    assert paths() == {"/dev/mailbox", "/dev/mailbox.json"}
    assert paths(SIGMA_ENV="production", SIGMA_ALLOW_LOCAL="mail") == set()
    assert paths(RESEND_API_KEY=KEY) == set()
