"""Auth's mails, from the transaction that makes a token to the mailbox: which are sent, with what, and only once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from sigma_app import worker
from sigma_app.core.database import ANONYMOUS, SERVICE, Database, serve_requests_from, user_actor
from sigma_app.core.jobs import work
from sigma_app.embedded.supabase.auth import mails
from sigma_app.embedded.supabase.auth.mails import AUTH, Kind, OtherSecret, code_of, hash_of
from sigma_app.embedded.supabase.keys import Keys, keys_in
from sigma_app.features.accounts import jobs
from sigma_app.features.mail import service as mail
from sigma_app.gateways import identity
from sigma_app.gateways import mail as gateway
from sigma_app.settings import get_settings
from tests.conftest import Person

pytestmark = pytest.mark.anyio

SITE = "https://sigma.test/welcome?a=1&b=ü#top"
TYPES: dict[Kind, str] = {
    "signup": "confirmation_token",
    "invite": "confirmation_token",
    "recovery": "recovery_token",
    "magiclink": "recovery_token",
    "email_change_current": "email_change_token_current",
    "email_change_new": "email_change_token_new",
    "reauthentication": "reauthentication_token",
}
# Not every job: one is queued each minute, whatever else happens.
QUEUED = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'accounts:send_auth_mail'"
Ask = Callable[..., Awaitable[UUID]]


@pytest.fixture(autouse=True)
async def serving(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[None]:
    """This process serves the test's database, and its mails go to the mailbox."""
    for variable in ("RESEND_API_KEY", "SIGMA_ENV", "VITE_SUPABASE_URL", "SUPABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("BASE_URL", "https://sigma.test")
    monkeypatch.setenv("SIGMA_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    assert jobs in worker.JOBS
    with serve_requests_from(database):
        async with gateway.sending_mail():
            yield
    get_settings.cache_clear()


@pytest.fixture
def keys(serving: None) -> Keys:
    return keys_in(get_settings().data_dir)


@pytest.fixture
def mailbox(owner: psycopg.Connection) -> Callable[[], list[tuple]]:
    """The mails that went out, first to last: to, subject, text, headers."""

    def read() -> list[tuple]:
        return owner.execute(
            "select recipients[1], subject, body, headers from sigma.mailbox order by created_at"
        ).fetchall()

    return read


@pytest.fixture
def ask(database: Database, keys: Keys) -> Ask:
    """Makes a token of a kind for somebody, and queues its mail, in one transaction as auth does."""

    async def make(person: Person, kind: Kind, *, to: str | None = None, prefix: str = "", fails: bool = False) -> UUID:
        token, address = uuid4(), to or person.email
        hashed = prefix + hash_of(keys, address, code_of(keys, token, get_settings().auth_code_length))
        async with database.cursor(AUTH) as cursor:
            await cursor.execute(
                "insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to)"
                " values (%s, %s, %s, %s, %s)",
                [token, person.id, TYPES[kind], hashed, address],
            )
            await mails.queue(cursor, token, kind, SITE)
            if fails:
                raise RuntimeError
        return token

    return make


def link_in(text: str) -> str:
    found = re.search(r"^https://sigma\.test/auth/\S+$", text, re.MULTILINE)
    assert found, text
    return found[0]


@pytest.mark.parametrize(
    ("kind", "verifies"),
    [
        ("signup", "signup"),
        ("invite", "invite"),
        ("recovery", "recovery"),
        ("magiclink", "magiclink"),
        ("email_change_current", "email_change"),
    ],
)
async def test_a_mail_has_a_link_and_a_code_that_the_row_knows(
    ask: Ask, login_url, mailbox, owner, keys, alice, kind: Kind, verifies: str
):
    token = await ask(alice, kind)
    await work(login_url, until_idle=True)
    ((to, _, text, headers),) = mailbox()
    assert to == "alice@example.com"
    assert "List-Unsubscribe" not in headers
    code = code_of(keys, token, 6)
    assert f"\n    {code}\n" in text
    (stored,) = owner.execute("select token_hash from auth.one_time_tokens").fetchone()
    assert stored == hash_of(keys, "alice@example.com", code)
    link = link_in(text)
    assert urlsplit(link).path == "/auth/v1/verify"
    assert parse_qs(urlsplit(link).query) == {"token": [stored], "type": [verifies], "redirect_to": [SITE]}


async def test_a_new_address_gets_its_own_mail(ask: Ask, login_url, mailbox, owner, alice):
    owner.execute("update auth.users set email_change = 'new@example.com'")
    await ask(alice, "email_change_current")
    await ask(alice, "email_change_new", to="new@example.com")
    await work(login_url, until_idle=True)
    assert {to: "type=email_change&" in link_in(text) for to, _, text, _ in mailbox()} == {
        "alice@example.com": True,
        "new@example.com": True,
    }


async def test_both_mails_of_a_change_name_both_addresses_and_are_the_same_when_the_first_half_is_done(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, owner, alice
):
    sent: list[tuple] = []

    async def send(written: gateway.Mail, key: str, *, kind: str, account: bool) -> None:
        sent.append((written, key, account))

    monkeypatch.setattr(mail, "send", send)
    owner.execute("update auth.users set email_change = 'new@example.com'")
    current = await ask(alice, "email_change_current")
    new = await ask(alice, "email_change_new", to="new@example.com")
    await jobs.send_auth_mail(str(new), "email_change_new", SITE)
    await jobs.send_auth_mail(str(current), "email_change_current", SITE)
    owner.execute("delete from auth.one_time_tokens where id = %s", [current])
    owner.execute("update auth.users set email_change_confirm_status = 1")
    await jobs.send_auth_mail(str(new), "email_change_new", SITE)
    first, other, again = sent
    assert first == again
    for written, *_ in (first, other):
        assert "from alice@example.com to new@example.com." in " ".join(written.text.split())


async def test_to_prove_oneself_again_there_is_a_code_alone(ask: Ask, login_url, mailbox, keys, alice):
    token = await ask(alice, "reauthentication")
    await work(login_url, until_idle=True)
    ((_, _, text, _),) = mailbox()
    assert code_of(keys, token, 6) in text
    assert "https://" not in text


async def test_the_link_carries_the_hash_as_it_is_stored(ask: Ask, login_url, mailbox, alice):
    await ask(alice, "magiclink", prefix="pkce_")
    await work(login_url, until_idle=True)
    assert "?token=pkce_" in link_in(mailbox()[0][2])


async def test_nothing_is_mailed_of_a_transaction_that_failed(ask: Ask, login_url, mailbox, owner, alice):
    with pytest.raises(RuntimeError):
        await ask(alice, "signup", fails=True)
    assert owner.execute("select count(*) from procrastinate.procrastinate_jobs").fetchone() == (0,)
    await work(login_url, until_idle=True)
    assert mailbox() == []


@pytest.mark.parametrize(
    "change",
    [
        "delete from auth.one_time_tokens",
        "delete from auth.users",
        "update auth.one_time_tokens set id = gen_random_uuid()",
        "update auth.one_time_tokens set created_at = created_at - interval '24 hours'",
        "update auth.users set email = 'other@example.com'",
    ],
    ids=["used", "user gone", "replaced", "over", "moved"],
)
async def test_nothing_is_mailed_of_a_token_that_no_longer_works(
    ask: Ask, login_url, mailbox, owner, alice, change: str
):
    await ask(alice, "recovery")
    owner.execute(change)
    await work(login_url, until_idle=True)
    assert mailbox() == []
    assert owner.execute(QUEUED).fetchone() == (0,)


async def test_a_job_that_runs_twice_sends_one_mail(ask: Ask, mailbox, alice):
    token = str(await ask(alice, "recovery"))
    for _ in range(2):
        await jobs.send_auth_mail(token, "recovery", SITE)
    assert len(mailbox()) == 1


async def test_a_second_token_is_a_second_mail(ask: Ask, login_url, mailbox, owner, alice):
    await ask(alice, "recovery")
    await work(login_url, until_idle=True)
    owner.execute("delete from auth.one_time_tokens")
    await ask(alice, "recovery")
    await work(login_url, until_idle=True)
    first, second = (text for _, _, text, _ in mailbox())
    assert link_in(first) != link_in(second)


async def test_a_suppressed_address_still_gets_the_mail_it_asked_for(ask: Ask, database, login_url, mailbox, alice):
    async with database.transaction(SERVICE) as session:
        await mail.suppress(session, alice.email, "bounced")
    await ask(alice, "recovery")
    await work(login_url, until_idle=True)
    assert [to for to, *_ in mailbox()] == [alice.email]


async def test_after_a_day_a_mail_is_not_repeated_since_it_could_be_a_second_one(
    ask: Ask, mailbox, owner, alice, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GOTRUE_MAILER_OTP_EXP", "604800")
    get_settings.cache_clear()
    token = str(await ask(alice, "recovery"))
    owner.execute("update auth.one_time_tokens set created_at = created_at - interval '23 hours 1 minute'")
    with pytest.raises(mail.TooLate):
        await jobs.send_auth_mail(token, "recovery", SITE)
    assert mailbox() == []


async def test_a_code_that_would_not_work_is_not_sent(ask: Ask, mailbox, alice, monkeypatch, tmp_path):
    token = str(await ask(alice, "recovery"))
    monkeypatch.setenv("SIGMA_DATA_DIR", str(tmp_path / "other"))
    get_settings.cache_clear()
    with pytest.raises(OtherSecret):
        await jobs.send_auth_mail(token, "recovery", SITE)
    assert mailbox() == []


async def test_on_a_hosted_project_supabase_mails_itself(ask: Ask, alice, monkeypatch: pytest.MonkeyPatch):
    token = await ask(alice, "recovery")
    for variable in ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"):
        monkeypatch.setenv(variable, "https://x.supabase.co")
    get_settings.cache_clear()
    assert await identity.auth_mail(token, "recovery", SITE) is None


async def test_the_queue_holds_neither_code_nor_hash_nor_address(ask: Ask, owner, keys, alice):
    token = await ask(alice, "recovery", prefix="pkce_")
    (arguments,) = owner.execute("select args::text from procrastinate.procrastinate_jobs").fetchone()
    (stored,) = owner.execute("select token_hash from auth.one_time_tokens").fetchone()
    assert not any(word in arguments for word in (code_of(keys, token, 6), stored[5:], alice.email))


@pytest.mark.parametrize("actor", [ANONYMOUS, user_actor(uuid4())], ids=["visitor", "user"])
async def test_nobody_but_auth_queues_its_mails(database: Database, actor):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.cursor(actor) as cursor:
            await mails.queue(cursor, uuid4(), "recovery", SITE)


async def test_auth_queues_no_other_job(database: Database):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.cursor(AUTH) as cursor:
            await cursor.execute("select sigma.queue_job('mail:forget', '{}'::jsonb)")
