"""The doors inside: another password, another address, the picture, what one takes along, and the way out."""

from __future__ import annotations

from uuid import UUID

import httpx
import psycopg
import pytest

from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.embedded.supabase.auth.mails import code_of
from sigma_app.embedded.supabase.keys import keys_in
from sigma_app.features.accounts import entrance, files_http, jobs, portal_http
from sigma_app.features.accounts.state import AccountState
from sigma_app.gateways import accounts
from sigma_app.gateways import mail as gateway
from sigma_app.gateways import pictures as storage
from sigma_app.gateways.accounts import IdentityRefused, Tokens
from sigma_app.session import store
from sigma_app.session.doors import REFUSED, SIGNED_OUT
from sigma_app.session.store import Session
from sigma_app.settings import Settings
from tests.features.accounts.conftest import Mailed, NewBrowser
from tests.features.accounts.people import folder_of, join_waitlist, png
from tests.portal import PASSWORD, SignIn, one_time_token
from tests.session.test_state import Tab

pytestmark = pytest.mark.anyio

NEW = "a brand new secret, 77"
ALICE, NEXT_ALICE = "alice@example.com", "alice.next@example.com"
COOKIE = "sigma_session"
JSON = {"accept": "application/json"}


@pytest.fixture
def variables() -> dict[str, str]:
    return {"GOTRUE_SMTP_MAX_FREQUENCY": "0"}


class TestPassword:
    async def test_it_is_changed_by_the_current_one_and_every_other_session_ends(
        self, hers: httpx.AsyncClient, cookie: str, sign_in: SignIn
    ):
        other = await store.open_session(await sign_in("alice"))
        answer = await hers.post("/account/password", data={"current": PASSWORD, "password": NEW})
        assert answer.headers["location"] == "/account?said=password"
        assert await store.find(cookie) is None
        assert await store.find(other) is None
        assert await store.find(hers.cookies[COOKIE])
        assert await accounts.sign_in(ALICE, NEW)

    async def test_a_mail_says_so(
        self, hers: httpx.AsyncClient, tokens: Tokens, owner: psycopg.Connection, serving: Settings
    ):
        await hers.post("/account/password", data={"current": PASSWORD, "password": NEW})
        queued = "select args from procrastinate.procrastinate_jobs where task_name = 'accounts:send_password_changed'"
        ((arguments,),) = owner.execute(queued).fetchall()
        assert "alice" not in str(arguments)
        async with gateway.sending_mail():
            for _ in range(2):
                await jobs.send_password_changed(**arguments)
        sent = owner.execute("select recipients, subject from sigma.mailbox where subject like '%password%'").fetchall()
        assert sent == [([ALICE], "Your password was changed")]

    @pytest.mark.parametrize(
        ("current", "password", "field"),
        [
            ("not hers at all", NEW, "current"),
            ("", NEW, "current"),
            (PASSWORD, "", "password"),
            (PASSWORD, "password123", "password"),
            (PASSWORD, PASSWORD, "password"),  # or it would say that every other device is signed out
        ],
    )
    async def test_without_it_nothing_changes(
        self, hers: httpx.AsyncClient, cookie: str, current: str, password: str, field: str
    ):
        form = {"current": current, "password": password}
        answer = await hers.post("/account/password", data=form, headers=JSON)
        assert answer.json()["field"] == field
        assert await accounts.sign_in(ALICE, PASSWORD)
        assert await store.find(cookie)

    async def test_a_try_for_nothing_leaves_no_session_at_supabase(
        self, hers: httpx.AsyncClient, owner: psycopg.Connection
    ):
        before = owner.execute("select id from auth.sessions").fetchall()
        answer = await hers.post("/account/password", data={"current": PASSWORD, "password": PASSWORD})
        assert answer.status_code == 422
        assert owner.execute("select id from auth.sessions").fetchall() == before

    async def test_whoever_has_the_address_by_now_keeps_their_password(
        self, hers: httpx.AsyncClient, sign_in: SignIn, owner: psycopg.Connection
    ):
        bob = await sign_in("bob")
        owner.execute("update sigma.sessions set email = 'bob@example.com'")  # Alice's old address is now Bob's
        answer = await hers.post("/account/password", data={"current": PASSWORD, "password": NEW}, headers=JSON)
        assert answer.json() == {"message": entrance.WRONG_PASSWORD, "field": "current"}
        assert (await accounts.sign_in("bob@example.com", PASSWORD)).user_id == bob.user_id

    async def test_what_fails_once_it_is_changed_does_not_say_that_it_is_not(
        self, hers: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ):
        async def away(*_: object, **__: object) -> str:
            raise DatabaseUnavailable

        monkeypatch.setattr(store, "open_session", away)
        answer = await hers.post("/account/password", data={"current": PASSWORD, "password": NEW}, headers=JSON)
        assert (answer.status_code, answer.json()["message"]) == (503, str(entrance.SignInAnew()))
        assert await accounts.sign_in(ALICE, NEW)

    @pytest.mark.parametrize("variables", [{"ACCOUNT_LIMIT_PER_ADDRESS": "3/hour"}])
    async def test_guesses_of_the_current_one_are_counted(self, hers: httpx.AsyncClient):
        form = {"current": "not hers at all", "password": NEW}
        statuses = [(await hers.post("/account/password", data=form)).status_code for _ in range(5)]
        assert statuses == [422, 422, 422, 429, 429]


class TestAddress:
    async def test_it_moves_once_both_have_agreed(
        self, hers: httpx.AsyncClient, cookie: str, tokens: Tokens, mailed: Mailed
    ):
        answer = await hers.post("/account/address", data={"email": NEXT_ALICE}, headers=JSON)
        assert ALICE in answer.json()["message"]
        assert NEXT_ALICE in answer.json()["message"]
        assert await accounts.pending_address(tokens) == NEXT_ALICE
        form = {"token_hash": mailed(ALICE, "email_change_token_current"), "type": "email_change"}
        assert (await hers.post("/verify", data=form)).headers["location"] == "/verify?done=half"
        form["token_hash"] = mailed(NEXT_ALICE, "email_change_token_new")
        assert (await hers.post("/verify", data=form)).headers["location"] == "/account?said=address"
        session = await store.find(hers.cookies[COOKIE])
        assert session
        assert (session.user_id, session.email) == (tokens.user_id, NEXT_ALICE)
        assert await accounts.pending_address(await accounts.sign_in(NEXT_ALICE, PASSWORD)) == ""

    async def test_so_it_does_by_the_codes_of_the_two_mails(
        self, hers: httpx.AsyncClient, tokens: Tokens, owner: psycopg.Connection, serving: Settings
    ):
        await hers.post("/account/address", data={"email": NEXT_ALICE})
        onward = []
        for email, kind in ((ALICE, "email_change_token_current"), (NEXT_ALICE, "email_change_token_new")):
            token_id, _ = one_time_token(owner, email, kind)
            code = code_of(keys_in(serving.data_dir), token_id, 6)
            answer = await hers.post("/verify", data={"email": email, "code": code, "type": "email_change"})
            onward.append(answer.headers["location"])
        assert onward == ["/verify?done=half", "/account?said=address"]
        assert (await accounts.sign_in(NEXT_ALICE, PASSWORD)).user_id == tokens.user_id

    async def test_nobody_learns_here_whose_an_address_is(
        self, hers: httpx.AsyncClient, sign_in: SignIn, owner: psycopg.Connection
    ):
        bob = await sign_in("bob")
        told = set()
        for email in (bob.email, NEXT_ALICE):
            answer = await hers.post("/account/address", data={"email": email}, headers=JSON)
            told.add((answer.status_code, answer.text.replace(email, "…")))
        assert len(told) == 1
        queued = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'accounts:send_known_address'"
        assert owner.execute(queued).fetchone() == (1,)

    @pytest.mark.parametrize("email", ["", "alice", "Alice@Example.com"])
    async def test_what_is_none_or_hers_is_refused(self, hers: httpx.AsyncClient, email: str):
        answer = await hers.post("/account/address", data={"email": email}, headers=JSON)
        assert (answer.status_code, answer.json()["field"]) == (422, "email")

    async def test_it_is_asked_so_often(self, hers: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch):
        async def one_too_many(_: str) -> int:
            return 61

        monkeypatch.setattr(portal_http._address_limiter(), "wait", one_too_many)
        answer = await hers.post("/account/address", data={"email": NEXT_ALICE}, headers=JSON)
        assert answer.status_code == 429
        assert "2 minutes" in answer.json()["message"]


class TestRefusals:
    """What Supabase refuses: only that the session is over signs a browser out."""

    async def test_what_storage_refuses_signs_nobody_out(self, hers: httpx.AsyncClient, cookie: str, monkeypatch):
        async def refuse(*_: object) -> None:
            raise IdentityRefused("AccessDenied")

        monkeypatch.setattr(storage, "put", refuse)
        answer = await hers.post("/profile/picture", content=png("red"), headers=JSON)
        assert (answer.status_code, answer.json()) == (502, {"message": REFUSED})
        assert "set-cookie" not in answer.headers
        assert await store.find(cookie)

    @pytest.mark.parametrize("code", ["session_not_found", "bad_jwt"])
    async def test_a_session_that_is_over_ends_here_too(
        self, hers: httpx.AsyncClient, owner: psycopg.Connection, monkeypatch, code: str
    ):
        async def over(*_: object) -> None:
            raise IdentityRefused(code)

        monkeypatch.setattr(accounts, "change_email", over)
        answer = await hers.post("/account/address", data={"email": "new@example.com"}, headers=JSON)
        assert (answer.status_code, answer.json()["message"]) == (401, SIGNED_OUT)
        assert COOKIE not in hers.cookies
        assert owner.execute("select count(*) from sigma.sessions").fetchone() == (0,)


class TestPicture:
    async def test_it_is_shown_to_its_owner_alone(
        self, hers: httpx.AsyncClient, new_browser: NewBrowser, sign_in: SignIn, session: Session
    ):
        assert (await hers.get("/profile/picture")).status_code == 404
        assert (await hers.post("/profile/picture", content=png())).status_code == 200
        [name] = await folder_of(session)
        shown = await hers.get("/profile/picture", params={"v": name.removesuffix(".webp")})
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
        assert shown.headers["cache-control"].startswith("private")
        assert (await hers.get("/profile/picture")).headers["cache-control"] == "no-store"
        bobs = new_browser(await store.open_session(await sign_in("bob")))
        for stranger in (bobs, new_browser()):
            assert (await stranger.get("/profile/picture", params={"v": name})).status_code == 404

    async def test_it_is_taken_back(self, hers: httpx.AsyncClient, session: Session):
        await hers.post("/profile/picture", content=png())
        assert (await hers.post("/profile/picture/remove")).status_code == 200
        assert (await hers.get("/profile/picture")).status_code == 404
        assert await folder_of(session) == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [(b"", 422), (b"<svg/>", 422), (b"x" * (files_http.LARGEST + 1), 413)],
        ids=["nothing", "no picture", "too large"],
    )
    async def test_what_will_not_do_leaves_the_one_before(
        self, hers: httpx.AsyncClient, session: Session, body: bytes, status: int
    ):
        await hers.post("/profile/picture", content=png())
        before = await folder_of(session)
        assert (await hers.post("/profile/picture", content=body)).status_code == status
        assert await folder_of(session) == before


class TestLeaving:
    @pytest.mark.parametrize("typed", ["", "bob@example.com", "yes"])
    async def test_without_ones_address_nothing_goes(self, hers: httpx.AsyncClient, cookie: str, typed: str):
        answer = await hers.post("/account/delete", data={"confirmation": typed}, headers=JSON)
        assert (answer.status_code, answer.json()["field"]) == (422, "confirmation")
        assert await store.find(cookie)

    async def test_with_it_the_account_is_gone(self, hers: httpx.AsyncClient, cookie: str):
        answer = await hers.post("/account/delete", data={"confirmation": " ALICE@example.com "})
        assert answer.headers["location"] == "/goodbye"
        assert COOKIE not in hers.cookies
        assert await store.find(cookie) is None
        with pytest.raises(IdentityRefused):
            await accounts.sign_in(ALICE, PASSWORD)

    async def test_what_is_held_of_the_address_of_before_stays_with_whoever_has_it_now(
        self, hers: httpx.AsyncClient, session: Session, owner: psycopg.Connection
    ):
        for address in (ALICE, NEXT_ALICE):
            await join_waitlist(address)
        # No trigger of ours on a table of Supabase's: the session keeps the address of before.
        owner.execute("alter table auth.users disable trigger follow_address")
        owner.execute("update auth.users set email = %s where id = %s", [NEXT_ALICE, session.user_id])
        answer = await hers.post("/account/delete", data={"confirmation": ALICE})
        assert answer.headers["location"] == "/goodbye"
        assert owner.execute("select email from leads").fetchall() == [(ALICE,)]

    async def test_of_an_account_that_is_gone_the_rest_goes_and_nothing_by_an_address(
        self, hers: httpx.AsyncClient, owner: psycopg.Connection, cookie: str, monkeypatch: pytest.MonkeyPatch
    ):
        async def gone(_: UUID) -> None:
            return None

        await join_waitlist(ALICE)
        monkeypatch.setattr(files_http, "address_of", gone)
        answer = await hers.post("/account/delete", data={"confirmation": ALICE})
        assert answer.headers["location"] == "/goodbye"
        assert owner.execute("select email from leads").fetchall() == [(ALICE,)]
        assert await store.find(cookie) is None

    async def test_an_operators_account_stays_and_its_page_says_why(
        self, hers: httpx.AsyncClient, cookie: str, session: Session, owner: psycopg.Connection
    ):
        page = await Tab(cookie).root.get_state(AccountState)
        await page._with(None)
        assert page.stays == ""
        owner.execute(
            'update auth.users set raw_app_meta_data = raw_app_meta_data || \'{"role": "admin"}\' where id = %s',
            [session.user_id],
        )
        answer = await hers.post("/account/delete", data={"confirmation": ALICE}, headers=JSON)
        assert answer.status_code == 409
        assert "admin revoke" in answer.json()["message"]
        assert await accounts.sign_in(ALICE, PASSWORD)
        await page._with(None)
        assert page.stays == answer.json()["message"]


@pytest.mark.parametrize("path", ["/account/password", "/account/address", "/profile/picture", "/account/delete"])
async def test_who_is_signed_out_is_led_to_sign_in(browser: httpx.AsyncClient, path: str):
    answer = await browser.post(path, data={"confirmation": ALICE}, headers=JSON)
    assert answer.status_code == 401
    assert answer.json()["location"].startswith("/sign-in")
