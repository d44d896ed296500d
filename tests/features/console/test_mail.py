"""What an operator sees of mails and of those who get none, and does about these."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from pydantic import SecretStr

from sigma_app.core.addresses import address_digest
from sigma_app.core.database import SERVICE, get_database
from sigma_app.features.console import mail
from sigma_app.features.console.mail import MailState
from sigma_app.features.console.mail_words import KINDS
from sigma_app.features.console.message import MessageState
from sigma_app.features.console.service import NotAnOperator, NothingToDo
from sigma_app.features.mail import service as mails
from sigma_app.session.store import Session
from sigma_app.settings import Settings
from tests.features.console.operators import cells, fact, planned, shown
from tests.settled import settled

pytestmark = pytest.mark.anyio

Sent = Callable[..., UUID]
Deeds = Callable[[], list[tuple]]
ANN = "Ann@Example.com"
DIGEST = hashlib.sha256(b"ann@example.com").hexdigest()


@pytest.fixture
def sent(owner: psycopg.Connection) -> Sent:
    """Notes a mail as if it had come to some state."""

    def note(to: str = ANN, kind: str = "accounts:signup", **columns: object) -> UUID:
        given = {
            "key": f"test/{uuid4()}",
            "kind": kind,
            "recipient": to,
            "digest": address_digest(to),
            **columns,
        }
        marks = ", ".join(["%s"] * len(given))
        row = owner.execute(
            f"insert into sigma.messages ({', '.join(given)}) values ({marks}) returning id".encode(), [*given.values()]
        ).fetchone()
        assert row
        return row[0]

    return note


async def gets_none(address: str) -> bool:
    async with get_database().transaction(SERVICE) as transaction:
        return await mails.is_suppressed(transaction, address)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["carl@example.com", "bob@example.com", ANN]),
        ({"email": "ANN@"}, [ANN]),
        ({"email": "a_n"}, []),
        ({"email": "\0\ud800bob"}, ["bob@example.com"]),
        ({"state": "bounced"}, ["bob@example.com"]),
        ({"state": "queued"}, ["carl@example.com"]),
        ({"state": "problem"}, ["bob@example.com"]),
        ({"state": "nonsense"}, ["carl@example.com", "bob@example.com", ANN]),
        ({"state": "bounced", "email": "ann"}, []),
    ],
)
async def test_mails_are_listed_newest_first_and_filtered(operator: Session, sent: Sent, asked, expected):
    sent(sent_at="2026-11-01")
    sent("bob@example.com", sent_at="2026-11-01", bounced_at="2026-11-02")
    sent("carl@example.com")
    page = await shown(MailState, operator, **asked)
    assert cells(page.rows) == expected
    assert set(cells(page.rows, 1)) <= {KINDS["accounts:signup"]}
    assert [row.cells[0] for row in page.rows if row.tone == "bad"] == ["bob@example.com"] * (
        "bob@example.com" in expected
    )


@pytest.mark.parametrize(
    ("email", "state", "to"),
    [
        ("", "", ""),
        ("p777", "", ""),
        ("", "bounced", ""),
        ("p777", "sent", ""),
        ("", "problem", ""),
        ("", "", "P777@example.com"),
    ],
)
async def test_the_list_is_read_by_an_index(operator: Session, owner, email: str, state: str, to: str):
    """Whatever is asked for: at a million mails a scan would be felt."""
    owner.execute(
        "insert into sigma.messages (key, kind, recipient, digest, queued_at, bounced_at) select 'key-' || n, 'signup',"
        " 'p' || n || '@example.com', sha256(''), now() - n * interval '1 minute',"
        " case when n % 50 = 0 then now() end from generate_series(1, 20000) as n; analyze sigma.messages"
    )
    source, values = mail.listing(email, state, to)
    plan = await planned(operator, source, mail.LATEST_FIRST, values)
    assert "Seq Scan" not in plan, plan


async def test_a_mail_shows_what_became_of_it_when_and_whose_it_is(operator: Session, sent: Sent, lead, owner):
    ann = lead(ANN)
    identity = sent(sent_at="2026-11-01", bounced_at="2026-11-02 10:00Z", provider_id="re_1", note="Permanent")
    owner.execute(
        "insert into sigma.webhook_events (source, id, type, body)"
        " values ('resend', 'msg_1', 'email.bounced', '{\"data\": {\"email_id\": \"re_1\"}}')"
    )
    page = await shown(MessageState, operator, id=str(identity))
    assert (page.found, page.name) == (True, ANN)
    assert fact(page.about, "Bounced") == "2026-11-02 10:00 UTC"
    assert (fact(page.about, "What"), fact(page.about, "In the code")) == (KINDS["accounts:signup"], "accounts:signup")
    assert fact(page.about, "Note") == "Permanent"
    assert fact(page.about, "Gets mail") == "yes"
    assert next(one.href for one in page.about if one.name == "On the list") == f"/admin/lead?id={ann}"
    assert fact(page.about, "Went to") == "Resend"  # nobody else tells
    assert next(one.href for one in page.about if one.name == "Gets mail") == f"/admin/mail?message={identity}"
    assert "Delivered" not in [one.name for one in page.about]
    assert [row.href for row in page.events] == ["/admin/event?source=resend&id=msg_1"]


async def test_a_mail_says_where_it_went(operator: Session, sent: Sent, owner: psycopg.Connection, settings: Settings):
    (kept,) = owner.execute(
        "insert into sigma.mailbox (fingerprint, sender, recipients, subject) values ('x', 's', '{r}', 's')"
        " returning id"
    ).fetchone() or (None,)
    here, there, waits = sent(sent_at="now", provider_id=str(kept)), sent(sent_at="now", provider_id="re_1"), sent()
    arrived, heard_of = (
        sent(sent_at="now", delivered_at="now", provider_id="re_2"),
        sent(sent_at="now", provider_id="m"),
    )
    owner.execute(
        "insert into sigma.webhook_events (source, id, type, body)"
        " values ('resend', 'msg_1', 'email.opened', '{\"data\": {\"email_id\": \"m\"}}')"
    )

    async def went(identity: UUID) -> tuple[str, str, bool]:
        page = await shown(MessageState, operator, id=str(identity))
        return *next((one.value, one.href) for one in page.about if one.name == "Went to"), page.mailbox

    mailbox = "the mailbox of this Sigma, and no further"
    assert await went(here) == (mailbox, "/dev/mailbox", True)
    assert await went(waits) == ("nowhere yet", "", False)
    assert await went(there) == ("not known any more: Resend, or a mailbox", "", False)
    assert await went(arrived) == await went(heard_of) == ("Resend", "", False)
    with settled(settings.model_copy(update={"resend_api_key": SecretStr("re_key")})):
        assert await went(there) == ("Resend, if mail was set up then as it is now: nothing was told of it", "", False)
        assert await went(arrived) == ("Resend", "", False)
        assert await went(here) == (mailbox, "", True)


@pytest.mark.parametrize("wrong", ["", "x", "\0", "00000000-0000-4000-8000-000000000000"])
async def test_an_id_that_is_no_mail_shows_nothing(operator: Session, sent: Sent, wrong: str):
    sent()
    page = await shown(MessageState, operator, id=wrong)
    assert (page.found, page.about, page.events) == (False, [], [])


@pytest.mark.parametrize("typed", ["ann@example.com", ANN, f" {ANN} ", f"Ann <{ANN}>"])
async def test_an_address_is_told_to_get_no_mail_why_and_since_when(operator: Session, owner, typed: str):
    owner.execute(
        "insert into sigma.suppressions values (decode(%s, 'hex'), 'complained', '2026-11-02 10:00Z')", [DIGEST]
    )
    page = await shown(MailState, operator, address=typed)
    assert (page.known, page.why, page.since) == (True, "complained", "2026-11-02 10:00")
    assert [row.cells for row in page.reasons] == [["complained", "1"]]
    other = await shown(MailState, operator, address="bob@example.com")
    assert (other.known, other.why) == (True, "")


async def test_by_an_id_the_list_is_of_one_account_and_the_question_about_the_address_of_a_mail(
    operator: Session, stranger: Session, sent: Sent
):
    mine, longer = sent(stranger.email.upper()), sent(f"{stranger.email}.au")
    sent()
    page = await shown(MailState, operator, user=str(stranger.user_id))
    assert [row.id for row in page.rows] == [str(mine)]
    assert (page.to, page.email) == (stranger.email, "")
    assert (await shown(MailState, operator, user=str(stranger.user_id), state="bounced")).rows == []
    page = await shown(MailState, operator, message=str(longer))
    assert (page.known, page.whom, page.typed) == (True, f"{stranger.email}.au", "")
    for wrong in ("nonsense", "00000000-0000-4000-8000-000000000000"):
        page = await shown(MailState, operator, user=wrong, message=wrong)
        assert (len(page.rows), page.user, page.known) == (3, "", False)


@pytest.mark.parametrize("typed", ["ann", "@", "ann@", "\0", "ann@example.com, bob@example.com"])
async def test_what_is_no_address_is_told_so(operator: Session, typed: str):
    page = await shown(MailState, operator, address=typed)
    assert not page.known
    assert bool(page.mistake) is bool(typed.strip("\0"))


async def test_an_address_is_put_on_the_list_and_taken_off_it_and_that_is_on_record(operator: Session, deeds: Deeds):
    await mail.suppress(operator, ANN)
    assert await gets_none("ann@example.com")
    assert (await shown(MailState, operator, address=ANN)).why == mail.BY_HAND
    with pytest.raises(NothingToDo):  # a second click
        await mail.suppress(operator, ANN)
    await mail.lift(operator, ANN)
    assert not await gets_none(ANN)
    with pytest.raises(NothingToDo):
        await mail.lift(operator, ANN)
    assert deeds() == [("suppression.add", DIGEST, {}), ("suppression.lift", DIGEST, {})]


async def test_whoever_is_no_operator_neither_sees_mails_nor_changes_who_gets_them(
    operator: Session, stranger: Session, sent: Sent, deeds: Deeds, owner
):
    sent()
    await mail.suppress(operator, "bob@example.com")
    with pytest.raises(NotAnOperator):
        await mail.lift(stranger, "bob@example.com")
    with pytest.raises(NotAnOperator):
        await mail.suppress(stranger, ANN)
    assert await gets_none("bob@example.com")
    assert not await gets_none(ANN)
    assert len(deeds()) == 1
    async with get_database().cursor(stranger.actor) as cursor:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await cursor.execute("select from sigma.messages")
