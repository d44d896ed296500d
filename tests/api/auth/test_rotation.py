"""Refresh tokens: the four rules of rotation and reuse, first one by one, then against a model of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigma_app.embedded.supabase.auth import sessions
from tests.api.auth.conftest import Here, Member

pytestmark = pytest.mark.anyio


def claims(here: Here, token: str) -> dict:
    return jwt.decode(token, here.keys.secret, ["HS256"], audience="authenticated")


def age(here: Here, token: str, seconds: int) -> None:
    """Let a token have been used so many seconds earlier."""
    here.owner.execute(
        "update auth.refresh_tokens set updated_at = updated_at - make_interval(secs => %s) where token = %s",
        [seconds, token],
    )


async def used(here: Here, token: str) -> str:
    answer = await here.refresh(token)
    assert answer.status_code == 200, answer.text
    return answer.json()["refresh_token"]


def active(here: Here, alice: Member) -> list[str]:
    rows = here.rows("select token from auth.refresh_tokens where user_id = %s and not revoked", alice.id)
    return [row["token"] for row in rows]


async def test_the_active_token_is_replaced(here: Here):
    alice = await here.member()
    answer = await here.refresh(alice.refresh_token)
    assert answer.status_code == 200
    tokens = answer.json()
    assert tokens["refresh_token"] != alice.refresh_token
    assert tokens["user"]["id"] == alice.id
    before, after = claims(here, alice.access_token), claims(here, tokens["access_token"])
    assert (after["session_id"], after["amr"]) == (before["session_id"], before["amr"])
    row = here.row("select * from auth.refresh_tokens where token = %s", tokens["refresh_token"])
    assert (row["parent"], row["revoked"]) == (alice.refresh_token, False)
    assert active(here, alice) == [tokens["refresh_token"]]
    session = here.row("select refreshed_at from auth.sessions where id = %s", after["session_id"])
    assert session["refreshed_at"] is not None


async def test_the_parent_of_the_active_token_gives_the_active_one_however_late(here: Here):
    alice = await here.member()
    second = await used(here, alice.refresh_token)
    age(here, alice.refresh_token, 10**6)
    assert await used(here, alice.refresh_token) == second
    assert await used(here, alice.refresh_token) == second
    assert active(here, alice) == [second]


async def test_an_older_token_is_good_inside_the_interval(here: Here):
    alice = await here.member()
    second = await used(here, alice.refresh_token)
    third = await used(here, second)
    another = await used(here, alice.refresh_token)
    assert another not in (alice.refresh_token, second, third)
    assert sorted(active(here, alice)) == sorted([third, another])
    assert await used(here, third)


@pytest.mark.parametrize("rotation", [True, False])
async def test_an_older_token_outside_the_interval_ends_the_family(here: Here, rotation: bool):
    under = here.under(GOTRUE_SECURITY_REFRESH_TOKEN_ROTATION_ENABLED=str(rotation).lower())
    alice = await here.member()
    second = await used(here, alice.refresh_token)
    third = await used(here, second)
    age(here, alice.refresh_token, 11)
    refused = await under.refresh(alice.refresh_token)
    assert refused.status_code == 400
    assert refused.json() == {
        "code": 400, "error_code": "refresh_token_already_used", "msg": "Invalid Refresh Token: Already Used"
    }  # fmt: skip
    assert active(here, alice) == ([] if rotation else [third])
    if rotation:
        for token in (third, second, alice.refresh_token):
            assert (await under.refresh(token)).json()["error_code"] == "refresh_token_already_used"
    assert (await here.who(alice.access_token)).status_code == 200, "the session stays"


async def test_without_an_interval_only_the_parent_is_good_again(here: Here):
    strict = here.under(GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL="0")
    alice = await here.member()
    second = await used(strict, alice.refresh_token)
    assert await used(strict, alice.refresh_token) == second
    await used(strict, second)
    assert (await strict.refresh(alice.refresh_token)).json()["error_code"] == "refresh_token_already_used"


@pytest.mark.parametrize(
    "token",
    ["", "short", "aaaaaaaaaaa", "AAAAAAAAAAAA", "aaaaaaaaaaa ", "aaaaaaaaaaa\x00", "a" * 13, "é" * 12, "=" * 40],
)
async def test_what_is_no_refresh_token_is_refused(here: Here, token: str):
    answer = await here.refresh(token)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")
    assert answer.json()["msg"] == "Refresh token is not valid"


async def test_a_token_that_nobody_has_is_not_found(here: Here):
    answer = await here.refresh("zzzzzzzzzzzz")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "refresh_token_not_found")
    assert answer.json()["msg"] == "Invalid Refresh Token: Refresh Token Not Found"


async def test_nobody_refreshes_a_session_that_ended(here: Here):
    alice = await here.member()
    await here.ask("POST", "/logout", bearer=alice.access_token)
    assert (await here.refresh(alice.refresh_token)).json()["error_code"] == "refresh_token_not_found"


async def test_a_deleted_user_refreshes_nothing(here: Here):
    alice = await here.member()
    await here.manage("DELETE", f"/admin/users/{alice.id}")
    assert (await here.refresh(alice.refresh_token)).json()["error_code"] == "refresh_token_not_found"


async def test_a_session_may_have_a_longest_time(here: Here):
    boxed = here.under(GOTRUE_SESSIONS_TIMEBOX="3600")
    alice = await here.member()
    second = await used(boxed, alice.refresh_token)
    here.owner.execute(
        "update auth.sessions set created_at = now() - interval '61 minutes' where user_id = %s", [alice.id]
    )
    over = await boxed.refresh(second)
    assert (over.status_code, over.json()["error_code"]) == (400, "session_expired")
    assert over.json()["msg"] == "Invalid Refresh Token: Session Expired"
    here.owner.execute(
        "update auth.sessions set not_after = now() - interval '1 second' where user_id = %s", [alice.id]
    )
    assert (await here.refresh(second)).json()["error_code"] == "session_expired"


async def test_a_session_may_end_when_nobody_uses_it(here: Here):
    idle = here.under(GOTRUE_SESSIONS_INACTIVITY_TIMEOUT="3600")
    alice = await here.member()
    here.owner.execute(
        "update auth.sessions set created_at = now() - interval '2 hours' where user_id = %s", [alice.id]
    )
    second = await used(idle, alice.refresh_token)
    here.owner.execute(
        "update auth.sessions set refreshed_at = refreshed_at - interval '61 minutes' where user_id = %s", [alice.id]
    )
    over = await idle.refresh(second)
    assert (over.status_code, over.json()["error_code"]) == (400, "session_expired")
    assert over.json()["msg"] == "Invalid Refresh Token: Session Expired (Inactivity)"


async def test_whoever_waits_too_long_for_a_session_is_told_of_the_conflict(
    here: Here, monkeypatch: pytest.MonkeyPatch
):
    alice = await here.member()
    monkeypatch.setattr(sessions, "LOCK_WAIT_MS", 10)
    with here.owner.transaction():
        here.owner.execute("select from auth.sessions where user_id = %s for update", [alice.id])
        answer = await here.refresh(alice.refresh_token)
    assert (answer.status_code, answer.json()["error_code"]) == (409, "conflict")
    assert (await here.refresh(alice.refresh_token)).status_code == 200


async def test_fifty_uses_of_one_token_at_once_converge_on_one_active_token(here: Here):
    alice = await here.member()
    answers = await asyncio.gather(*(here.refresh(alice.refresh_token) for _ in range(50)))
    assert [answer.status_code for answer in answers] == [200] * 50
    assert {answer.json()["refresh_token"] for answer in answers} == set(active(here, alice))
    assert len(active(here, alice)) == 1


@dataclass
class Family:
    """A plain model of one session's tokens: numbered in the order in which they were made."""

    interval: int
    parents: list[int | None] = field(default_factory=lambda: [None])
    revoked_at: list[int | None] = field(default_factory=lambda: [None])
    now: int = 0

    def use(self, number: int) -> int | None:
        """The number of the token that is answered; None for a refusal."""
        revoked_at = self.revoked_at[number]
        if revoked_at is not None:
            live = [each for each, revoked in enumerate(self.revoked_at) if revoked is None]
            if live and self.parents[live[-1]] == number:
                return live[-1]
            if not live or self.now - revoked_at > self.interval:
                for each in live:
                    self.revoked_at[each] = self.now
                return None
        self.revoked_at[number] = self.now
        self.parents.append(number)
        self.revoked_at.append(None)
        return len(self.parents) - 1


VERBS = ["use"] * 8 + ["wait"] * 4 + ["sign in", "local", "others", "global"]
steps = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 1), st.integers(0, 5)), min_size=6, max_size=24)


@given(steps=steps)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_to_sessions_agrees_with_a_plain_model(here: Here, steps: list[tuple[str, int, int]]):
    alice = await here.member()
    tokens = {0: [alice.refresh_token]}
    access = {0: alice.access_token}
    model = {0: Family(10)}
    for verb, which, value in steps:
        live = sorted(model)
        session = live[which % len(live)] if live else None
        if verb == "wait":
            seconds = (4, 13)[value % 2]  # no sum of which is the interval: there the clock would decide
            age_all(here, alice, seconds)
            for family in model.values():
                family.now += seconds
        elif verb == "sign in":
            made = await here.manage("POST", "/admin/generate_link", {"type": "recovery", "email": alice.email})
            body = {"type": "recovery", "token_hash": made.json()["hashed_token"]}
            answer = (await here.ask("POST", "/verify", body)).json()
            new = max(tokens) + 1
            tokens[new], access[new], model[new] = [answer["refresh_token"]], answer["access_token"], Family(10)
        elif session is None:
            assert (await here.refresh(tokens[0][0])).json()["error_code"] == "refresh_token_not_found"
        elif verb == "use":
            number = value % len(tokens[session])
            expected = model[session].use(number)
            answer = await here.refresh(tokens[session][number])
            if expected is None:
                assert answer.json()["error_code"] == "refresh_token_already_used"
            else:
                assert answer.status_code == 200
                tokens[session] += [answer.json()["refresh_token"]] * (expected == len(tokens[session]))
                assert answer.json()["refresh_token"] == tokens[session][expected]
        else:
            answer = await here.ask("POST", f"/logout?scope={verb}", bearer=access[session])
            assert answer.status_code == 204
            ended = {"local": [session], "others": [each for each in live if each != session], "global": live}[verb]
            for each in ended:
                del model[each]
                assert (await here.refresh(tokens[each][-1])).json()["error_code"] == "refresh_token_not_found"
                assert (await here.who(access[each])).json()["error_code"] == "session_not_found"
    expected = {tokens[each][n] for each, family in model.items()
                for n, revoked in enumerate(family.revoked_at) if revoked is None}  # fmt: skip
    assert set(active(here, alice)) == expected


def age_all(here: Here, alice: Member, seconds: int) -> None:
    here.owner.execute(
        "update auth.refresh_tokens set updated_at = updated_at - make_interval(secs => %s) where user_id = %s",
        [seconds, alice.id],
    )
