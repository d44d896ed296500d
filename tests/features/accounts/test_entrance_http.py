"""The doors in and out, as a browser without scripts knocks at them."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from sigma_app.embedded.supabase.auth.mails import code_of
from sigma_app.embedded.supabase.keys import keys_in
from sigma_app.features.accounts import entrance, entrance_http, jobs, passwords
from sigma_app.gateways import accounts
from sigma_app.gateways import mail as gateway
from sigma_app.gateways.accounts import IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.session import store
from sigma_app.settings import Settings, get_settings
from tests.features.accounts.conftest import DOORS, Mailed, NewBrowser
from tests.portal import PASSWORD, SignIn, one_time_token

pytestmark = pytest.mark.anyio

MALLORYS = "mallory was here first"
NEW = "a brand new secret, 77"
ALICE, CHARLIE = "alice@example.com", "charlie@example.com"
COOKIE = "sigma_session"
PROOF = "sigma_signed_up"
NOTHING = {"said": ""}  # a form without a field is not sent as one


@pytest.fixture
def variables() -> dict[str, str]:
    return {"GOTRUE_SMTP_MAX_FREQUENCY": "0"}


async def sign_up(browser: httpx.AsyncClient, email: str = CHARLIE, password: str = PASSWORD) -> httpx.Response:
    return await browser.post("/sign-up", data={"email": email, "password": password, "next": "/account"})


async def use(browser: httpx.AsyncClient, token_hash: str, kind: str = "signup") -> httpx.Response:
    """Press the button that a mail's link leads to."""
    return await browser.post("/verify", data={"token_hash": token_hash, "type": kind, "next": "/account"})


async def opens(email: str, password: str) -> bool:
    """Whether somebody signs in at Supabase with this password."""
    try:
        return bool(await accounts.sign_in(email, password))
    except IdentityRefused as refused:
        if refused.code != "invalid_credentials":
            raise
        return False


def path_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return urlsplit(answer.headers["location"]).path


def sessions(owner: psycopg.Connection) -> int:
    found = owner.execute("select count(*) from sigma.sessions").fetchone()
    assert found
    return found[0]


class TestSigningUp:
    async def test_who_confirms_where_they_signed_up_is_signed_in(self, browser: httpx.AsyncClient, mailed: Mailed):
        answer = await sign_up(browser)
        assert path_of(answer) == "/check-inbox"
        assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == ["/account"]
        assert COOKIE not in browser.cookies
        answer = await use(browser, mailed(CHARLIE))
        assert answer.headers["location"] == "/account"
        session = await store.find(browser.cookies[COOKIE])
        assert session
        assert session.email == CHARLIE
        assert PROOF not in browser.cookies
        assert await opens(CHARLIE, PASSWORD)

    async def test_who_confirms_elsewhere_chooses_the_password_and_sees_nothing_before(
        self, browser: httpx.AsyncClient, new_browser: NewBrowser, mailed: Mailed
    ):
        await sign_up(browser, password=MALLORYS)
        owners = new_browser()
        answer = await use(owners, mailed(CHARLIE))
        assert path_of(answer) == "/reset"
        assert await store.find(owners.cookies[COOKIE]) is None
        assert not await opens(CHARLIE, MALLORYS)
        answer = await owners.post("/reset", data={"password": NEW, "next": "/account"})
        assert answer.headers["location"] == "/account"
        assert await store.find(owners.cookies[COOKIE])
        assert await opens(CHARLIE, NEW)

    @pytest.mark.parametrize(("age", "subject"), [(0, "Your password is set"), (2, "Your password was changed")])
    async def test_the_mail_after_it_calls_it_a_change_only_where_it_is_one(
        self,
        browser: httpx.AsyncClient,
        new_browser: NewBrowser,
        mailed: Mailed,
        owner: psycopg.Connection,
        serving: Settings,
        age: int,
        subject: str,
    ):
        await sign_up(new_browser())
        await use(browser, mailed(CHARLIE))
        owner.execute("update auth.users set email_confirmed_at = now() - %s * interval '1 hour'", [age])
        await browser.post("/reset", data={"password": NEW})
        queued = "select args from procrastinate.procrastinate_jobs where task_name = 'accounts:send_password_changed'"
        ((arguments,),) = owner.execute(queued).fetchall()
        async with gateway.sending_mail():
            await jobs.send_password_changed(**arguments)
        assert owner.execute("select subject from sigma.mailbox where subject ~ 'password'").fetchall() == [(subject,)]

    async def test_a_password_that_is_forgotten_within_the_hour_is_changed_and_is_no_first_one(
        self, browser: httpx.AsyncClient, mailed: Mailed, owner: psycopg.Connection
    ):
        await sign_up(browser)
        await use(browser, mailed(CHARLIE))
        await browser.post("/forgot", data={"email": CHARLIE})
        assert path_of(await use(browser, mailed(CHARLIE, "recovery_token"), "recovery")) == "/reset"
        await browser.post("/reset", data={"password": NEW})
        queued = "select args from procrastinate.procrastinate_jobs where task_name = 'accounts:send_password_changed'"
        ((arguments,),) = owner.execute(queued).fetchall()
        assert set(arguments) == {"sealed", "at"}  # which a worker of the version before takes, too

    async def test_only_the_first_of_two_sign_ups_chose_the_password(
        self, browser: httpx.AsyncClient, new_browser: NewBrowser, mailed: Mailed
    ):
        mallorys = new_browser()
        await sign_up(mallorys, password=MALLORYS)
        await sign_up(browser)  # at once, so that no clock tells them apart
        assert path_of(await use(browser, mailed(CHARLIE))) == "/reset"
        assert not await opens(CHARLIE, MALLORYS)
        assert not await opens(CHARLIE, PASSWORD)

    async def test_what_a_strangers_password_opened_meanwhile_is_closed(
        self, browser: httpx.AsyncClient, new_browser: NewBrowser, mailed: Mailed, monkeypatch: pytest.MonkeyPatch
    ):
        mallorys = new_browser()
        await sign_up(mallorys, password=MALLORYS)
        lock = entrance.lock

        async def sign_in_first(tokens: Tokens) -> Tokens:
            await mallorys.post("/sign-in", data={"email": CHARLIE, "password": MALLORYS})
            assert await store.find(mallorys.cookies[COOKIE])
            return await lock(tokens)

        monkeypatch.setattr(entrance, "lock", sign_in_first)
        await use(browser, mailed(CHARLIE))
        assert await store.find(mallorys.cookies[COOKIE]) is None

    async def test_nobody_is_signed_in_while_a_strangers_password_cannot_be_replaced(
        self,
        browser: httpx.AsyncClient,
        new_browser: NewBrowser,
        mailed: Mailed,
        owner: psycopg.Connection,
        monkeypatch: pytest.MonkeyPatch,
    ):
        await sign_up(new_browser(), password=MALLORYS)

        async def fail(*_: object) -> Tokens:
            raise IdentityUnavailable

        monkeypatch.setattr(accounts, "change_password", fail)
        answer = await use(browser, mailed(CHARLIE))
        assert answer.status_code == 503
        assert "ask for a new password" in answer.text
        assert COOKIE not in browser.cookies
        assert sessions(owner) == 0

    async def test_a_forgotten_password_that_confirms_the_address_ends_the_strangers_at_once(
        self, browser: httpx.AsyncClient, new_browser: NewBrowser, mailed: Mailed
    ):
        await sign_up(new_browser(), password=MALLORYS)
        await browser.post("/forgot", data={"email": CHARLIE})
        assert path_of(await use(browser, mailed(CHARLIE, "recovery_token"), "recovery")) == "/reset"
        assert not await opens(CHARLIE, MALLORYS)

    async def test_so_it_does_where_its_code_is_typed_as_that_of_a_way_in(
        self, browser: httpx.AsyncClient, new_browser: NewBrowser, owner: psycopg.Connection, serving: Settings
    ):
        await sign_up(new_browser(), password=MALLORYS)
        await browser.post("/forgot", data={"email": CHARLIE})
        token_id, _ = one_time_token(owner, CHARLIE, "recovery_token")
        code = code_of(keys_in(serving.data_dir), token_id, 6)
        answer = await browser.post("/verify", data={"email": CHARLIE, "code": code, "type": "magiclink"})
        assert path_of(answer) == "/reset"
        assert not await opens(CHARLIE, MALLORYS)

    @pytest.mark.parametrize("variables", [{"GOTRUE_SMTP_MAX_FREQUENCY": seconds} for seconds in ("0", "60")])
    async def test_the_answer_is_the_same_for_every_address(self, sign_in: SignIn, new_browser: NewBrowser):
        await sign_in("alice")
        answers = []
        for email in (CHARLIE, CHARLIE, ALICE):  # new, asked before, known
            answer = await sign_up(new_browser(), email)
            location = answer.headers["location"].replace(email.replace("@", "%40"), "…")
            cookies = [re.sub(r"[0-9a-f]{64}", "…", line) for line in answer.headers.get_list("set-cookie")]
            answers.append((answer.status_code, location, cookies))
        assert len({str(answer) for answer in answers}) == 1

    async def test_nor_does_the_cookie_of_somebody_who_signed_up_before_tell(
        self, sign_in: SignIn, browser: httpx.AsyncClient
    ):
        await sign_in("alice")
        await sign_up(browser, "first@example.com")
        for email in (CHARLIE, CHARLIE, ALICE):
            before = browser.cookies[PROOF]
            await sign_up(browser, email)
            assert re.fullmatch(rf"{before}\.[0-9a-f]{{64}}", browser.cookies[PROOF])

    async def test_what_a_browser_made_up_as_its_proof_is_not_kept(self, browser: httpx.AsyncClient):
        browser.cookies.set(PROOF, "0123.;" + "f" * 65, domain="localhost.local")
        await sign_up(browser)
        assert re.fullmatch(r"[0-9a-f]{64}", browser.cookies[PROOF])

    async def test_either_of_two_accounts_is_confirmed_where_both_were_made(
        self, browser: httpx.AsyncClient, mailed: Mailed
    ):
        await sign_up(browser, "first@example.com")
        await sign_up(browser)
        assert path_of(await use(browser, mailed("first@example.com"))) == "/account"

    async def test_the_owner_of_a_known_address_is_told(
        self, browser: httpx.AsyncClient, tokens: Tokens, owner: psycopg.Connection
    ):
        queued = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'accounts:send_known_address'"
        await sign_up(browser, ALICE)
        assert owner.execute(queued).fetchone() == (1,)
        assert not await opens(ALICE, NEW)

    @pytest.mark.parametrize(
        ("email", "password", "field"),
        [
            (CHARLIE, "", "password"),
            (CHARLIE, "short", "password"),
            (CHARLIE, "password123", "password"),
            (CHARLIE, "charlie@example.com", "password"),
            (CHARLIE, "x7#" * 30, "password"),
            ("charlie", PASSWORD, "email"),
            ("", PASSWORD, "email"),
        ],
    )
    async def test_what_will_not_do_is_said_and_nothing_is_made(
        self, browser: httpx.AsyncClient, owner: psycopg.Connection, email: str, password: str, field: str
    ):
        answer = await browser.post(
            "/sign-up", data={"email": email, "password": password}, headers={"accept": "application/json"}
        )
        assert answer.status_code == 422
        assert answer.json()["field"] == field
        assert answer.json()["message"]
        assert owner.execute("select count(*) from auth.users").fetchone() == (0,)


class TestSigningIn:
    async def test_it_opens_what_was_asked_for_with_a_cookie_of_its_own(
        self, browser: httpx.AsyncClient, tokens: Tokens, owner: psycopg.Connection
    ):
        planted = "A" * 43
        browser.cookies.set(COOKIE, planted)
        answer = await browser.post("/sign-in", data={"email": ALICE, "password": PASSWORD, "next": "/account?a=1"})
        assert answer.headers["location"] == "/account?a=1"
        assert answer.cookies[COOKIE] != planted
        assert await store.find(answer.cookies[COOKIE])
        assert await store.find(planted) is None

    @pytest.mark.parametrize("wished", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"])
    async def test_it_leads_to_no_other_site(self, browser: httpx.AsyncClient, tokens: Tokens, wished: str):
        answer = await browser.post("/sign-in", data={"email": ALICE, "password": PASSWORD, "next": wished})
        assert answer.headers["location"] == "/profile"

    async def test_a_wrong_password_and_an_unknown_address_are_told_alike(
        self, browser: httpx.AsyncClient, tokens: Tokens
    ):
        told = []
        for email, password in ((ALICE, NEW), (CHARLIE, PASSWORD), (ALICE, "x" * 73)):
            answer = await browser.post(
                "/sign-in", data={"email": email, "password": password}, headers={"accept": "application/json"}
            )
            told.append((answer.status_code, answer.json()))
        assert told == [(422, {"message": entrance.WRONG, "field": "password"})] * 3
        assert COOKIE not in browser.cookies

    async def test_who_has_not_confirmed_is_led_to_the_inbox(self, browser: httpx.AsyncClient):
        await sign_up(browser)
        answer = await browser.post("/sign-in", data={"email": CHARLIE, "password": PASSWORD})
        assert path_of(answer) == "/check-inbox"
        assert COOKIE not in browser.cookies

    async def test_a_code_asked_for_before_confirming_confirms(
        self, browser: httpx.AsyncClient, new_browser: NewBrowser, owner: psycopg.Connection, serving
    ):
        await sign_up(new_browser(), password=MALLORYS)
        await browser.post("/sign-in/link", data={"email": CHARLIE})
        token_id, _ = one_time_token(owner, CHARLIE, "confirmation_token")
        code = code_of(keys_in(serving.data_dir), token_id, 6)
        typed = {"email": CHARLIE, "code": f"{code[:3]} {code[3:]}", "type": "magiclink"}
        answer = await browser.post("/verify", data=typed)
        assert path_of(answer) == "/reset"
        assert not await opens(CHARLIE, MALLORYS)

    async def test_a_mailed_link_signs_in_once(self, browser: httpx.AsyncClient, tokens: Tokens, mailed: Mailed):
        await browser.post("/sign-in/link", data={"email": ALICE})
        link = mailed(ALICE, "recovery_token")
        assert (await browser.get("/verify", params={"token_hash": link, "type": "magiclink"})).status_code == 200
        assert path_of(await use(browser, link, "magiclink")) == "/account"
        assert await store.find(browser.cookies[COOKIE])

    @pytest.mark.parametrize("kind", ["signup", "recovery", "magiclink", "invite", "email_change"])
    async def test_a_link_that_is_over_leads_to_the_ways_to_another(self, browser: httpx.AsyncClient, kind: str):
        answer = await use(browser, "f" * 56, kind)
        assert answer.headers["location"] == f"/verify?done=over&type={kind}&next=%2Faccount"
        shown = await browser.get(answer.headers["location"])
        assert "'state': 'over'" in shown.text
        assert (await browser.post("/verify", data={"token_hash": "no", "type": kind})).status_code == 303

    @pytest.mark.parametrize(
        ("kind", "path"), [("signup", "/account"), ("magiclink", "/account"), ("recovery", "/verify")]
    )
    async def test_who_presses_again_what_signed_them_in_goes_on(self, hers: httpx.AsyncClient, kind: str, path: str):
        assert path_of(await use(hers, "f" * 56, kind)) == path

    async def test_who_got_in_meanwhile_waits_for_no_mail(self, hers: httpx.AsyncClient, browser: httpx.AsyncClient):
        for kind, led in (("signup", True), ("magiclink", True), ("recovery", False)):
            waiting = {"type": kind, "email": ALICE, "next": "/account"}
            assert (await hers.get("/check-inbox", params=waiting)).is_redirect is led
            assert (await browser.get("/check-inbox", params=waiting)).status_code == 200

    async def test_whom_a_page_saw_signed_out_is_not_sent_back_to_it(self, hers: httpx.AsyncClient):
        assert path_of(await hers.get("/sign-in")) == "/profile"
        for said in ("over", "kept"):
            assert (await hers.get("/sign-in", params={"said": said, "next": "/profile"})).status_code == 200


class TestForgetting:
    async def test_a_link_opens_nothing_but_the_choice_of_a_password(
        self, browser: httpx.AsyncClient, tokens: Tokens, mailed: Mailed
    ):
        await browser.post("/forgot", data={"email": ALICE})
        await use(browser, mailed(ALICE, "recovery_token"), "recovery")
        assert await store.find(browser.cookies[COOKIE], even_recovered=True)
        assert (await browser.get("/profile/picture")).status_code == 404
        for path in ("/profile/picture", "/profile/picture/remove", "/account/password", "/account/address"):
            assert path_of(await browser.post(path)) == "/sign-in"
        assert path_of(await browser.post("/account/delete", data={"confirmation": ALICE})) == "/sign-in"
        assert await opens(ALICE, PASSWORD)  # the old one is hers until she has chosen another

    async def test_a_new_password_ends_every_other_session(
        self, browser: httpx.AsyncClient, cookie: str, tokens: Tokens, mailed: Mailed
    ):
        await browser.post("/forgot", data={"email": ALICE})
        await use(browser, mailed(ALICE, "recovery_token"), "recovery")
        before = browser.cookies[COOKIE]
        answer = await browser.post("/reset", data={"password": NEW})
        assert answer.headers["location"] == "/profile?said=password"
        assert await store.find(cookie) is None
        assert await store.find(before, even_recovered=True) is None
        assert await store.find(browser.cookies[COOKIE])
        assert await opens(ALICE, NEW)
        assert not await opens(ALICE, PASSWORD)

    async def test_the_password_one_has_does_as_well_and_ends_the_others_too(
        self, browser: httpx.AsyncClient, tokens: Tokens, mailed: Mailed
    ):
        await browser.post("/forgot", data={"email": ALICE})
        await use(browser, mailed(ALICE, "recovery_token"), "recovery")
        assert path_of(await browser.post("/reset", data={"password": PASSWORD})) == "/profile"
        with pytest.raises(IdentityRefused):
            await accounts.refresh(tokens.refresh)

    async def test_a_weak_password_is_refused_and_the_link_still_counts(
        self, browser: httpx.AsyncClient, tokens: Tokens, mailed: Mailed
    ):
        await browser.post("/forgot", data={"email": ALICE})
        await use(browser, mailed(ALICE, "recovery_token"), "recovery")
        assert (await browser.post("/reset", data={"password": "short"})).status_code == 422
        assert path_of(await browser.post("/reset", data={"password": NEW})) == "/profile"

    async def test_without_a_link_there_is_nothing_to_choose(self, browser: httpx.AsyncClient, hers: httpx.AsyncClient):
        assert path_of(await browser.get("/reset")) == "/forgot"
        assert path_of(await browser.post("/reset", data={"password": NEW})) == "/forgot"
        assert path_of(await hers.post("/reset", data={"password": NEW})) == "/forgot"
        assert await opens(ALICE, PASSWORD)

    async def test_it_says_the_same_of_every_address(self, browser: httpx.AsyncClient, tokens: Tokens):
        told = set()
        for email in (ALICE, CHARLIE):
            answer = await browser.post("/forgot", data={"email": email})
            told.add((answer.status_code, answer.headers["location"].replace(email.replace("@", "%40"), "…")))
        assert len(told) == 1


@pytest.mark.parametrize(
    ("environment", "there"),
    [
        ({}, True),
        ({"RESEND_API_KEY": "re_x", "MAIL_FROM": "hello@sigma.example.com"}, False),
        ({"SUPABASE_URL": "https://x.supabase.co", "SUPABASE_ANON_KEY": "x", "SUPABASE_SERVICE_ROLE_KEY": "x"}, False),
        (
            {
                "SIGMA_ENV": "production",
                "SIGMA_ALLOW_LOCAL": "database,auth,payments,mail",
                "BASE_URL": "https://sigma.example.com",
            },
            False,
        ),
    ],
    ids=["here", "mail elsewhere", "auth elsewhere", "in production"],
)
async def test_the_mailbox_is_shown_only_where_it_holds_the_mail(monkeypatch, environment: dict[str, str], there: bool):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    assert (await entrance_http.inbox_values({}))["mailbox"] is there
    get_settings.cache_clear()


class TestSigningOut:
    async def test_it_ends_this_browsers_session_here_and_at_supabase(
        self, hers: httpx.AsyncClient, cookie: str, tokens: Tokens, sign_in: SignIn
    ):
        other = await store.open_session(await sign_in("alice"))
        assert path_of(await hers.post("/sign-out", data=NOTHING)) == "/sign-in"
        assert COOKIE not in hers.cookies
        assert await store.find(cookie) is None
        assert await store.find(other)
        with pytest.raises(IdentityRefused):
            await accounts.refresh(tokens.refresh)

    async def test_everywhere_ends_all_of_them_and_nobody_elses(
        self, hers: httpx.AsyncClient, cookie: str, sign_in: SignIn
    ):
        other = await sign_in("alice")
        others, bobs = await store.open_session(other), await store.open_session(await sign_in("bob"))
        assert path_of(await hers.post("/sign-out/everywhere", data=NOTHING)) == "/sign-in"
        assert await store.find(cookie) is None
        assert await store.find(others) is None
        assert await store.find(bobs)
        with pytest.raises(IdentityRefused):
            await accounts.refresh(other.refresh)

    @pytest.mark.parametrize("path", ["/sign-out", "/sign-out/everywhere"])
    async def test_tokens_that_have_ended_end_the_session_at_supabase_too(
        self, hers: httpx.AsyncClient, turn_back, owner: psycopg.Connection, path: str
    ):
        turn_back(tokens_end_at="59 minutes 30 seconds")
        await hers.post(path, data=NOTHING)
        assert owner.execute("select count(*) from auth.sessions").fetchone() == (0,)

    @pytest.mark.parametrize("path", ["/sign-out", "/sign-out/everywhere"])
    async def test_the_way_out_does_not_wait_for_supabase(
        self, hers: httpx.AsyncClient, turn_back, owner: psycopg.Connection, monkeypatch, path: str
    ):
        left: list[object] = []

        async def silent(_: str) -> Tokens:
            left.append(owner.execute("select count(*) from sigma.sessions").fetchone())
            raise IdentityUnavailable

        turn_back(tokens_end_at="59 minutes 30 seconds")
        monkeypatch.setattr(accounts, "refresh", silent)
        assert path_of(await hers.post(path, data=NOTHING)) == "/sign-in"
        assert left == [(0,)]

    async def test_nobody_may_do_it_as_well(self, browser: httpx.AsyncClient):
        for path in ("/sign-out", "/sign-out/everywhere"):
            assert path_of(await browser.post(path, data=NOTHING)) == "/sign-in"


class TestTries:
    @pytest.fixture
    def variables(self) -> dict[str, str]:
        return {"ACCOUNT_LIMIT_PER_ADDRESS": "3/day"}  # a minute may turn in the middle of a test

    async def test_wrong_ones_are_counted_by_address_and_network(
        self, browser: httpx.AsyncClient, new_browser: NewBrowser, tokens: Tokens
    ):
        wrong, right = {"email": ALICE, "password": NEW}, {"email": ALICE, "password": PASSWORD}
        for _ in range(3):
            assert (await browser.post("/sign-in", data=wrong)).status_code == 422
        answer = await browser.post("/sign-in", data=right)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert path_of(await new_browser(network="198.51.100.7").post("/sign-in", data=right)) == "/profile"

    async def test_right_ones_are_not(self, new_browser: NewBrowser, tokens: Tokens):
        for _ in range(5):
            answer = await new_browser().post("/sign-in", data={"email": ALICE, "password": PASSWORD})
            assert path_of(answer) == "/profile"


class TestStrength:
    async def test_it_judges_what_is_typed(self, browser: httpx.AsyncClient):
        weak = (await browser.post("/password-strength", data={"password": "password1"})).json()
        strong = (await browser.post("/password-strength", data={"password": PASSWORD})).json()
        assert weak["score"] < passwords.ENOUGH <= strong["score"]

    async def test_ones_own_address_makes_a_poor_one(self, browser: httpx.AsyncClient):
        scores = []
        for email in ("", "quizzical.brontosaur@example.com"):
            form = {"password": "quizzical.brontosaur", "email": email}
            scores.append((await browser.post("/password-strength", data=form)).json()["score"])
        assert scores[1] < passwords.ENOUGH < scores[0]

    async def test_it_is_asked_so_often_a_minute(self, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch):
        async def one_too_many(_: str) -> int:
            return 7

        monkeypatch.setattr(entrance_http._strength_limiter(), "wait", one_too_many)
        answer = await browser.post("/password-strength", data={"password": PASSWORD})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")

    async def test_while_many_wait_it_says_so(self, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(passwords, "_WAITING", 0)
        assert (await browser.post("/password-strength", data={"password": PASSWORD})).status_code == 429
        answer = await sign_up(browser)
        assert (answer.status_code, "choosing a password" in answer.text) == (429, True)


@pytest.mark.parametrize("path", [route.path for route in DOORS if route.methods == {"POST"}])
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_no_other_site_posts_here(hers: httpx.AsyncClient, cookie: str, path: str, origin: str):
    answer = await hers.post(path, data={"confirmation": ALICE}, headers={"origin": origin})
    assert answer.status_code == 403
    assert await store.find(cookie)


@pytest.mark.parametrize("path", [route.path for route in DOORS if route.methods != {"POST"}])
async def test_no_other_site_shows_a_page_in_a_frame_and_no_browser_keeps_it(hers: httpx.AsyncClient, path: str):
    headers = (await hers.get(path)).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy or "sandbox" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
