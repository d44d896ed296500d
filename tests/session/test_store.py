"""Sessions from the first to the last minute: opened, found, renewed, ended, by whomever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.errors import DatabaseUnavailable, SigmaError
from sigma_app.core.links import digest
from sigma_app.gateways import accounts, identity
from sigma_app.gateways.accounts import IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.session import store
from sigma_app.session.cookie import new_cookie
from sigma_app.session.sealing import unseal
from tests.conftest import settings_for
from tests.portal import PASSWORD, SignIn
from tests.settled import settled

pytestmark = pytest.mark.anyio

SESSIONS = "select count(*) from sigma.sessions"
REFRESHED = "select count(*) from auth.refresh_tokens where user_id = %s::text"
NEARLY = "59 minutes 30 seconds"  # of the hour that an access token lasts


def number(owner, statement: str = SESSIONS, *values) -> int:
    return owner.execute(statement, [*values]).fetchone()[0]


class TestOpening:
    async def test_who_has_the_cookie_is_found_and_nobody_else(self, cookie: str, tokens: Tokens):
        session = await store.find(cookie)
        assert session
        assert (session.user_id, session.email, session.user_agent) == (tokens.user_id, tokens.email, "Alice's browser")
        assert not session.recovered
        assert session.actor.role == "authenticated"
        for other in (None, "", new_cookie(), cookie[:-1], digest(cookie).hex()):
            assert await store.find(other) is None

    async def test_the_database_knows_neither_the_cookie_nor_the_tokens(self, owner, cookie: str, tokens: Tokens):
        (row,) = owner.execute("select s::text || encode(tokens, 'escape') from sigma.sessions as s").fetchall()
        for secret in (cookie, tokens.access, tokens.refresh):
            assert secret not in row[0]
        (kept,) = owner.execute("select digest from sigma.sessions").fetchone()
        assert kept == digest(cookie)

    async def test_a_session_that_shows_itself_shows_no_secret(self, cookie: str, tokens: Tokens):
        shown = repr(await store.find(cookie)) + repr(await store.tokens_of(cookie))
        assert "alice@example.com" in shown
        for secret in (cookie, tokens.access, tokens.refresh):
            assert secret not in shown

    async def test_signing_in_again_ends_the_session_that_the_browser_had(self, owner, cookie: str, tokens: Tokens):
        again = await store.open_session(tokens, replacing=cookie)
        assert again != cookie
        assert await store.find(cookie) is None
        assert await store.find(again)
        assert number(owner) == 1

    async def test_another_person_in_the_same_browser_is_another_session(self, cookie: str, sign_in: SignIn):
        theirs = await store.open_session(await sign_in("bob"), replacing=cookie)
        assert await store.find(cookie) is None
        session = await store.find(theirs)
        assert session
        assert session.email == "bob@example.com"

    async def test_a_planted_cookie_is_not_taken_over(self, owner, tokens: Tokens):
        planted = new_cookie()
        given = await store.open_session(tokens, replacing=planted)
        assert given != planted
        assert await store.find(planted) is None

    async def test_however_long_a_browser_calls_itself(self, owner, tokens: Tokens):
        await store.open_session(tokens, "Mozilla " * 10_000)
        assert number(owner, "select length(user_agent) from sigma.sessions") == 400

    async def test_without_a_database_nobody_is_signed_in(self, owner, tokens: Tokens):
        async with Database("postgresql://nobody@127.0.0.1:9/none", pool_size=1) as away:
            with serve_requests_from(away):
                with pytest.raises(DatabaseUnavailable):
                    await store.open_session(tokens)
                with pytest.raises(DatabaseUnavailable):
                    await store.find(new_cookie())
        assert number(owner) == 0


class TestLasting:
    @pytest.mark.parametrize("variables", [{"SESSION_SECONDS": "300", "SESSION_IDLE_SECONDS": "600"}])
    async def test_however_busy_it_is_it_ends_with_its_time(self, owner, cookie: str, turn_back, variables):
        turn_back(created_at="4 minutes 50 seconds")
        assert await store.find(cookie)
        turn_back(created_at="11 seconds")
        assert await store.find(cookie) is None
        await store.end_expired()
        assert number(owner) == 0

    @pytest.mark.parametrize("variables", [{"SESSION_IDLE_SECONDS": "120"}])
    async def test_without_a_visit_it_ends_sooner_and_each_visit_counts(self, owner, cookie: str, turn_back, variables):
        turn_back(seen_at="110 seconds")
        assert await store.find(cookie)  # which is a visit
        turn_back(seen_at="110 seconds")
        assert await store.find(cookie)
        turn_back(seen_at="121 seconds")
        assert await store.find(cookie) is None
        with pytest.raises(IdentityRefused):
            await store.tokens_of(cookie)
        await store.end_expired()
        assert number(owner) == 0

    async def test_what_is_not_over_is_not_deleted(self, owner, cookie: str):
        await store.end_expired()
        assert number(owner) == 1

    async def test_a_visit_is_noted_once_a_minute(self, owner, cookie: str, turn_back):
        def seen() -> datetime:
            return owner.execute("select seen_at from sigma.sessions").fetchone()[0]

        turn_back(seen_at="50 seconds")
        before = seen()
        await store.find(cookie)
        assert seen() == before
        turn_back(seen_at="11 seconds")
        await store.find(cookie)
        assert datetime.now(UTC) - seen() < timedelta(seconds=30)


class TestRenewing:
    async def test_tokens_that_last_are_left_alone(self, owner, cookie: str, tokens: Tokens, turn_back):
        turn_back(tokens_end_at="58 minutes")
        assert await store.find(cookie)
        assert await store.tokens_of(cookie) == Tokens(
            tokens.user_id, tokens.email, tokens.access, tokens.refresh, tokens.end_at - timedelta(minutes=58)
        )
        assert number(owner, REFRESHED, tokens.user_id) == 1

    @pytest.mark.parametrize("by", [store.find, store.tokens_of])
    async def test_they_are_renewed_before_they_end_and_kept(self, owner, cookie: str, tokens: Tokens, turn_back, by):
        turn_back(tokens_end_at=NEARLY)
        assert await by(cookie)
        end_at, sealed = owner.execute("select tokens_end_at, tokens from sigma.sessions").fetchone()
        assert end_at > datetime.now(UTC) + timedelta(minutes=50)
        _, refresh = unseal(cookie, bytes(sealed))
        assert refresh != tokens.refresh
        assert await accounts.refresh(refresh)  # Supabase takes it

    async def test_all_who_ask_at_once_renew_once(
        self, owner, cookie: str, tokens: Tokens, turn_back, caplog: pytest.LogCaptureFixture
    ):
        turn_back(tokens_end_at=NEARLY)
        found = await asyncio.gather(*(store.find(cookie) for _ in range(5)), store.tokens_of(cookie))
        assert all(found)
        # Supabase gives the same token to all who come within its reuse interval: only its log tells how often
        assert sum("grant_type=refresh_token" in message for message in caplog.messages) == 1
        assert number(owner, REFRESHED, tokens.user_id) == 2

    async def test_the_address_follows_with_the_tokens(self, owner, cookie: str, tokens: Tokens, turn_back):
        owner.execute("alter table auth.users disable trigger user")  # as where the accounts are elsewhere
        owner.execute("update auth.users set email = 'new@example.com' where id = %s", [tokens.user_id])
        turn_back(tokens_end_at=NEARLY)
        await store.find(cookie)
        session = await store.find(cookie)
        assert session
        assert session.email == "new@example.com"

    async def test_what_supabase_ended_ends_here(self, owner, cookie: str, tokens: Tokens, turn_back):
        await accounts.sign_out(tokens, "global")
        assert await store.find(cookie)  # its access token still counts
        turn_back(tokens_end_at=NEARLY)
        assert await store.find(cookie) is None
        assert number(owner) == 0

    async def test_who_is_banned_is_out_when_the_tokens_end(self, owner, cookie: str, turn_back):
        owner.execute("update auth.users set banned_until = now() + interval '1 day'")
        turn_back(tokens_end_at=NEARLY)
        assert await store.find(cookie) is None
        assert number(owner) == 0

    async def test_while_supabase_fails_the_session_goes_on(self, owner, cookie: str, turn_back, monkeypatch):
        async def fail(_: Request) -> Response:
            return PlainTextResponse("Sorry", 500)

        failing = [Mount("/auth/v1", routes=[Route("/{path:path}", fail, methods=["GET", "POST"])])]
        turn_back(tokens_end_at=NEARLY)
        with monkeypatch.context() as patched:
            patched.setattr(identity.embedded, "routes", lambda _: failing)
            identity.routes.cache_clear()
            patched.setattr(store, "ASK_AGAIN_AFTER", 0)
            assert await store.find(cookie)
            assert number(owner, "select count(*) from sigma.sessions where tokens_end_at < now() + interval '1m'") == 1
        identity.routes.cache_clear()
        await asyncio.sleep(0)  # one turn of the loop, in which the failure is forgotten
        assert await store.find(cookie)
        assert number(owner, "select count(*) from sigma.sessions where tokens_end_at < now() + interval '1m'") == 0

    async def test_after_a_failure_supabase_is_left_alone_for_a_while(self, cookie: str, turn_back, monkeypatch):
        asked = 0

        async def away(_: str) -> Tokens:
            nonlocal asked
            asked += 1
            raise IdentityUnavailable

        turn_back(tokens_end_at=NEARLY)
        monkeypatch.setattr(accounts, "refresh", away)
        for _ in range(3):
            assert await store.find(cookie)
            assert await store.tokens_of(cookie)
        assert asked == 1

    async def test_nobody_waits_long_for_a_supabase_that_is_silent(self, owner, cookie: str, turn_back, monkeypatch):
        refresh, answers = accounts.refresh, asyncio.Event()

        async def slow(token: str) -> Tokens:
            await answers.wait()
            return await refresh(token)

        turn_back(tokens_end_at=NEARLY)
        monkeypatch.setattr(accounts, "refresh", slow)
        monkeypatch.setattr(store, "PATIENCE", 0.01)
        assert await store.find(cookie)
        answers.set()
        await list(store._renewing.values())[-1]
        end_at = owner.execute("select tokens_end_at from sigma.sessions").fetchone()[0]
        assert end_at > datetime.now(UTC) + timedelta(minutes=50)

    async def test_of_a_session_that_supabase_ended_no_tokens_are_given_out(self, cookie: str, tokens, turn_back):
        await accounts.sign_out(tokens, "global")
        turn_back(tokens_end_at=NEARLY)
        with pytest.raises(IdentityRefused):
            await store.tokens_of(cookie)

    @pytest.mark.parametrize(
        ("answer", "status"), [({"message": "Invalid API key"}, 401), ({"error_code": "conflict", "msg": "Wait"}, 409)]
    )
    async def test_a_refusal_that_is_not_about_the_session_does_not_end_it(
        self, cookie: str, turn_back, monkeypatch, answer: dict[str, str], status: int
    ):
        async def refuse(_: Request) -> Response:
            return JSONResponse(answer, status)

        refusing = [Mount("/auth/v1", routes=[Route("/{path:path}", refuse, methods=["GET", "POST"])])]
        turn_back(tokens_end_at=NEARLY)
        with monkeypatch.context() as patched:
            patched.setattr(identity.embedded, "routes", lambda _: refusing)
            identity.routes.cache_clear()
            assert await store.find(cookie)
            with pytest.raises(SigmaError) as raised:
                await accounts.sign_in("alice@example.com", PASSWORD)
            assert isinstance(raised.value, IdentityUnavailable) is (status == 401)
        identity.routes.cache_clear()

    async def test_who_ask_at_once_wait_for_one_answer_even_if_it_is_none(self, cookie: str, turn_back, monkeypatch):
        asked = 0

        async def silent(_: str) -> Tokens:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            raise IdentityUnavailable

        turn_back(tokens_end_at=NEARLY)
        monkeypatch.setattr(accounts, "refresh", silent)
        found = await asyncio.gather(*(store.find(cookie) for _ in range(5)))
        assert all(found)
        assert asked == 1

    @pytest.mark.parametrize("variables", [{"SIGMA_SIGNUP": "open"}])
    async def test_while_supabase_cannot_be_reached_it_goes_on_too(self, cookie: str, turn_back, tmp_path: Path):
        keys = {"VITE_SUPABASE_ANON_KEY": "anon.key.there", "SUPABASE_SERVICE_ROLE_KEY": "service.key.there"}
        turn_back(tokens_end_at="2 hours")
        with settled(settings_for(tmp_path, VITE_SUPABASE_URL="http://127.0.0.1:9", **keys)):
            assert await store.find(cookie)


class TestEnding:
    async def test_a_session_that_ended_has_lost_its_tokens(self, owner, cookie: str):
        await store.end(cookie)
        assert await store.find(cookie) is None
        assert number(owner) == 0
        with pytest.raises(IdentityRefused):
            await store.tokens_of(cookie)
        for nothing in (cookie, None, "", new_cookie()):
            await store.end(nothing)

    async def test_one_may_be_ended_from_another_browser_of_the_same_person_alone(self, cookie: str, sign_in: SignIn):
        other = await store.open_session(await sign_in("alice"), "Alice's telephone")
        bobs = await store.open_session(await sign_in("bob"))
        mine, theirs, bob = [await store.find(one) for one in (cookie, other, bobs)]
        assert mine
        assert theirs
        assert bob
        devices = [one.user_agent for one in await store.sessions_of(mine.user_id)]
        assert devices == ["Alice's telephone", "Alice's browser"]
        await store.end_one(bob, theirs.id)
        await store.end_one(mine, uuid4())
        assert await store.find(other)
        await store.end_one(mine, theirs.id)
        assert await store.find(other) is None
        assert await store.find(cookie)
        assert [one.id for one in await store.sessions_of(mine.user_id)] == [mine.id]

    async def test_one_that_is_to_be_alone_ends_the_others_of_its_user(self, owner, cookie: str, sign_in: SignIn):
        bobs = await store.open_session(await sign_in("bob"))
        alone = await store.open_session(await sign_in("alice"), alone=True)
        assert await store.find(cookie) is None
        assert await store.find(alone)
        assert await store.find(bobs)

    async def test_all_of_one_person_and_of_nobody_else(self, cookie: str, tokens: Tokens, sign_in: SignIn):
        other = await store.open_session(await sign_in("alice"))
        bobs = await store.open_session(await sign_in("bob"))
        await store.end_all(tokens.user_id)
        assert [bool(await store.find(one)) for one in (cookie, other, bobs)] == [False, False, True]

    async def test_with_the_account_go_its_sessions(self, owner, cookie: str, tokens: Tokens):
        await accounts.delete_user(tokens.user_id)
        assert await store.find(cookie) is None
        assert number(owner) == 0

    async def test_which_there_still_are(self, cookie: str):
        session = await store.find(cookie)
        assert session
        assert await store.are_open([session.id, uuid4()]) == {session.id}
        assert await store.are_open([]) == set()

    async def test_a_password_that_was_changed_keeps_this_session_alone(self, cookie: str, sign_in: SignIn, turn_back):
        other = await store.open_session(await sign_in("alice"))
        await store.keep_tokens(
            cookie, await accounts.change_password(await store.tokens_of(cookie), f"{PASSWORD} of old")
        )
        turn_back(tokens_end_at=NEARLY)
        assert await store.find(cookie)
        assert await store.find(other) is None
