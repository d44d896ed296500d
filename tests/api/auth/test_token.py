"""POST /token: sessions for passwords, and what an access token says."""

from __future__ import annotations

import time

import jwt
import pytest

from sigma_app.embedded.supabase.auth.passwords import Passwords
from tests.api.auth.conftest import PASSWORD, Here, address

pytestmark = pytest.mark.anyio


async def test_the_right_password_opens_a_session(here: Here):
    alice = await here.member()
    answer = await here.sign_in(alice.email)
    assert answer.status_code == 200
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3600)
    assert abs(tokens["expires_at"] - time.time() - 3600) < 60
    assert len(tokens["refresh_token"]) == 12
    assert tokens["refresh_token"].isalnum()
    assert tokens["refresh_token"] == tokens["refresh_token"].lower()
    assert tokens["user"]["id"] == alice.id
    assert tokens["user"] == (await here.who(tokens["access_token"])).json()


async def test_an_access_token_says_who_and_how(here: Here):
    alice = await here.member(user_metadata={"name": "Alice"}, app_metadata={"plan": "pro"})
    token = (await here.sign_in(alice.email)).json()["access_token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(token, here.keys.secret, ["HS256"], audience="authenticated")
    session = claims.pop("session_id")
    now = claims.pop("iat")
    assert isinstance(now, int)
    assert claims.pop("exp") == now + 3600
    assert abs(now - time.time()) < 60
    [method] = claims.pop("amr")
    assert method["method"] == "password"
    assert abs(method["timestamp"] - now) <= 1
    assert claims == {
        "iss": "http://localhost:3000/auth/v1",
        "sub": alice.id,
        "aud": "authenticated",
        "email": alice.email,
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"], "plan": "pro"},
        "user_metadata": {"name": "Alice", "email_verified": True},
        "role": "authenticated",
        "aal": "aal1",
        "is_anonymous": False,
    }
    row = here.row("select user_id::text, aal::text, ip::text, user_agent from auth.sessions where id = %s", session)
    assert row["user_id"] == alice.id
    assert row["aal"] == "aal1"
    assert row["ip"] == "127.0.0.1/32"
    assert row["user_agent"].startswith("python-httpx")


async def test_the_address_is_found_in_any_case(here: Here):
    alice = await here.member()
    assert (await here.sign_in(alice.email.upper())).status_code == 200


async def test_nobody_learns_why_they_were_not_let_in(here: Here):
    alice = await here.member()
    invited = address()
    await here.manage("POST", "/invite", {"email": invited})
    answers = [
        await here.sign_in(alice.email, "wrong"),
        await here.sign_in(alice.email, ""),
        await here.sign_in(address("nobody"), PASSWORD),
        await here.sign_in("not an address", PASSWORD),
        await here.sign_in("nul\x00@example.com", PASSWORD),
        await here.sign_in("\ud800", PASSWORD),
        await here.sign_in(invited, ""),
        await here.sign_in(alice.email, "x" * 100_000),
    ]
    refusal = {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(400, refusal)] * len(answers)


async def test_a_stranger_costs_the_same_work_as_a_member(here: Here, monkeypatch: pytest.MonkeyPatch):
    compared = []
    matches = Passwords.matches

    async def counted(self: Passwords, password: str, hashed: str | None) -> bool:
        compared.append(password)
        return await matches(self, password, hashed)

    monkeypatch.setattr(Passwords, "matches", counted)
    await here.sign_in(address("nobody"), "guess")
    assert compared == ["guess"]


async def test_who_did_not_confirm_learns_it_with_the_right_password_alone(here: Here):
    email = await here.newcomer()
    wrong = await here.sign_in(email, "wrong")
    assert wrong.json()["error_code"] == "invalid_credentials"
    right = await here.sign_in(email)
    assert (right.status_code, right.json()["error_code"]) == (400, "email_not_confirmed")
    assert right.json()["msg"] == "Email not confirmed"


async def test_who_is_banned_learns_it_before_the_password_is_looked_at(here: Here):
    alice = await here.member()
    await here.manage("PUT", f"/admin/users/{alice.id}", {"ban_duration": "24h"})
    for password in (PASSWORD, "wrong"):
        answer = await here.sign_in(alice.email, password)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "user_banned")
        assert answer.json()["msg"] == "User is banned"
    refreshed = await here.refresh(alice.refresh_token)
    assert (refreshed.status_code, refreshed.json()["error_code"]) == (400, "user_banned")
    asked = await here.who(alice.access_token)
    assert (asked.status_code, asked.json()["error_code"]) == (403, "user_banned")
    await here.manage("PUT", f"/admin/users/{alice.id}", {"ban_duration": "none"})
    assert (await here.sign_in(alice.email)).status_code == 200


async def test_a_password_that_became_too_weak_still_opens_and_is_told_so(here: Here):
    alice = await here.member()
    strict = here.under(GOTRUE_PASSWORD_MIN_LENGTH="20", GOTRUE_PASSWORD_REQUIRED_CHARACTERS="0123456789")
    answer = await strict.sign_in(alice.email)
    assert answer.status_code == 200
    assert answer.json()["weak_password"]["reasons"] == ["length", "characters"]
    assert "at least 20 characters" in answer.json()["weak_password"]["message"]


async def test_signing_in_is_noted(here: Here):
    alice = await here.member()
    here.change(alice.email, "last_sign_in_at = now() - interval '1 day'")
    user = (await here.sign_in(alice.email)).json()["user"]
    [row] = here.rows("select now() - last_sign_in_at < interval '1 minute' as lately from auth.users where id = %s",
                      alice.id)  # fmt: skip
    assert row["lately"]
    assert user["last_sign_in_at"]


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        ({}, 400, "validation_failed", "missing email or phone"),
        ({"password": PASSWORD}, 400, "validation_failed", "missing email or phone"),
        ({"email": "", "password": PASSWORD}, 400, "validation_failed", "missing email or phone"),
        (
            {"email": "a@b.c", "phone": "1", "password": PASSWORD},
            *(400, "validation_failed", "Only an email address or phone number should be provided on login."),
        ),
        ({"phone": "+15551234", "password": PASSWORD}, 422, "phone_provider_disabled", "Phone logins are disabled"),
        ({"email": 1, "password": PASSWORD}, 400, "bad_json", None),
        ({"email": "a@b.c", "password": 1}, 400, "bad_json", None),
        (["a@b.c"], 400, "bad_json", None),
    ],
)
async def test_who_says_no_address_is_not_looked_for(here: Here, body, status: int, code: str, message: str | None):
    answer = await here.ask("POST", "/token?grant_type=password", body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert message is None or answer.json()["msg"] == message


@pytest.mark.parametrize(
    "query", ["", "?grant_type=", "?grant_type=Password", "?grant_type=authorization_code", "?x=1"]
)
async def test_a_grant_is_named_in_the_query(here: Here, query: str):
    answer = await here.ask("POST", f"/token{query}", {"grant_type": "password", "email": "a@b.c", "password": "x"})
    assert answer.status_code == 400
    assert answer.json() == {"code": 400, "error_code": "invalid_credentials", "msg": "unsupported_grant_type"}


async def test_of_several_grants_the_first_counts(here: Here):
    answer = await here.ask("POST", "/token?grant_type=password&grant_type=pkce", {})
    assert answer.json()["msg"] == "missing email or phone"


async def test_grants_that_are_switched_off_say_so(here: Here):
    web3 = await here.ask("POST", "/token?grant_type=web3", {"chain": "solana"})
    assert (web3.status_code, web3.json()["error_code"]) == (422, "web3_provider_disabled")
    body = {"id_token": "x.y.z", "provider": "google"}
    other = await here.ask("POST", "/token?grant_type=id_token", body)
    assert (other.status_code, other.json()["error_code"]) == (400, "provider_disabled")
    missing = await here.ask("POST", "/token?grant_type=id_token", {})
    assert missing.status_code == 400
    assert missing.json() == {"error": "invalid request", "error_description": "id_token required"}
    nameless = await here.ask("POST", "/token?grant_type=id_token", {"id_token": "x"})
    assert nameless.json()["error_description"] == "provider or client_id and issuer required"


async def test_the_life_of_a_token_is_a_setting(here: Here):
    alice = await here.member()
    tokens = (await here.under(GOTRUE_JWT_EXP="60").sign_in(alice.email)).json()
    assert tokens["expires_in"] == 60
    claims = jwt.decode(tokens["access_token"], here.keys.secret, ["HS256"], audience="authenticated")
    assert claims["exp"] - claims["iat"] == 60


async def test_a_crowd_is_sent_away_rather_than_kept_waiting(here: Here, monkeypatch: pytest.MonkeyPatch):
    alice = await here.member()
    monkeypatch.setattr("sigma_app.embedded.supabase.auth.passwords.LONGEST_WAIT", 0)
    answer = await here.sign_in(alice.email)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "unexpected_failure")
    assert int(answer.headers["retry-after"]) >= 0


async def test_the_limit_of_an_address_is_told_in_words(here: Here):
    limited = here.under(GOTRUE_RATE_LIMIT_HEADER="X-Real-IP", GOTRUE_RATE_LIMIT_TOKEN_REFRESH="1")
    for expected in (400, 429):
        answer = await limited.ask("POST", "/token?grant_type=refresh_token", {}, x_real_ip="192.0.2.7")
        assert answer.status_code == expected
    assert answer.json() == {
        "code": 429, "error_code": "over_request_rate_limit", "msg": "Request rate limit reached"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("meanwhile", "code"),
    [({"password": "another one"}, "invalid_credentials"), ({"ban_duration": "1h"}, "user_banned")],
)
async def test_a_sign_in_in_hand_does_not_outlive_a_change_of_password_or_a_ban(
    here: Here, monkeypatch: pytest.MonkeyPatch, meanwhile: dict, code: str
):
    alice = await here.member()
    compare = Passwords.matches

    async def slowly(self: Passwords, password: str, hashed: str | None) -> bool:
        result = await compare(self, password, hashed)
        answer = await here.manage("PUT", f"/admin/users/{alice.id}", meanwhile)
        assert answer.status_code == 200
        return result

    monkeypatch.setattr(Passwords, "matches", slowly)
    answer = await here.sign_in(alice.email)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


async def test_guessing_a_password_soon_ends_where_it_comes_from_and_nowhere_else(here: Here):
    alice = await here.member()
    proxied = here.under(GOTRUE_RATE_LIMIT_HEADER="X-Real-IP")

    async def tried(password: str, address: str) -> int:
        body = {"email": alice.email, "password": password}
        return (await proxied.ask("POST", "/token?grant_type=password", body, x_real_ip=address)).status_code

    assert {await tried("wrong", "192.0.2.7") for _ in range(30)} == {400}
    assert await tried(PASSWORD, "192.0.2.7") == 429
    assert await tried(PASSWORD, "198.51.100.7") == 200


async def test_without_a_proxy_guesses_are_counted_by_the_connection(here: Here):
    alice = await here.member()
    alone = here.under()
    body = {"email": alice.email, "password": "wrong"}
    answers = [await alone.ask("POST", "/token?grant_type=password", body) for _ in range(31)]
    assert [answer.status_code for answer in answers] == [400] * 30 + [429]


async def test_who_knew_the_password_begins_anew(here: Here):
    alice = await here.member()
    for _ in range(3):
        for _ in range(15):
            await here.sign_in(alice.email, "wrong")
        assert (await here.sign_in(alice.email)).status_code == 200
