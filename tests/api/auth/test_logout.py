"""POST /logout: which sessions end, and what an access token is still good for."""

from __future__ import annotations

import pytest

from tests.api.auth.conftest import Here, Member

pytestmark = pytest.mark.anyio


async def two_sessions(here: Here) -> tuple[Member, dict, dict]:
    alice = await here.member()
    first = {"access_token": alice.access_token, "refresh_token": alice.refresh_token}
    return alice, first, (await here.sign_in(alice.email)).json()


async def is_alive(here: Here, tokens: dict) -> bool:
    answer = await here.who(tokens["access_token"])
    assert answer.status_code == 200 or answer.json()["error_code"] == "session_not_found"
    return answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "first_lives", "second_lives"),
    [
        ("", False, False),
        ("?scope=", False, False),
        ("?scope=global", False, False),
        ("?scope=local", False, True),
        ("?scope=others", True, False),
    ],
)
async def test_the_scope_says_which_sessions_end(here: Here, query: str, first_lives: bool, second_lives: bool):
    _, first, second = await two_sessions(here)
    answer = await here.ask("POST", f"/logout{query}", bearer=first["access_token"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert await is_alive(here, first) is first_lives
    assert await is_alive(here, second) is second_lives


async def test_nobody_signs_another_user_out(here: Here):
    alice, bob = await here.member(), await here.member()
    await here.ask("POST", "/logout?scope=global", bearer=alice.access_token)
    assert (await here.who(bob.access_token)).status_code == 200


async def test_a_second_time_there_is_no_session(here: Here):
    alice = await here.member()
    await here.ask("POST", "/logout", bearer=alice.access_token)
    again = await here.ask("POST", "/logout", bearer=alice.access_token)
    assert again.status_code == 403
    assert again.json() == {
        "code": 403,
        "error_code": "session_not_found",
        "msg": "Session from session_id claim in JWT does not exist",
    }


async def test_an_unknown_scope_ends_nothing(here: Here):
    alice = await here.member()
    answer = await here.ask("POST", "/logout?scope=everything", bearer=alice.access_token)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")
    assert answer.json()["msg"] == 'Unsupported logout scope "everything"'
    assert (await here.who(alice.access_token)).status_code == 200


async def test_a_visitor_has_nothing_to_sign_out_of(here: Here):
    answer = await here.ask("POST", "/logout?scope=everything")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "no_authorization")
    answer = await here.ask("POST", "/logout", bearer=here.keys.anon)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "bad_jwt")
