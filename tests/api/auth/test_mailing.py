"""Where people ask for a mail: /recover, /otp, /magiclink, /resend."""

from __future__ import annotations

import pytest

from tests.api.auth.conftest import Here, address

pytestmark = pytest.mark.anyio

CHALLENGE = {"code_challenge": "a" * 43, "code_challenge_method": "s256"}


async def test_recovery_mails_whoever_has_the_address_and_says_the_same_to_all(here: Here):
    alice = await here.member()
    for email in (alice.email.upper(), address("nobody")):
        answer = await here.ask("POST", "/recover", {"email": email})
        assert (answer.status_code, answer.json()) == (200, {})
    [mail] = here.mails(alice.email)
    assert (mail["kind"], mail["redirect_to"]) == ("recovery", "http://localhost:3000")
    assert here.user(alice.email)["recovery_sent_at"]


@pytest.mark.parametrize("path", ["/recover", "/otp", "/magiclink"])
async def test_a_second_mail_waits_a_minute(here: Here, path: str):
    alice = await here.member()
    assert (await here.ask("POST", path, {"email": alice.email})).status_code == 200
    first = here.pending(alice.email, "recovery_token")
    soon = await here.ask("POST", path, {"email": alice.email})
    assert (soon.status_code, soon.json()["error_code"]) == (429, "over_email_send_rate_limit")
    assert soon.json()["msg"].startswith("For security purposes, you can only request this after ")
    here.change(alice.email, "recovery_sent_at = now() - interval '61 seconds'")
    assert (await here.ask("POST", path, {"email": alice.email})).status_code == 200
    assert here.pending(alice.email, "recovery_token").hash != first.hash
    used = await here.ask("POST", "/verify", {"type": "recovery", "token_hash": first.hash})
    assert used.json()["error_code"] == "otp_expired", "a new one replaces the older"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/recover", {}, 400, "validation_failed"),
        ("/recover", {"email": ""}, 400, "validation_failed"),
        ("/recover", {"email": "bad"}, 400, "validation_failed"),
        ("/recover", {"email": "a@b.c", "code_challenge": "a" * 43}, 400, "validation_failed"),
        ("/recover", {"email": "a@b.c", **CHALLENGE, "code_challenge_method": "x"}, 400, "validation_failed"),
        ("/recover", {"email": 1}, 400, "bad_json"),
        ("/magiclink", {}, 422, "validation_failed"),
        ("/magiclink", {"email": "bad"}, 400, "validation_failed"),
        ("/magiclink", {"email": "a@b.c", "data": 1}, 400, "bad_json"),
        ("/otp", {}, 400, "validation_failed"),
        ("/otp", {"create_user": False}, 400, "validation_failed"),
        ("/otp", {"email": "bad"}, 400, "validation_failed"),
        ("/otp", {"email": "bad", "create_user": False}, 422, "otp_disabled"),
        ("/otp", {"email": "nobody@example.com", "create_user": False}, 422, "otp_disabled"),
        ("/otp", {"email": "a@b.c", "create_user": "no"}, 400, "bad_json"),
        ("/otp", {"email": "a@b.c", "phone": "+15551234"}, 400, "validation_failed"),
        ("/otp", {"email": "a@b.c", "channel": "sms"}, 400, "validation_failed"),
        ("/otp", {"phone": "+15551234"}, 400, "phone_provider_disabled"),
        ("/otp", {"phone": "+15551234", "create_user": False}, 422, "otp_disabled"),
        ("/otp", {"email": "a@b.c", "code_challenge_method": "s256"}, 400, "validation_failed"),
        ("/resend", {}, 400, "validation_failed"),
        ("/resend", {"type": "signup"}, 400, "validation_failed"),
        ("/resend", {"type": "email_change"}, 400, "validation_failed"),
        ("/resend", {"type": "recovery", "email": "a@b.c"}, 400, "validation_failed"),
        ("/resend", {"email": "a@b.c"}, 400, "validation_failed"),
        ("/resend", {"type": "signup", "email": "bad"}, 400, "validation_failed"),
        ("/resend", {"type": "signup", "email": "a@b.c", "phone": "+15551234"}, 400, "validation_failed"),
        ("/resend", {"type": "signup", "email": "a@b.c", "code_challenge": "a" * 43}, 400, "validation_failed"),
        ("/resend", {"type": "sms", "email": "a@b.c"}, 400, "validation_failed"),
        ("/resend", {"type": "sms", "phone": "+15551234"}, 400, "phone_provider_disabled"),
        ("/resend", {"type": "phone_change", "phone": "bad"}, 400, "validation_failed"),
    ],
)
async def test_who_says_no_address_is_sent_nothing(here: Here, path: str, body: dict, status: int, code: str):
    answer = await here.ask("POST", path, body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


@pytest.mark.parametrize("path", ["/otp", "/magiclink"])
async def test_who_has_an_account_is_sent_a_link_to_sign_in(here: Here, path: str):
    alice = await here.member()
    answer = await here.ask("POST", path, {"email": alice.email, "data": {"changed": True}})
    assert (answer.status_code, answer.json()) == (200, {})
    assert [mail["kind"] for mail in here.mails(alice.email)] == ["magiclink"]
    assert "changed" not in here.user(alice.email)["raw_user_meta_data"]


@pytest.mark.parametrize("path", ["/otp", "/magiclink"])
async def test_who_is_new_is_made_a_user_and_asked_to_confirm(here: Here, path: str):
    email = address()
    answer = await here.ask("POST", path, {"email": email, "data": {"name": "Alice"}})
    assert (answer.status_code, answer.json()) == (200, {})
    assert [mail["kind"] for mail in here.mails(email)] == ["signup"]
    user = here.user(email)
    assert user["raw_user_meta_data"]["name"] == "Alice"
    assert user["email_confirmed_at"] is None
    soon = await here.ask("POST", path, {"email": email})
    assert soon.json()["error_code"] == "over_email_send_rate_limit"
    signed_in = await here.ask("POST", "/verify", {"type": "email", "email": email, "token": here.pending(email).code})
    assert signed_in.status_code == 200
    assert (await here.sign_in(email, "")).json()["error_code"] == "invalid_credentials"


async def test_without_confirmation_who_is_new_is_sent_a_link_to_sign_in(here: Here):
    open_here, email = here.under(GOTRUE_MAILER_AUTOCONFIRM="true"), address()
    assert (await open_here.ask("POST", "/otp", {"email": email})).status_code == 200
    assert [mail["kind"] for mail in here.mails(email)] == ["magiclink"]
    assert here.user(email)["email_confirmed_at"]


async def test_those_known_alone_may_be_meant(here: Here):
    alice = await here.member()
    answer = await here.ask("POST", "/otp", {"email": alice.email, "create_user": False})
    assert answer.status_code == 200
    unknown = await here.ask("POST", "/otp", {"email": address("nobody"), "create_user": False})
    assert unknown.json() == {"code": 422, "error_code": "otp_disabled", "msg": "Signups not allowed for otp"}


async def test_a_mail_to_confirm_is_sent_again(here: Here):
    email = await here.newcomer()
    soon = await here.ask("POST", "/resend", {"type": "signup", "email": email})
    assert soon.json()["error_code"] == "over_email_send_rate_limit"
    here.change(email, "confirmation_sent_at = now() - interval '61 seconds'")
    first = here.pending(email)
    answer = await here.ask("POST", "/resend", {"type": "signup", "email": email})
    assert (answer.status_code, answer.json()) == (200, {})
    assert here.pending(email).hash != first.hash
    assert [mail["kind"] for mail in here.mails(email)] == ["signup"]


async def test_a_mail_to_change_an_address_is_sent_again(here: Here):
    alice, new = await here.member(), address("new")
    await here.ask("PUT", "/user", {"email": new}, bearer=alice.access_token)
    first = here.pending(new, "email_change_token_new")
    here.change(alice.email, "email_change_sent_at = now() - interval '61 seconds'")
    answer = await here.ask("POST", "/resend", {"type": "email_change", "email": alice.email})
    assert (answer.status_code, answer.json()) == (200, {})
    assert here.pending(new, "email_change_token_new").hash != first.hash


@pytest.mark.parametrize("kind", ["signup", "email_change", "phone_change"])
async def test_who_waits_for_no_mail_is_sent_none(here: Here, kind: str):
    alice = await here.member()
    for email in (alice.email, address("nobody")):
        answer = await here.ask("POST", "/resend", {"type": kind, "email": email})
        assert (answer.status_code, answer.json()) == (200, {})
        assert here.mails(email) == []


async def test_the_whole_project_sends_so_many_mails_an_hour(here: Here):
    none = here.under(GOTRUE_RATE_LIMIT_EMAIL_SENT="0")
    email = address()
    answer = await none.ask("POST", "/signup", {"email": email, "password": "correct horse"})
    assert (answer.status_code, answer.json()["error_code"]) == (429, "over_email_send_rate_limit")
    assert answer.json()["msg"] == "email rate limit exceeded"
    assert here.rows("select from auth.users where email = %s", email) == []


async def test_the_pause_between_mails_is_a_setting(here: Here):
    quick, alice = here.under(GOTRUE_SMTP_MAX_FREQUENCY="0"), await here.member()
    for _ in range(3):
        assert (await quick.ask("POST", "/recover", {"email": alice.email})).status_code == 200


@pytest.mark.parametrize("path", ["/signup", "/recover", "/otp", "/magiclink", "/resend"])
async def test_the_limit_of_an_address_holds_at_every_door_to_a_mail(here: Here, path: str):
    limited = here.under(GOTRUE_RATE_LIMIT_HEADER="X-Real-IP", GOTRUE_RATE_LIMIT_OTP="1")
    body = {"email": "bad", "password": "x", "type": "signup"}
    first = await limited.ask("POST", path, body, x_real_ip="192.0.2.7")
    second = await limited.ask("POST", path, body, x_real_ip="192.0.2.7")
    assert first.status_code in (400, 422)
    assert (second.status_code, second.json()["error_code"]) == (429, "over_request_rate_limit")
