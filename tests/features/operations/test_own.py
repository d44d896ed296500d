"""What somebody takes along: all that we hold about them, nothing of anybody else, and nothing that opens anything."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from sigma_app.features.accounts import jobs, pictures
from sigma_app.features.mail import record
from sigma_app.features.operations import own_http, person
from sigma_app.features.waitlist.consent import CONSENT_TEXT, CONSENT_VERSION
from sigma_app.gateways import mail as gateway
from sigma_app.gateways.accounts import IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.gateways.identity import reaching_supabase
from sigma_app.gateways.mail import Mail
from sigma_app.gateways.payments import PaymentsUnavailable
from sigma_app.session import store
from sigma_app.session.store import Session
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.features.accounts.people import join_waitlist, png, signed_in
from tests.portal import SignIn
from tests.settled import settled

pytestmark = pytest.mark.anyio


async def taken_along(session: Session) -> dict[str, bytes]:
    """The files of the ZIP, by name."""
    whole = b"".join([piece async for piece in person.own(session)])
    with zipfile.ZipFile(io.BytesIO(whole)) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


async def told(session: Session) -> dict[str, Any]:
    return json.loads((await taken_along(session))["data.json"])


def times_in(value: Any) -> Iterator[str]:
    """Whatever is called as a time, `…_at`, and is there."""
    if isinstance(value, list):
        for one in value:
            yield from times_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name.endswith("_at") and one is not None:
                yield one
            else:
                yield from times_in(one)


async def test_there_is_the_account_the_profile_and_the_devices(
    session: Session, tokens: Tokens, owner: psycopg.Connection, turn_back: Callable[..., None]
):
    turn_back(created_at="2 hours")
    owner.execute(
        "update profiles set name = 'Alice Ångström', customer_id = 'cus_1', price_id = 'price_1', has_access = true"
        " where id = %s",
        [session.user_id],
    )
    await store.open_session(tokens, "Alice's telephone")
    data = await told(session)
    assert set(data) == {
        *("made_at", "address", "account", "profile", "devices", "waitlist", "mail", "imports", "jobs", "deeds", "did"),
        *("billing", "stripe", "stripe_events", "files", "elsewhere"),
    }
    assert (data["account"]["id"], data["account"]["email"]) == (str(session.user_id), "alice@example.com")
    columns = owner.execute(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = 'profiles'"
    ).fetchall()
    assert set(data["profile"]) == {name for (name,) in columns}
    assert (
        data["profile"]
        | {
            "id": str(session.user_id),
            "name": "Alice Ångström",
            "email": "alice@example.com",
            "image": None,
            "customer_id": "cus_1",
            "price_id": "price_1",
            "has_access": True,
        }
        == data["profile"]
    )
    assert [one["browser"] for one in data["devices"]] == ["Alice's telephone", "Alice's browser"]
    assert datetime.fromisoformat(data["devices"][1]["signed_in_at"]) == session.created_at - timedelta(hours=2)
    assert datetime.fromisoformat(data["devices"][1]["last_seen_at"]) == session.seen_at


async def test_who_is_on_no_list_is_told_so(session: Session, tokens: Tokens):
    await join_waitlist("bob@example.com")
    assert (await told(session))["waitlist"] is None


async def test_who_is_on_the_list_gets_all_of_it_with_the_words_they_agreed_to(
    session: Session, tokens: Tokens, owner: psycopg.Connection
):
    await join_waitlist("Alice@example.com", utm_source="a friend", referral_code="BOB7")
    lead = (await told(session))["waitlist"]
    columns = owner.execute(
        "select column_name from information_schema.columns where table_schema = 'public' and table_name = 'leads'"
    ).fetchall()
    assert set(lead) == {name for (name,) in columns} | {"consents", "links"}
    assert (lead["email"], lead["utm_source"], lead["referral_code"]) == ("Alice@example.com", "a friend", "BOB7")
    (consent,) = lead["consents"]
    assert (consent["version"], consent["wording"]) == (CONSENT_VERSION, CONSENT_TEXT)
    assert "lead_id" not in consent
    assert [set(link) for link in lead["links"]] == [
        {"purpose", "tries", "created_at", "written_at", "expires_at", "used_at"}
    ]


async def test_the_network_addresses_of_sign_ins_are_in_it(session: Session, owner: psycopg.Connection):
    owner.execute("update auth.sessions set ip = '192.0.2.7' where user_id = %s", [session.user_id])
    assert "192.0.2.7" in [one["ip"] for one in (await told(session))["account"]["sessions"]]


async def test_what_an_operator_did_to_them_or_noted_is_in_it_and_what_they_did_as_one(
    session: Session, owner: psycopg.Connection
):
    await join_waitlist("alice@example.com")
    owner.execute("update leads set flag = 'Writes to us daily'")
    owner.execute(
        "insert into sigma.audit_log (operator, operator_name, action, subject) values"
        " (null, 'eve@example.com', 'user.disable', %(alice)s),"
        " (%(alice)s::uuid, 'alice@example.com', 'lead.flag', 'x')",
        {"alice": str(session.user_id)},
    )
    data = await told(session)
    assert data["waitlist"]["flag"] == "Writes to us daily"
    assert [(one["action"], set(one)) for one in data["deeds"]] == [("user.disable", {"at", "action"})]
    assert [(one["action"], set(one)) for one in data["did"]] == [("lead.flag", {"at", "action"})]
    assert "eve@" not in str(data)


async def test_of_a_line_with_more_addresses_theirs_alone_is_in_it(session: Session, owner: psycopg.Connection):
    owner.execute(
        "with file as (insert into sigma.imports (name, fresh, known, refused) values ('x', 0, 0, 2) returning id)"
        " insert into sigma.import_rows (import_id, line, address, problem) select id, line, address, 'No.' from file,"
        " (values (1, 'Alice <alice@example.com>'), (2, 'Alice@example.com; bob@example.com')) as rows (line, address)"
    )
    assert [row["address"] for row in (await told(session))["imports"]] == ["alice@example.com"] * 2


async def test_whoever_has_the_sessions_account_is_told_of_whatever_the_address_says(
    session: Session, owner: psycopg.Connection
):
    await join_waitlist("alice@example.com")  # by whoever has it now
    await join_waitlist("new@example.com")
    owner.execute("update auth.users set email = 'new@example.com' where id = %s", [session.user_id])
    data = await told(session)  # by a session that has the address of before
    assert (data["account"]["email"], data["address"], data["waitlist"]["email"]) == ("new@example.com",) * 3
    assert "alice@" not in str(data["waitlist"])


async def test_a_mail_tells_the_owner_at_the_address_of_now(session: Session, mailing: None, owner: psycopg.Connection):
    owner.execute("update auth.users set email = 'new@example.com' where id = %s", [session.user_id])
    await taken_along(session)
    queued = "select args from procrastinate.procrastinate_jobs where task_name = 'accounts:send_data_downloaded'"
    ((arguments,),) = owner.execute(queued).fetchall()
    assert "example.com" not in str(arguments)
    for _ in range(2):
        await jobs.send_data_downloaded(**arguments)
    sent = owner.execute("select recipients, subject from sigma.mailbox where subject ~ 'downloaded'").fetchall()
    assert sent == [(["new@example.com"], "Your data was downloaded")]


async def test_what_is_kept_of_mails_is_in_it_without_their_words_and_nobody_elses(
    session: Session, mailing: None, owner: psycopg.Connection
):
    for name in ("Alice", "bob"):
        await record.begin(f"{name}@example.com", f"test/{name}", f"test:{name}", account=True)
        await gateway.send(Mail(f"{name}@example.com", f"Hello {name}", "<a href=/reset>", "/reset"), f"hello/{name}")
    owner.execute(
        "insert into sigma.webhook_events (source, id, type, body) values ('resend', 'e', 'email.clicked',"
        """ '{"data": {"to": ["alice@example.com"], "click": {"link": "/reset"}}}')"""
    )
    owner.execute(
        "insert into sigma.suppressions (digest, reason) values (sha256('alice@example.com'::bytea), 'bounced')"
    )
    mail = (await told(session))["mail"]
    assert [(one["kind"], one["state"]) for one in mail["on_record"]] == [("test:Alice", "queued")]
    assert [(one["subject"], set(one)) for one in mail["mails"]] == [("Hello Alice", {"subject", "created_at"})]
    assert [(one["type"], set(one)) for one in mail["events"]] == [("email.clicked", {"id", "type", "received_at"})]
    assert mail["suppressed"]["reason"] == "bounced"
    assert "/reset" not in str(mail)


async def test_every_file_of_theirs_is_in_it(session: Session, tokens: Tokens, owner: psycopg.Connection):
    assert set(await taken_along(session)) == {"data.json"}
    await pictures.change(session, tokens, png())
    async with reaching_supabase(as_service=True) as client:
        await client.storage.create_bucket("papers", options={"public": False})
        await client.storage.from_("papers").upload("cv.txt", b"My life")
    owner.execute("update storage.objects set owner_id = %s where bucket_id = 'papers'", [str(session.user_id)])
    files = await taken_along(session)
    found = await pictures.read(session, tokens)
    assert found
    picture = f"files/pictures/{session.user_id}/{found[0]}.webp"
    assert set(files) == {"data.json", picture, "files/papers/cv.txt"}
    assert (files[picture], files["files/papers/cv.txt"]) == (found[1], b"My life")
    assert files[picture].startswith(b"RIFF")
    await pictures.change(session, tokens, None)
    assert set(await taken_along(session)) == {"data.json", "files/papers/cv.txt"}


async def test_times_are_by_iso_8601_with_their_zone(session: Session, tokens: Tokens):
    await join_waitlist("alice@example.com")
    data = await told(session)
    times = list(times_in(data))
    assert len(times) >= 8  # made, twice in the profile, twice a device, twice a lead and its consent
    for time in times:
        assert time[10] == "T"
        moment = datetime.fromisoformat(time)
        assert moment.utcoffset() is not None
        assert datetime.now(UTC) - moment < timedelta(minutes=5)


async def test_nothing_of_anybody_else_is_in_it(
    session: Session, tokens: Tokens, sign_in: SignIn, owner: psycopg.Connection
):
    bob, bobs_tokens = await signed_in(sign_in, "bob")
    owner.execute("update profiles set name = 'Robert' where id = %s", [bob.user_id])
    await pictures.change(bob, bobs_tokens, png("green"))
    for email in ("bob@example.com", "alice@example.com"):
        await join_waitlist(email)
    files = await taken_along(session)
    assert set(files) == {"data.json"}
    text = files["data.json"].decode()
    assert "alice@example.com" in text
    for word in ("bob", "Robert", str(bob.user_id), str(bob.id)):
        assert word.lower() not in text.lower()


async def test_nothing_in_it_opens_anything(
    session: Session, cookie: str, tokens: Tokens, sign_in: SignIn, owner: psycopg.Connection
):
    other = await sign_in("alice")
    other_cookie = await store.open_session(other, "Alice's telephone")
    await join_waitlist("alice@example.com")
    await pictures.change(session, tokens, png())
    links = [str(row[0]) for row in owner.execute("select id from sigma.lead_links").fetchall()]
    sealed = [bytes(row[0]).hex() for row in owner.execute("select tokens from sigma.sessions").fetchall()]
    digests = [bytes(row[0]).hex() for row in owner.execute("select digest from sigma.sessions").fetchall()]
    (hashed,) = owner.execute(
        "select encrypted_password from auth.users where id = %s", [session.user_id]
    ).fetchone() or ("",)
    assert links
    assert hashed
    files = await taken_along(session)
    told_all = b"".join(files.values()).decode(errors="replace")
    secrets = [cookie, tokens.access, tokens.refresh, other_cookie, other.access, other.refresh, hashed]
    for secret in [*secrets, *links, *sealed, *digests]:
        assert secret not in told_all


async def test_without_a_profile_the_rest_is_told(session: Session, owner: psycopg.Connection):
    owner.execute("delete from profiles where id = %s", [session.user_id])
    data = await told(session)
    assert data["profile"] is None
    assert data["account"]["email"] == "alice@example.com"


@pytest.mark.parametrize(
    ("hosted", "words"),
    [
        ({}, []),
        ({"RESEND_API_KEY": "re_x", "RESEND_WEBHOOK_SECRET": "whsec_c2VjcmV0"}, [person.KEPT_AT_RESEND]),
        (
            {
                "VITE_SUPABASE_URL": "https://x.supabase.co",
                "VITE_SUPABASE_ANON_KEY": "sb_publishable_x",
                "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_x",
            },
            [person.KEPT_AT_SUPABASE],
        ),
    ],
    ids=["nothing", "Resend", "Supabase"],
)
def test_what_others_hold_is_named(tmp_path: Path, hosted: dict[str, str], words: list[str]):
    with settled(settings_for(tmp_path, **hosted)):
        assert person._elsewhere(is_customer=False, has_account=True) == words


class TestAsking:
    """At its address, by the cookie alone."""

    @pytest.fixture
    async def ask(self, serving: Settings) -> AsyncIterator[Callable[..., Awaitable[httpx.Response]]]:
        """Asks for it with a cookie."""
        own_http._limiter.cache_clear()
        own_http._packing.cache_clear()
        transport = httpx.ASGITransport(Starlette(routes=own_http.ROUTES))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
            yield lambda cookie="": client.get("/account/data.zip", headers={"cookie": f"sigma_session={cookie}"})
        own_http._limiter.cache_clear()
        own_http._packing.cache_clear()

    async def test_it_is_a_file_for_oneself(self, ask, cookie: str):
        answer = await ask(cookie)
        assert answer.headers["content-disposition"] == 'attachment; filename="sigma-data.zip"'
        assert answer.headers["content-type"] == "application/zip"
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == ["data.json"]

    async def test_it_is_packed_so_often_an_hour(self, ask, cookie: str):
        statuses = [(await ask(cookie)).status_code for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2

    async def test_whoever_is_not_signed_in_or_came_to_choose_a_password_is_led_to_sign_in(self, ask, tokens: Tokens):
        recovered = await store.open_session(tokens, "Alice's browser", recovered=True)
        for cookie in ("", "A" * 43, recovered):
            answer = await ask(cookie)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Faccount")

    async def test_so_many_at_once_are_packed_and_who_comes_then_is_told_when_to_come_again(
        self, ask, cookie: str, monkeypatch: pytest.MonkeyPatch
    ):
        packing, go_on = asyncio.Semaphore(0), asyncio.Event()
        files_of = person.accounts.files_of

        async def held(user: UUID) -> list[tuple[str, str]]:
            packing.release()
            await go_on.wait()
            return await files_of(user)

        monkeypatch.setattr(person.accounts, "files_of", held)
        others = [asyncio.create_task(ask(cookie)) for _ in range(2)]
        for _ in others:
            await packing.acquire()
        try:
            async with asyncio.timeout(20):
                answer = await ask(cookie)
        finally:
            go_on.set()
        assert (answer.status_code, answer.headers["retry-after"], answer.text) == (503, "30", own_http.BUSY)
        assert [(await other).status_code for other in others] == [200, 200]
        assert (await ask(cookie)).status_code == 200

    async def test_whose_account_is_gone_is_led_to_sign_in(self, ask, cookie: str, monkeypatch: pytest.MonkeyPatch):
        async def gone(_: UUID) -> None:
            return None

        monkeypatch.setattr(person.accounts, "address_of", gone)
        assert (await ask(cookie)).headers["location"] == "/sign-in?next=%2Faccount"

    @pytest.mark.parametrize(
        ("error", "status"),
        [(PaymentsUnavailable, 503), (IdentityUnavailable, 503), (IdentityRefused("no"), 502)],
    )
    async def test_what_cannot_be_read_is_no_half_of_a_file(self, ask, cookie: str, monkeypatch, error, status):
        async def away(*_: object) -> None:
            raise error

        monkeypatch.setattr(person.accounts, "files_of", away)
        answer = await ask(cookie)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/plain")
