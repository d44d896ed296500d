"""Accounts at Supabase Auth, each function twice: at the stand-in in process, and at one elsewhere over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase.auth.mails import code_of
from sigma_app.embedded.supabase.keys import Keys, keys_in
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import IdentityBusy, IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.gateways.identity import keeping_connections
from tests.conftest import settings_for
from tests.logged import logged
from tests.portal import one_time_token
from tests.settled import settled
from tests.sigma import Supabase

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
OTHER_PASSWORD = "staple of another horse"
BACK = "http://localhost:3000/verify?next=%2Faccount"
WIDE = dict.fromkeys(
    ("GOTRUE_RATE_LIMIT_TOKEN_REFRESH", "GOTRUE_RATE_LIMIT_VERIFY", "GOTRUE_RATE_LIMIT_OTP"), "10000"
) | {"GOTRUE_SMTP_MAX_FREQUENCY": "0"}

_numbers = count()


@dataclass(frozen=True)
class Place:
    """A Supabase, seen with the eyes of whoever owns it."""

    owner: psycopg.Connection
    keys: Keys

    def mailed(self, email: str, token_type: str) -> tuple[str, str]:
        """What the latest mail of a kind to `email` brings: the hash in its link, and its code."""
        token_id, token_hash = one_time_token(self.owner, email, token_type)
        return token_hash, code_of(self.keys, token_id, 6)

    def was_mailed(self, email: str) -> bool:
        """Whether a mail to `email` was asked for whose link is not used up."""
        return bool(self.owner.execute("select from auth.one_time_tokens where relates_to = %s", [email]).fetchone())

    async def leads_back_to(self, email: str, token_hash: str) -> str:
        """Where the mail with this hash leads: in its job while nobody has sent it, else in the mail."""
        async with asyncio.timeout(10):
            while True:
                asked = self.owner.execute(
                    "select args ->> 'redirect_to' from procrastinate.procrastinate_jobs where args ->> 'token' ="
                    " (select id::text from auth.one_time_tokens where token_hash = %s)",
                    [token_hash],
                ).fetchone()
                sent = self.owner.execute(
                    "select body from sigma.mailbox where recipients = array[%s] and strpos(body, %s) > 0",
                    [email, token_hash],
                ).fetchone()
                if sent and (link := re.search(r"^https?://\S+$", sent[0], re.MULTILINE)):
                    return parse_qs(urlsplit(link[0]).query)["redirect_to"][0]
                if asked:
                    return asked[0]
                await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supabase]:
    """A Supabase in a process of its own, for all tests here, each with people of its own."""
    supabase = Supabase(tmp_path_factory.mktemp("elsewhere") / "data", variables=WIDE)
    supabase.start()
    yield supabase
    supabase.remove()


@pytest.fixture
async def in_process(database: Database, owner: psycopg.Connection, tmp_path: Path) -> AsyncIterator[Place]:
    with settled(settings_for(tmp_path, **WIDE)), serve_requests_from(database):
        yield Place(owner, keys_in(tmp_path))


@pytest.fixture
async def over_http(elsewhere: Supabase, tmp_path: Path) -> AsyncIterator[Place]:
    names = ("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY")
    given = {name: elsewhere.assignments[name] for name in names}
    with settled(settings_for(tmp_path, **given)), elsewhere.database() as owner:
        async with keeping_connections():
            yield Place(owner, keys_in(elsewhere.own_dir))


@pytest.fixture(params=["in_process", "over_http"])
def place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def no_password_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    text = logged(caplog)
    assert PASSWORD not in text
    assert OTHER_PASSWORD not in text


@pytest.fixture
def email() -> str:
    return f"alice{next(_numbers)}@example.com"


async def refused(asked) -> str:
    """With which code Supabase refuses."""
    with pytest.raises(IdentityRefused) as raised:
        await asked
    return raised.value.code


async def signed_up(email: str) -> Tokens:
    await accounts.create_confirmed(email, PASSWORD)
    return await accounts.sign_in(email, PASSWORD)


class TestSigningUp:
    @pytest.mark.parametrize("by", ["link", "code"])
    async def test_a_mail_makes_the_address_ones_own_and_signs_in(self, place: Place, email: str, by: str):
        made = await accounts.sign_up(email, PASSWORD, BACK)
        assert await refused(accounts.sign_in(email, PASSWORD)) == "email_not_confirmed"
        hashed, code = place.mailed(email, "confirmation_token")
        assert await place.leads_back_to(email, hashed) == BACK
        if by == "link":
            tokens = await accounts.verify_link(hashed, "signup")
        else:
            tokens = await accounts.verify_code(email, code, "signup")
        assert tokens
        assert (tokens.user_id, tokens.email) == (made, email)
        assert timedelta(minutes=55) < tokens.end_at - datetime.now(UTC) <= timedelta(hours=1)
        assert await refused(accounts.verify_link(hashed, "signup")) == "otp_expired"
        assert (await accounts.sign_in(email, PASSWORD)).user_id == tokens.user_id

    async def test_an_address_that_is_somebodys_is_known_and_nothing_is_mailed(self, place: Place, email: str):
        await accounts.create_confirmed(email, PASSWORD)
        assert await accounts.sign_up(email, OTHER_PASSWORD, BACK) == "known"
        assert not place.was_mailed(email)
        assert await refused(accounts.create_confirmed(email, PASSWORD)) == "email_exists"

    async def test_asking_twice_mails_twice_and_the_newer_mail_counts(self, place: Place, email: str):
        await accounts.sign_up(email, PASSWORD, BACK)
        old, _ = place.mailed(email, "confirmation_token")
        await accounts.send_confirmation_again(email, BACK)
        new, _ = place.mailed(email, "confirmation_token")
        assert await refused(accounts.verify_link(old, "signup")) == "otp_expired"
        assert await accounts.verify_link(new, "signup")

    async def test_a_link_ends_with_its_time(self, place: Place, email: str):
        await accounts.sign_up(email, PASSWORD, BACK)
        hashed, code = place.mailed(email, "confirmation_token")
        place.owner.execute(
            "update auth.users set confirmation_sent_at = now() - interval '25 hours' where email = %s", [email]
        )
        assert await refused(accounts.verify_link(hashed, "signup")) == "otp_expired"
        assert await refused(accounts.verify_code(email, code, "signup")) == "otp_expired"

    @pytest.mark.parametrize(
        ("given", "password", "code"),
        [("alice@example.com", "short", "weak_password"), ("no address", PASSWORD, "validation_failed")],
    )
    async def test_what_it_does_not_take_it_names(self, place: Place, given: str, password: str, code: str):
        assert await refused(accounts.sign_up(given, password, BACK)) == code


class TestSigningIn:
    async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(self, place: Place, email: str):
        await accounts.create_confirmed(email, PASSWORD)
        assert await refused(accounts.sign_in(email, OTHER_PASSWORD)) == "invalid_credentials"
        assert await refused(accounts.sign_in(f"no-{email}", PASSWORD)) == "invalid_credentials"

    async def test_who_is_banned_is_refused(self, place: Place, email: str):
        await accounts.create_confirmed(email, PASSWORD)
        place.owner.execute("update auth.users set banned_until = now() + interval '1 day' where email = %s", [email])
        assert await refused(accounts.sign_in(email, PASSWORD)) == "user_banned"

    async def test_tokens_are_renewed_until_the_session_is_over(self, place: Place, email: str):
        tokens = await signed_up(email)
        renewed = await accounts.refresh(tokens.refresh)
        assert (renewed.user_id, renewed.email) == (tokens.user_id, email)
        assert renewed.refresh != tokens.refresh
        await accounts.sign_out(renewed, "local")
        assert await refused(accounts.refresh(renewed.refresh)) == "refresh_token_not_found"

    async def test_signing_out_ends_what_it_says(self, place: Place, email: str):
        mine, other = await signed_up(email), await accounts.sign_in(email, PASSWORD)
        await accounts.sign_out(mine, "others")
        assert await refused(accounts.refresh(other.refresh)) == "refresh_token_not_found"
        mine = await accounts.refresh(mine.refresh)
        await accounts.sign_out(mine, "global")
        assert await refused(accounts.refresh(mine.refresh)) == "refresh_token_not_found"
        assert await refused(accounts.sign_out(mine, "global")) == "session_not_found"

    @pytest.mark.parametrize("by", ["link", "code"])
    async def test_a_mailed_link_signs_in_without_a_password(self, place: Place, email: str, by: str):
        await accounts.create_confirmed(email, PASSWORD)
        await accounts.send_magic_link(email, BACK)
        hashed, code = place.mailed(email, "recovery_token")
        if by == "link":
            tokens = await accounts.verify_link(hashed, "magiclink")
        else:
            tokens = await accounts.verify_code(email, code, "magiclink")
        assert tokens
        assert tokens.email == email

    async def test_it_makes_nobody_an_account(self, place: Place, email: str):
        assert await refused(accounts.send_magic_link(email, BACK)) == "otp_disabled"
        assert place.owner.execute("select from auth.users where email = %s", [email]).fetchone() is None


class TestTheirOwn:
    async def test_a_forgotten_password_is_chosen_anew(self, place: Place, email: str):
        forgotten = await signed_up(email)
        await accounts.send_recovery(email, BACK)
        hashed, _ = place.mailed(email, "recovery_token")
        tokens = await accounts.verify_link(hashed, "recovery")
        assert tokens
        changed = await accounts.change_password(tokens, OTHER_PASSWORD)
        assert changed.user_id == tokens.user_id
        assert await refused(accounts.sign_in(email, PASSWORD)) == "invalid_credentials"
        assert await accounts.sign_in(email, OTHER_PASSWORD)
        assert await refused(accounts.refresh(forgotten.refresh)) == "refresh_token_not_found"
        assert await accounts.refresh(changed.refresh)

    async def test_recovery_says_the_same_of_an_address_that_is_nobodys(self, place: Place, email: str):
        await accounts.send_recovery(email, BACK)
        assert not place.was_mailed(email)

    async def test_the_same_or_a_weak_password_is_refused(self, place: Place, email: str):
        tokens = await signed_up(email)
        assert await refused(accounts.change_password(tokens, PASSWORD)) == "same_password"
        assert await refused(accounts.change_password(tokens, "short")) == "weak_password"

    async def test_tokens_that_ended_meanwhile_are_renewed_on_the_way(self, place: Place, email: str):
        tokens = await signed_up(email)
        changed = await accounts.change_password(replace(tokens, access=_ended(tokens.access)), OTHER_PASSWORD)
        assert changed.refresh != tokens.refresh
        assert await accounts.refresh(changed.refresh)

    async def test_a_change_of_address_takes_both_mails(self, place: Place, email: str):
        tokens, new = await signed_up(email), f"new-{email}"
        await accounts.change_email(tokens, new, BACK)
        first, _ = place.mailed(email, "email_change_token_current")
        second, _ = place.mailed(new, "email_change_token_new")
        assert await accounts.verify_link(first, "email_change") is None
        moved = await accounts.verify_link(second, "email_change")
        assert moved
        assert (moved.user_id, moved.email) == (tokens.user_id, new)
        assert await accounts.sign_in(new, PASSWORD)

    async def test_the_mails_of_a_change_can_be_asked_for_again(self, place: Place, email: str):
        tokens, new = await signed_up(email), f"new-{email}"
        await accounts.change_email(tokens, new, BACK)
        before = place.mailed(new, "email_change_token_new")
        await accounts.send_confirmation_again(email, BACK, "email_change")
        assert place.mailed(new, "email_change_token_new") != before

    async def test_an_address_of_somebody_else_is_refused(self, place: Place, email: str):
        await accounts.create_confirmed(f"bob-{email}", PASSWORD)
        assert await refused(accounts.change_email(await signed_up(email), f"bob-{email}", BACK)) == "email_exists"

    async def test_an_account_that_is_deleted_is_gone_and_deleting_it_again_says_nothing(
        self, place: Place, email: str
    ):
        tokens = await signed_up(email)
        await accounts.delete_user(tokens.user_id)
        await accounts.delete_user(tokens.user_id)
        assert place.owner.execute("select from auth.users where email = %s", [email]).fetchone() is None
        assert await refused(accounts.refresh(tokens.refresh)) == "refresh_token_not_found"
        assert await refused(accounts.sign_in(email, PASSWORD)) == "invalid_credentials"


def _ended(access: str) -> str:
    """The same token as if its time were over; nobody checks the signature before it is sent."""
    head, claims, signature = access.split(".")
    known = json.loads(urlsafe_b64decode(claims + "=="))
    again = urlsafe_b64encode(json.dumps(known | {"exp": 1}).encode()).decode().rstrip("=")
    return f"{head}.{again}.{signature}"


async def test_too_many_mails_is_busy(in_process: Place, email: str, tmp_path: Path):
    await accounts.create_confirmed(email, PASSWORD)
    with settled(settings_for(tmp_path, GOTRUE_SMTP_MAX_FREQUENCY="60")):
        await accounts.send_recovery(email, BACK)
        with pytest.raises(IdentityBusy):
            await accounts.send_recovery(email, BACK)


def test_tokens_do_not_show_themselves():
    tokens = Tokens(uuid4(), "alice@example.com", "acc3ss", "r3fresh", datetime.now(UTC))
    assert "acc3ss" not in repr(tokens)
    assert "r3fresh" not in repr(tokens)


ASKED = {
    "sign_up": lambda: accounts.sign_up("alice@example.com", PASSWORD, BACK),
    "create_confirmed": lambda: accounts.create_confirmed("alice@example.com", PASSWORD),
    "sign_in": lambda: accounts.sign_in("alice@example.com", PASSWORD),
    "verify_link": lambda: accounts.verify_link("hash", "signup"),
    "verify_code": lambda: accounts.verify_code("alice@example.com", "123456", "signup"),
    "send_recovery": lambda: accounts.send_recovery("alice@example.com", BACK),
    "send_magic_link": lambda: accounts.send_magic_link("alice@example.com", BACK),
    "send_confirmation_again": lambda: accounts.send_confirmation_again("alice@example.com", BACK),
    "refresh": lambda: accounts.refresh("token"),
    "change_password": lambda: accounts.change_password(_tokens(), OTHER_PASSWORD),
    "change_email": lambda: accounts.change_email(_tokens(), "new@example.com", BACK),
    "sign_out": lambda: accounts.sign_out(_tokens(), "local"),
    "delete_user": lambda: accounts.delete_user(uuid4()),
}


def _tokens() -> Tokens:
    claims = "eyJzdWIiOiIxIiwiZXhwIjo5OTk5OTk5OTk5fQ"  # {"sub": "1", "exp": 9999999999}
    return Tokens(uuid4(), "alice@example.com", f"eyJhbGciOiJIUzI1NiJ9.{claims}.c2ln", "refresh", datetime.now(UTC))


def _answer(status: int, body: str, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} Any\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n{body}".encode()


class TestTrouble:
    """A Supabase that answers each request with the same bytes."""

    said = b""

    @pytest.fixture(autouse=True)
    async def hosted(self, tmp_path: Path) -> AsyncIterator[None]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.said)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        with settled(_hosted_at(tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")):
            yield
        server.close()

    @pytest.mark.parametrize("asked", ASKED)
    @pytest.mark.parametrize(
        "said",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"\x00\xff garbage\r\n\r\n", id="no HTTP"),
            pytest.param(_answer(500, '{"code": 500, "msg": "Sorry"}'), id="500"),
            pytest.param(_answer(500, "<h1>Sorry</h1>", "text/html"), id="500 page"),
            pytest.param(_answer(503, "", "text/plain"), id="503"),
            pytest.param(_answer(502, "<h1>Bad gateway</h1>", "text/html"), id="502"),
            pytest.param(_answer(404, "<h1>No such project</h1>", "text/html"), id="404 page"),
            pytest.param(_answer(200, "<h1>Captive portal</h1>", "text/html"), id="200 page"),
            pytest.param(_answer(200, "[]"), id="200 list"),
        ],
    )
    async def test_is_unavailable_and_never_an_error_of_another_class(self, asked: str, said: bytes):
        self.said = said
        if asked in _SILENT and said.startswith(b"HTTP/1.1 200"):
            return  # what has nothing to bring is not read
        with pytest.raises(IdentityUnavailable):
            await ASKED[asked]()

    @pytest.mark.parametrize("asked", ASKED)
    async def test_too_many_requests_is_busy(self, asked: str):
        self.said = _answer(429, '{"code": 429, "error_code": "over_request_rate_limit", "msg": "Slow down"}')
        with pytest.raises(IdentityBusy):
            await ASKED[asked]()

    async def test_a_refresh_that_is_refused_without_a_reason_does_not_end_the_session(self):
        self.said = _answer(403, "<h1>Blocked by a firewall</h1>", "text/html")
        with pytest.raises(IdentityUnavailable):
            await ASKED["refresh"]()


_SILENT = {"send_recovery", "send_magic_link", "send_confirmation_again", "sign_out", "delete_user"}


@pytest.mark.parametrize("asked", ASKED)
async def test_nobody_there_is_unavailable(asked: str, tmp_path: Path):
    with settled(_hosted_at(tmp_path, "http://127.0.0.1:9")), pytest.raises(IdentityUnavailable):
        await ASKED[asked]()


def _hosted_at(data_dir: Path, url: str):
    keys = {"VITE_SUPABASE_ANON_KEY": "anon.key.there", "SUPABASE_SERVICE_ROLE_KEY": "service.key.there"}
    return settings_for(data_dir, VITE_SUPABASE_URL=url, **keys)
