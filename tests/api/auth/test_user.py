"""GET and PUT /user: who may ask, and what somebody changes of themselves."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import jwt
import pytest

from sigma_app.embedded.supabase.auth.users import instant
from tests.api.auth.conftest import PASSWORD, Here, address

pytestmark = pytest.mark.anyio

NEW = "battery staple"


def signed(here: Here, secret: str | None = None, **claims) -> str:
    return jwt.encode({"exp": time.time() + 60} | claims, secret or here.keys.secret, "HS256")


async def change(here: Here, token: str, body: dict, **headers: str):
    return await here.ask("PUT", "/user", body, bearer=token, **headers)


async def test_everybody_reads_themselves(here: Here):
    alice = await here.member()
    answer = await here.who(alice.access_token)
    assert answer.status_code == 200
    user = answer.json()
    assert (user["id"], user["email"]) == (alice.id, alice.email)
    assert {"email_confirmed_at", "confirmed_at", "last_sign_in_at"} <= set(user)
    assert user["confirmed_at"] == user["email_confirmed_at"]
    assert not [name for name in user if "token" in name or "password" in name or name == "instance_id"]


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer a b", "Token x", "bearer\tx"])
async def test_without_a_bearer_nobody_is_signed_in(here: Here, header: str):
    answer = await here.ask("GET", "/user", authorization=header)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "no_authorization")
    assert answer.json()["msg"] == "This endpoint requires a valid Bearer token"


async def test_a_token_of_somebody_else_is_refused(here: Here):
    alice = await here.member()
    head, payload, signature = alice.access_token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=").decode()
    tokens = [
        *("x", "a.b.c", "é", f"{head}.{payload}", f"{head}.{payload}.", f"{none}.{payload}.", f"{deep}.{payload}.x"),
        f"{head}.{payload}.{signature[:-4]}AAAA",
        signed(here, "another secret of at least 32 bytes", sub=alice.id),
        jwt.encode({"sub": alice.id}, here.keys.secret, "HS384"),
        signed(here, sub=alice.id, exp=time.time() - 1),
        signed(here, sub=5),
        signed(here, sub=alice.id, exp="soon"),
        signed(here, sub=alice.id, session_id="x"),
        signed(here, sub=alice.id, session_id=7),
        signed(here),
        signed(here, sub=""),
        here.keys.anon,
        here.keys.service_role,
    ]
    for token in tokens:
        answer = await here.ask("GET", "/user", authorization=f"Bearer {token}")
        assert (answer.status_code, answer.json()["error_code"]) == (403, "bad_jwt"), token


async def test_a_token_names_somebody_there_is(here: Here):
    alice = await here.member()
    for sub, session, status, code in (
        ("not-a-uuid", None, 400, "bad_jwt"),
        (str(uuid4()), None, 403, "user_not_found"),
        (alice.id, str(uuid4()), 403, "session_not_found"),
    ):
        answer = await here.who(signed(here, sub=sub, session_id=session))
        assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert (await here.who(signed(here, sub=alice.id))).status_code == 200
    await here.manage("DELETE", f"/admin/users/{alice.id}")
    assert (await here.who(alice.access_token)).json()["error_code"] == "user_not_found"


async def test_the_scheme_is_read_in_any_case(here: Here):
    alice = await here.member()
    assert (await here.ask("GET", "/user", authorization=f"BEARER {alice.access_token}")).status_code == 200


async def test_data_is_merged_and_null_takes_a_key_away(here: Here):
    alice = await here.member(user_metadata={"a": 1, "b": {"c": 2}})
    answer = await change(here, alice.access_token, {"data": {"b": {"d": 3}, "e": [None, "ü"], "a": None, "z": None}})
    assert answer.status_code == 200
    assert answer.json()["user_metadata"] == {"b": {"d": 3}, "e": [None, "ü"], "email_verified": True}
    assert answer.json() == (await here.who(alice.access_token)).json()


async def test_what_is_not_theirs_to_say_is_passed_over_or_refused(here: Here):
    alice = await here.member()
    before = (await here.who(alice.access_token)).json()
    for body in ({}, None, {"role": "service_role", "aud": "x", "id": str(uuid4()), "banned_until": None}):
        answer = await here.ask("PUT", "/user", b"null" if body is None else body, bearer=alice.access_token)
        assert answer.status_code == 200
        assert {**answer.json(), "updated_at": 0} == {**before, "updated_at": 0}
    refused = await change(here, alice.access_token, {"app_metadata": {"admin": True}})
    assert (refused.status_code, refused.json()["error_code"]) == (403, "not_admin")


async def test_a_new_password_ends_the_other_sessions_and_what_was_mailed(here: Here):
    alice = await here.member()
    other = (await here.sign_in(alice.email)).json()
    await here.ask("POST", "/recover", {"email": alice.email})
    mailed = here.pending(alice.email, "recovery_token")
    answer = await change(here, alice.access_token, {"password": NEW})
    assert answer.status_code == 200
    assert "recovery_sent_at" not in answer.json()
    assert here.rows("select from auth.one_time_tokens where user_id::text = %s", alice.id) == []
    assert (await here.who(alice.access_token)).status_code == 200
    assert (await here.refresh(alice.refresh_token)).status_code == 200
    assert (await here.who(other["access_token"])).json()["error_code"] == "session_not_found"
    for proof in (
        {"type": "recovery", "token_hash": mailed.hash},
        {"type": "recovery", "email": alice.email, "token": mailed.code},
    ):
        assert (await here.ask("POST", "/verify", proof)).json()["error_code"] == "otp_expired"
    assert (await here.sign_in(alice.email)).json()["error_code"] == "invalid_credentials"
    assert (await here.sign_in(alice.email, NEW)).status_code == 200


@pytest.mark.parametrize(
    ("password", "status", "code"),
    [
        (PASSWORD, 422, "same_password"),
        ("short", 422, "weak_password"),
        ("", 422, "weak_password"),
        ("x" * 73, 400, "validation_failed"),
        (7, 400, "bad_json"),
    ],
)
async def test_not_every_password_is_taken(here: Here, password, status: int, code: str):
    alice = await here.member()
    answer = await change(here, alice.access_token, {"password": password, "data": {"changed": True}})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert "changed" not in (await here.who(alice.access_token)).json()["user_metadata"]


async def test_whoever_has_no_password_sets_one(here: Here):
    email = address()
    await here.manage("POST", "/invite", {"email": email})
    answer = await here.ask("POST", "/verify", {"type": "invite", "token_hash": here.pending(email).hash})
    assert answer.status_code == 200
    assert (await change(here, answer.json()["access_token"], {"password": NEW})).status_code == 200
    assert (await here.sign_in(email, NEW)).status_code == 200


async def test_a_password_may_need_a_nonce_when_the_session_is_old(here: Here):
    careful = here.under(GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_REAUTHENTICATION="true")
    alice = await here.member()
    old = "update auth.sessions set created_at = now() - interval '25 hours' where user_id = %s"
    here.owner.execute(old, [alice.id])
    needed = await change(careful, alice.access_token, {"password": NEW})
    assert (needed.status_code, needed.json()["error_code"]) == (400, "reauthentication_needed")
    asked = await careful.ask("GET", "/reauthenticate", bearer=alice.access_token)
    assert (asked.status_code, asked.json()) == (200, {})
    assert [mail["kind"] for mail in here.mails(alice.email)] == ["reauthentication"]
    nonce = here.pending(alice.email, "reauthentication_token").code
    wrong = await change(careful, alice.access_token, {"password": NEW, "nonce": str(int(nonce) ^ 1).zfill(6)})
    assert (wrong.status_code, wrong.json()["error_code"]) == (422, "reauthentication_not_valid")
    assert wrong.json()["msg"] == "Nonce has expired or is invalid"
    assert (await change(careful, alice.access_token, {"password": NEW, "nonce": nonce})).status_code == 200
    once = await change(careful, alice.access_token, {"password": "and another", "nonce": nonce})
    assert once.json()["error_code"] == "reauthentication_not_valid"
    fresh = (await here.sign_in(alice.email, NEW)).json()["access_token"]
    assert (await change(careful, fresh, {"password": "and another"})).status_code == 200


async def test_a_password_may_need_the_present_one(here: Here):
    careful = here.under(GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD="true")
    alice = await here.member()
    token = (await here.sign_in(alice.email)).json()["access_token"]
    for given, code in (
        ({}, "current_password_required"),
        ({"current_password": ""}, "current_password_required"),
        ({"current_password": "wrong"}, "current_password_invalid"),
    ):
        answer = await change(careful, token, {"password": NEW} | given)
        assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert (await change(careful, token, {"password": NEW, "current_password": PASSWORD})).status_code == 200


async def test_who_forgot_it_needs_no_present_password(here: Here):
    careful = here.under(GOTRUE_SECURITY_UPDATE_PASSWORD_REQUIRE_CURRENT_PASSWORD="true")
    alice = await here.member()  # signed in by a mailed link
    assert (await change(careful, alice.access_token, {"password": NEW})).status_code == 200


async def test_only_who_confirmed_their_address_is_sent_a_nonce(here: Here):
    alice = await here.member()
    here.change(alice.email, "email_confirmed_at = null")
    answer = await here.ask("GET", "/reauthenticate", bearer=alice.access_token)
    assert (answer.status_code, answer.json()["error_code"]) == (422, "email_not_confirmed")
    assert (await here.ask("GET", "/reauthenticate")).status_code == 401


async def test_a_new_address_waits_for_both_its_mails(here: Here):
    alice, new = await here.member(), address("new")
    answer = await change(here, alice.access_token, {"email": new.upper()})
    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["new_email"]) == (alice.email, new)
    assert answer.json()["email_change_sent_at"]
    assert [mail["kind"] for mail in here.mails(new)] == ["email_change_new"]
    assert [mail["kind"] for mail in here.mails(alice.email)] == ["email_change_current"]
    soon = await change(here, alice.access_token, {"email": new})
    assert (soon.status_code, soon.json()["error_code"]) == (429, "over_email_send_rate_limit")


async def test_without_secure_change_the_new_address_alone_is_asked(here: Here):
    simple = here.under(GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED="false")
    alice, new = await here.member(), address("new")
    await change(simple, alice.access_token, {"email": new})
    assert here.mails(alice.email) == []
    body = {"type": "email_change", "token_hash": here.pending(new, "email_change_token_new").hash}
    answer = await simple.ask("POST", "/verify", body)
    assert answer.json()["user"]["email"] == new


async def test_an_address_that_somebody_has_is_refused(here: Here):
    alice, bob = await here.member(), await here.member()
    answer = await change(here, alice.access_token, {"email": bob.email.upper(), "data": {"changed": True}})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "email_exists")
    assert answer.json()["msg"] == "A user with this email address has already been registered"
    assert "changed" not in (await here.who(alice.access_token)).json()["user_metadata"]


async def test_their_own_address_is_no_change(here: Here):
    alice = await here.member()
    answer = await change(here, alice.access_token, {"email": alice.email.upper()})
    assert answer.status_code == 200
    assert "new_email" not in answer.json()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "bad"}, "validation_failed"),
        ({"phone": "bad"}, "validation_failed"),
        ({"phone": "+15551234567"}, "phone_provider_disabled"),
        ({"email": "new@example.org", "code_challenge": "a" * 43}, "validation_failed"),
        ({"data": "x"}, "bad_json"),
        ({"data": [1]}, "bad_json"),
        ({"email": 1}, "bad_json"),
        ({"app_metadata": "x"}, "bad_json"),
        ({"data": {"nul": "\x00"}}, "validation_failed"),
        ({"data": {"\x00": 1}}, "validation_failed"),
    ],
)
async def test_what_cannot_be_is_refused(here: Here, body: dict, code: str):
    alice = await here.member()
    answer = await change(here, alice.access_token, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


async def test_lone_surrogates_become_what_stands_for_the_unknown(here: Here):
    alice = await here.member()
    answer = await change(here, alice.access_token, {"data": {"\ud800": "\udc00 \ud83d\ude00"}})
    assert answer.json()["user_metadata"]["\ufffd"] == "\ufffd 😀"


async def test_numbers_come_back_as_they_went(here: Here):
    alice = await here.member()
    body = b'{"data":{"a":1.5,"b":-0.0,"c":9007199254740993,"d":1e3}}'
    answer = await here.ask("PUT", "/user", body, bearer=alice.access_token)
    kept = json.loads(answer.content)["user_metadata"]
    assert (kept["a"], kept["c"], kept["d"]) == (1.5, 9007199254740993, 1000)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 600700, UTC), "2026-01-02T03:04:05.6007Z"),
        (datetime(2026, 1, 2, 3, 4, 50, 0, UTC), "2026-01-02T03:04:50Z"),
        (datetime(2026, 1, 2, 3, 0, 0, 1, timezone(timedelta(hours=2))), "2026-01-02T01:00:00.000001Z"),
        (None, None),
    ],
)
def test_times_are_written_as_go_writes_them(at: datetime | None, text: str | None):
    assert instant(at) == text


@pytest.mark.parametrize("depth", [390, 410, 900, 990])
async def test_data_may_be_nested_as_deep_as_it_can_be_written(here: Here, depth: int):
    alice = await here.member()
    body = b'{"data":{"x":' + b"[" * depth + b"]" * depth + b"}}"
    answer = await here.ask("PUT", "/user", body, bearer=alice.access_token)
    assert answer.status_code == (200 if depth < 400 else 400)
    assert (await here.refresh(alice.refresh_token)).status_code == 200
