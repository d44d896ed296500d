"""Limits: by address where a header tells it, for each endpoint by itself, and for all mail together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.requests import Request

from sigma_app.embedded.supabase.auth.limits import Kind, Limits, TooMany, TooManyMails
from tests.conftest import settings_for

HEADER = {"GOTRUE_RATE_LIMIT_HEADER": "X-Real-IP"}
pytestmark = pytest.mark.anyio

ALICE, BOB = "192.0.2.1", "192.0.2.2"


def limits(**variables: str) -> Limits:
    return Limits(settings_for(Path("unused"), **variables))


def request(address: str | None = ALICE, path: str = "/otp", header: str = "x-real-ip") -> Request:
    headers = [] if address is None else [(header.encode(), address.encode())]
    scope = {"type": "http", "headers": headers, "path": path, "query_string": b"", "client": ("10.0.0.1", 1)}
    return Request(scope)


async def passed(subject: Limits, kind: Kind, asked: Request, most: int = 200) -> int:
    """How many requests come through before one is refused."""
    for number in range(most):
        try:
            await subject.check(kind, asked)
        except TooMany:
            return number
    return most


@pytest.mark.parametrize("kind", ["token", "verify", "mail"])
async def test_without_a_header_to_trust_nobody_is_limited(kind: Kind):
    assert await passed(limits(), kind, request()) == 200
    assert await passed(limits(), kind, request(header="x-forwarded-for")) == 200


@pytest.mark.parametrize("kind", ["token", "verify", "mail"])
async def test_thirty_at_once_come_through(kind: Kind):
    assert await passed(limits(**HEADER), kind, request()) == 30


@pytest.mark.parametrize(("number", "at_once"), [("2", 2), ("0", 0), ("29", 29), ("31", 30), ("100000", 30)])
async def test_fewer_come_through_where_the_setting_says_so(number: str, at_once: int, clock: Callable[[float], None]):
    assert await passed(limits(GOTRUE_RATE_LIMIT_OTP=number, **HEADER), "mail", request()) == at_once


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ("GOTRUE_RATE_LIMIT_TOKEN_REFRESH", "token"),
        ("GOTRUE_RATE_LIMIT_VERIFY", "verify"),
        ("GOTRUE_RATE_LIMIT_OTP", "mail"),
    ],
)
async def test_each_setting_is_of_its_own_kind(variable: str, kind: Kind):
    subject = limits(**HEADER, **{variable: "1"})
    kinds: tuple[Kind, ...] = ("token", "verify", "mail")
    assert {each: await passed(subject, each, request()) for each in kinds} == {
        each: 1 if each == kind else 30 for each in kinds
    }


@pytest.mark.parametrize(("kind", "soon"), [("token", 30), ("mail", 0), ("verify", 0)])
async def test_there_is_room_again_after_a_while(kind: Kind, soon: int, clock: Callable[[float], None]):
    subject = limits(**HEADER)
    assert await passed(subject, kind, request()) == 30
    with pytest.raises(TooMany) as refused:
        await subject.check(kind, request())
    assert 1 <= refused.value.retry_after <= 600
    clock(120)
    assert await passed(subject, kind, request()) == soon
    clock(600)
    assert await passed(subject, kind, request()) == 30


async def test_each_endpoint_counts_for_itself_as_with_gotrue():
    subject = limits(**HEADER)
    assert await passed(subject, "mail", request(path="/otp")) == 30
    assert await passed(subject, "mail", request(path="/recover")) == 30
    assert await passed(subject, "mail", request(path="/otp")) == 0


async def test_nobody_pays_for_others():
    subject = limits(**HEADER)
    assert await passed(subject, "mail", request(ALICE)) == 30
    assert await passed(subject, "mail", request(BOB)) == 30


async def test_a_subscriber_of_ipv6_is_one():
    subject = limits(**HEADER)
    assert await passed(subject, "mail", request("2001:db8::1")) == 30
    assert await passed(subject, "mail", request("2001:db8::2")) == 0
    assert await passed(subject, "mail", request("2001:db8:0:1::1")) == 30


@pytest.mark.parametrize("address", [None, "", " ", ",192.0.2.9", " , "])
async def test_a_request_that_the_proxy_says_nothing_of_is_not_limited(address: str | None):
    assert await passed(limits(**HEADER), "mail", request(address)) == 200


async def test_what_is_no_address_is_limited_together():
    subject = limits(**HEADER)
    assert await passed(subject, "mail", request("nonsense")) == 30
    assert await passed(subject, "mail", request("\x00")) == 0


async def test_of_several_addresses_the_first_counts_as_with_gotrue():
    subject = limits(GOTRUE_RATE_LIMIT_HEADER="X-Forwarded-For")
    assert await passed(subject, "mail", request(f"{ALICE}, 10.0.0.1", header="x-forwarded-for")) == 30
    assert await passed(subject, "mail", request(f"{ALICE},10.0.0.2", header="x-forwarded-for")) == 0
    assert await passed(subject, "mail", request(f"{BOB}, 10.0.0.1", header="x-forwarded-for")) == 30


async def test_with_proxies_that_are_trusted_nobody_names_another_address_than_theirs():
    subject = limits(GOTRUE_RATE_LIMIT_HEADER="x-forwarded-for", TRUSTED_PROXIES="1")
    assert await passed(subject, "mail", request(f"6.6.6.6, {ALICE}", header="x-forwarded-for")) == 30
    assert await passed(subject, "mail", request(f"7.7.7.7, {ALICE}", header="x-forwarded-for")) == 0
    assert await passed(subject, "mail", request(BOB, header="x-forwarded-for")) == 30


async def mails(subject: Limits, most: int = 100) -> int:
    for number in range(most):
        try:
            await subject.count_mail()
        except TooManyMails:
            return number
    return most


@pytest.mark.parametrize(
    ("variables", "at_most"),
    [
        ({}, 100),
        ({"RESEND_API_KEY": "re_x"}, 30),
        ({"RESEND_API_KEY": "re_x", "GOTRUE_RATE_LIMIT_EMAIL_SENT": "50"}, 50),
        ({"GOTRUE_RATE_LIMIT_EMAIL_SENT": "3"}, 3),
        ({"GOTRUE_RATE_LIMIT_EMAIL_SENT": "0"}, 0),
    ],
)
async def test_all_mail_together_is_limited_where_it_leaves_the_house_or_a_setting_says_so(
    variables: dict[str, str], at_most: int
):
    assert await mails(limits(**variables)) == at_most


async def test_after_an_hour_or_two_there_are_mails_again(clock: Callable[[float], None]):
    subject = limits(GOTRUE_RATE_LIMIT_EMAIL_SENT="3")
    assert await mails(subject) == 3
    clock(7200)
    assert await mails(subject) == 3
