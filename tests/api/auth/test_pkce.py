"""PKCE: a flow ends where it started, with the code out of a link and a verifier that nobody else knows."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from tests.api.auth.conftest import PASSWORD, Here, address

pytestmark = pytest.mark.anyio

VERIFIER = "a-verifier-that-nobody-else-knows-0123456789._~"
S256 = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CHALLENGES = {
    "s256": {"code_challenge": S256, "code_challenge_method": "s256"},
    "S256": {"code_challenge": S256, "code_challenge_method": "S256"},
    "plain": {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
}
METHODS = {"signup": "email/signup", "recovery": "recovery", "magiclink": "magiclink", "email_change": "email_change"}


async def start(here: Here, kind: str, challenge: str = "s256") -> tuple[str, str]:
    """Whoever started a flow of a kind: their address, and the hash in the link."""
    body = dict(CHALLENGES[challenge])
    if kind == "signup":
        email = await here.newcomer(**body)
        return email, here.pending(email).hash
    alice = await here.member()
    if kind == "email_change":
        simple, new = here.under(GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED="false"), address("new")
        await simple.ask("PUT", "/user", body | {"email": new}, bearer=alice.access_token)
        return new, here.pending(new, "email_change_token_new").hash
    path = {"recovery": "/recover", "magiclink": "/otp"}[kind]
    await here.ask("POST", path, body | {"email": alice.email})
    return alice.email, here.pending(alice.email, "recovery_token").hash


async def follow(here: Here, kind: str, token: str, redirect_to: str = "") -> str:
    under = here.under(GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED="false")
    async with under.client() as browser:
        query = {"token": token, "type": kind, "redirect_to": redirect_to}
        answer = await browser.get("http://localhost:3000/auth/v1/verify", params=query)
    assert answer.status_code == 303
    return answer.headers["location"]


def code_in(location: str) -> str:
    return parse_qs(urlsplit(location).query)["code"][0]


async def exchange(here: Here, code: str, verifier: str = VERIFIER):
    return await here.ask("POST", "/token?grant_type=pkce", {"auth_code": code, "code_verifier": verifier})


@pytest.mark.parametrize("kind", METHODS)
async def test_a_flow_ends_with_a_code(here: Here, kind: str):
    email, token = await start(here, kind)
    assert token.startswith("pkce_")
    location = await follow(here, kind, token)
    assert location.startswith("http://localhost:3000?code=")
    assert "access_token" not in location
    answer = await exchange(here, code_in(location))
    assert answer.status_code == 200
    assert answer.json()["user"]["email"] == email
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["amr"][0]["method"] == METHODS[kind]
    again = await exchange(here, code_in(location))
    assert (again.status_code, again.json()["error_code"]) == (404, "flow_state_not_found")


@pytest.mark.parametrize("method", CHALLENGES)
async def test_a_challenge_is_plain_or_hashed_in_any_case(here: Here, method: str):
    _, token = await start(here, "recovery", method)
    assert (await exchange(here, code_in(await follow(here, "recovery", token)))).status_code == 200


async def test_another_verifier_ends_nothing_and_uses_nothing_up(here: Here):
    _, token = await start(here, "recovery")
    code = code_in(await follow(here, "recovery", token))
    for verifier in ("x" * 43, S256, "\x00", "é"):
        answer = await exchange(here, code, verifier)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "bad_code_verifier")
    assert (await exchange(here, code)).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"auth_code": "x"}, {"code_verifier": "x"}, {"auth_code": "", "code_verifier": ""}]
)
async def test_a_code_needs_its_verifier(here: Here, body: dict):
    answer = await here.ask("POST", "/token?grant_type=pkce", body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


@pytest.mark.parametrize("code", ["x", "5f8b6a1e-0000-4000-8000-000000000000", "\x00"])
async def test_an_unknown_code_is_not_found(here: Here, code: str):
    answer = await exchange(here, code)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "flow_state_not_found")


async def test_a_flow_lasts_five_minutes(here: Here):
    _, token = await start(here, "recovery")
    code = code_in(await follow(here, "recovery", token))
    here.owner.execute(
        "update auth.flow_state set created_at = now() - interval '301 seconds' where auth_code = %s", [code]
    )
    answer = await exchange(here, code)
    assert (answer.status_code, answer.json()["error_code"]) == (422, "flow_state_expired")


async def test_that_of_a_magic_link_counts_from_its_opening(here: Here):
    _, token = await start(here, "magiclink")
    here.owner.execute("update auth.flow_state set created_at = now() - interval '1 hour'")
    code = code_in(await follow(here, "magiclink", token))
    assert (await exchange(here, code)).status_code == 200


async def test_flows_that_nobody_ended_are_forgotten_after_a_day(here: Here):
    older, _ = await start(here, "recovery")
    user = here.user(older)["id"]
    here.owner.execute("update auth.flow_state set created_at = now() - interval '25 hours' where user_id = %s", [user])
    newer, _ = await start(here, "recovery")
    assert here.rows("select from auth.flow_state where user_id = %s", user) == []
    assert len(here.rows("select from auth.flow_state where user_id = %s", here.user(newer)["id"])) == 1


async def test_a_query_that_was_there_stays(here: Here):
    _, token = await start(here, "recovery")
    location = await follow(here, "recovery", token, "http://localhost:3000/in?a=1&code=old&b=")
    query = parse_qs(urlsplit(location).query, keep_blank_values=True)
    assert query.pop("code") != ["old"]
    assert query == {"a": ["1"], "b": [""]}


async def test_what_is_wrong_stands_in_query_and_fragment(here: Here):
    location = urlsplit(await follow(here, "signup", "pkce_x", "http://localhost:3000/in?a=1"))
    told = {"error": ["access_denied"], "error_code": ["otp_expired"],
            "error_description": ["Email link is invalid or has expired"]}  # fmt: skip
    assert parse_qs(location.query) == {"a": ["1"]} | told
    assert parse_qs(location.fragment, keep_blank_values=True) == told | {"sb": [""]}


async def test_a_typed_code_signs_in_at_once_in_a_flow_as_well(here: Here):
    email = await here.newcomer(**CHALLENGES["s256"])
    answer = await here.ask("POST", "/verify", {"type": "signup", "email": email, "token": here.pending(email).code})
    assert answer.status_code == 200
    assert answer.json()["access_token"]


async def test_both_mails_of_a_changed_address_belong_to_the_flow(here: Here):
    alice, new = await here.member(), address("new")
    await here.ask("PUT", "/user", CHALLENGES["s256"] | {"email": new}, bearer=alice.access_token)
    hashes = [here.pending(alice.email, "email_change_token_current").hash,
              here.pending(new, "email_change_token_new").hash]  # fmt: skip
    assert all(each.startswith("pkce_") for each in hashes)
    async with here.client() as browser:
        first, second = [
            await browser.get(f"http://localhost:3000/auth/v1/verify?type=email_change&token={each}") for each in hashes
        ]
    assert "message" in parse_qs(urlsplit(first.headers["location"]).query)
    assert (await exchange(here, code_in(second.headers["location"]))).json()["user"]["email"] == new


async def test_a_link_whose_flow_is_gone_says_so_and_stays_good(here: Here):
    _, token = await start(here, "recovery")
    here.owner.execute("delete from auth.flow_state")
    query = parse_qs(urlsplit(await follow(here, "recovery", token)).query)
    assert query["error_code"] == ["flow_state_not_found"]


async def test_who_is_banned_ends_no_flow(here: Here):
    email, token = await start(here, "recovery")
    code = code_in(await follow(here, "recovery", token))
    here.change(email, "banned_until = now() + interval '1 hour'")
    assert (await exchange(here, code)).json()["error_code"] == "user_banned"


async def test_of_many_who_use_a_code_at_once_one_has_it(here: Here):
    _, token = await start(here, "recovery")
    code = code_in(await follow(here, "recovery", token))
    answers = await asyncio.gather(*(exchange(here, code) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9


async def test_the_password_is_kept_through_the_flow(here: Here):
    email, token = await start(here, "signup")
    await exchange(here, code_in(await follow(here, "signup", token)))
    assert (await here.sign_in(email, PASSWORD)).status_code == 200
