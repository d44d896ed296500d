"""The waitlist's mails, from the row that queues them to the mailbox: which are sent, which are not, and only once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from sigma_app import worker
from sigma_app.core.database import ANONYMOUS, SERVICE, Step, serve_requests_from
from sigma_app.core.jobs import work
from sigma_app.core.links import Links, digest
from sigma_app.features.mail import service as mail
from sigma_app.features.waitlist import jobs, line
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways import mail as gateway
from sigma_app.settings import get_settings

pytestmark = pytest.mark.anyio

LINKS = Links(b"k" * 32)


@pytest.fixture(autouse=True)
async def serving(database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """This process serves the test's database, and its mails go to the mailbox."""
    for variable in ("RESEND_API_KEY", "SIGMA_ENV"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("BASE_URL", "https://sigma.test")
    monkeypatch.setattr(jobs, "get_links", lambda: LINKS)
    get_settings.cache_clear()
    assert jobs in worker.JOBS
    with serve_requests_from(database):
        async with gateway.sending_mail():
            yield
    get_settings.cache_clear()


@pytest.fixture
def mailbox(owner):
    """The mails that went out, first to last: to, subject, text, headers."""

    def read() -> list[tuple]:
        return owner.execute(
            "select recipients[1], subject, body, headers from sigma.mailbox order by created_at"
        ).fetchall()

    return read


async def join(database, email: str) -> None:
    await database.run(Step(ANONYMOUS, "insert into leads (email) values (%s)", [email]))


async def confirm(database, token: str) -> None:
    async with database.transaction(SERVICE) as session:
        opened = await line.open_link(session, token, "confirm")
        assert opened
        assert await line.confirm(session, opened)


def token_in(text: str, page: str) -> str:
    found = re.search(rf"https://sigma\.test/{page}/([\w-]+)", text)
    assert found, text
    return found[1]


async def confirmed(database, login_url, mailbox, email: str) -> None:
    await join(database, email)
    await work(login_url, until_idle=True)
    await confirm(database, token_in(mailbox()[-1][2], "confirm"))
    await work(login_url, until_idle=True)


async def test_joining_mails_a_link_and_a_code_that_work(database, login_url, mailbox, owner):
    await join(database, "alice@example.com")
    await work(login_url, until_idle=True)
    ((to, subject, text, headers),) = mailbox()
    assert (to, subject) == ("alice@example.com", "Confirm your place in line")
    assert "List-Unsubscribe" not in headers  # it is what the address is asked whether it wants
    (link,) = owner.execute("select id from sigma.lead_links").fetchone()
    assert LINKS.code(link) in text
    await confirm(database, token_in(text, "confirm"))
    assert owner.execute("select status from leads").fetchone() == ("confirmed",)


async def test_confirming_mails_the_way_to_the_place_with_one_click_to_unsubscribe(database, login_url, mailbox):
    await confirmed(database, login_url, mailbox, "alice@example.com")
    _, subject, text, headers = mailbox()[-1]
    assert subject == "Your place in line"
    unsubscribe = f"https://sigma.test/unsubscribe/{token_in(text, 'place')}"
    assert headers["List-Unsubscribe"] == f"<{unsubscribe}>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert unsubscribe in text


async def test_an_invitation_names_its_day_and_a_reminder_differs(database, login_url, mailbox, owner):
    await confirmed(database, login_url, mailbox, "alice@example.com")
    async with database.transaction(SERVICE) as session:
        assert await line.invite_next(session)
    await work(login_url, until_idle=True)
    _, subject, text, headers = mailbox()[-1]
    assert subject == "Your turn: an invitation to Sigma"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    (day,) = owner.execute(
        "select to_char((now() + interval '30 days') at time zone 'utc', 'FMDD FMMonth YYYY')"
    ).fetchone()
    assert day in " ".join(text.split())
    owner.execute("update leads set invited_at = invited_at - interval '8 days'")
    await jobs.remind(0)
    await jobs.remind(0)
    await work(login_url, until_idle=True)
    assert [subject for _, subject, *_ in mailbox()][3:] == ["Still yours: your invitation to Sigma"]
    assert token_in(mailbox()[-1][2], "invitation") != token_in(text, "invitation")


async def test_a_worker_that_dies_between_sending_and_saying_so_sends_nothing_twice(
    database, login_url, mailbox, owner, monkeypatch: pytest.MonkeyPatch
):
    await join(database, "alice@example.com")
    (link,) = owner.execute("select id::text from sigma.lead_links").fetchone()
    await jobs.send_link(link)  # and then the power goes; the job is still in the queue
    monkeypatch.setattr(jobs, "get_links", lambda: LINKS)
    await work(login_url, until_idle=True)
    assert len(mailbox()) == 1
    left = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'waitlist:send_link'"
    assert owner.execute(left).fetchone() == (0,)  # those of the clock may have been queued meanwhile
    await confirm(database, token_in(mailbox()[0][2], "confirm"))


async def test_nothing_is_mailed_that_has_lost_its_reason(database, login_url, mailbox, owner):
    for email in ("erased@example.com", "confirmed@example.com", "late@example.com"):
        await join(database, email)
    owner.execute("delete from leads where email = 'erased@example.com'")
    owner.execute("select sigma.confirm((select id from leads where email = 'confirmed@example.com'), 5)")
    await work(login_url, until_idle=True)
    assert [to for to, *_ in mailbox()] == ["late@example.com"]


async def test_nobody_who_left_or_never_agreed_gets_more_than_the_question(database, login_url, mailbox, owner):
    await confirmed(database, login_url, mailbox, "left@example.com")
    await join(database, "imported@example.com")
    await work(login_url, until_idle=True)
    owner.execute("update leads set unsubscribed_at = now() where email = 'left@example.com'")
    owner.execute("update leads set confirmed_at = now() where email = 'imported@example.com'")
    before = len(mailbox())
    owner.execute("select sigma.send_link(id, 'place'), sigma.send_link(id, 'invite') from leads")
    await work(login_url, until_idle=True)
    assert len(mailbox()) == before
    owner.execute(
        "insert into sigma.consents (lead_id, version, wording, source) select id, '1', 'Yes.', 'x' from leads"
    )
    owner.execute("select sigma.send_link(id, 'place') from leads")
    await work(login_url, until_idle=True)
    assert [to for to, *_ in mailbox()[before:]] == ["imported@example.com"]


async def test_a_suppressed_address_gets_none_of_it(database, login_url, mailbox):
    async with database.transaction(SERVICE) as session:
        await mail.suppress(session, "alice@example.com", "bounced")
    await join(database, "Alice@example.com")
    await work(login_url, until_idle=True)
    assert mailbox() == []


async def test_the_same_link_is_always_the_same_mail(database, owner):
    await join(database, "alice@example.com")
    (link,) = owner.execute("select id::text from sigma.lead_links").fetchone()
    messages = []
    for _ in range(2):
        async with database.transaction(SERVICE) as session:
            messages.append(await jobs.write(session, UUID(link), LINKS, get_settings()))
    assert messages[0] == messages[1]
    assert owner.execute("select digest from sigma.lead_links").fetchone() == (digest(LINKS.token(UUID(link))),)


async def written(database, link: str, links: Links = LINKS) -> jobs.Message | None:
    async with database.transaction(SERVICE) as session:
        return await jobs.write(session, UUID(link), links, get_settings())


async def test_after_a_day_a_mail_is_not_repeated_since_it_could_be_a_second_one(database, owner):
    await join(database, "alice@example.com")
    (link,) = owner.execute("select id::text from sigma.lead_links").fetchone()
    assert await written(database, link)
    owner.execute("update sigma.lead_links set written_at = written_at - interval '23 hours 1 minute'")
    with pytest.raises(mail.TooLate) as late:
        await written(database, link)
    assert not late.value.retry


async def test_a_worker_with_another_key_leaves_the_link_in_the_first_mail_alone(database, owner):
    await join(database, "alice@example.com")
    (link,) = owner.execute("select id::text from sigma.lead_links").fetchone()
    await written(database, link)
    with pytest.raises(jobs.OtherKey):
        await written(database, link, Links(b"o" * 32))
    assert owner.execute("select digest from sigma.lead_links").fetchone() == (digest(LINKS.token(UUID(link))),)


async def test_a_link_lasts_from_when_its_mail_is_written(database, owner):
    await join(database, "alice@example.com")
    owner.execute("update sigma.lead_links set created_at = now() - interval '4 days'")
    (link,) = owner.execute("select id::text from sigma.lead_links").fetchone()
    await written(database, link)
    lasts = owner.execute("select expires_at - now() > interval '71 hours' from sigma.lead_links").fetchone()
    assert lasts == (True,)


@pytest.mark.parametrize(
    "address", ["Win-money<victim@example.com>", "a@example.com,b@example.com", "mailto:a@example.com"]
)
async def test_what_came_over_the_rest_api_and_is_no_address_gets_no_mail(database, login_url, mailbox, address):
    await join(database, address)
    await work(login_url, until_idle=True)
    assert mailbox() == []


async def test_a_suppressed_person_can_still_be_erased(database, login_url, mailbox, owner):
    await confirmed(database, login_url, mailbox, "alice@example.com")
    async with database.transaction(SERVICE) as session:
        await mail.suppress(session, "alice@example.com", "complained")
    owner.execute("select sigma.ask_to_erase(id), sigma.send_link(id, 'place') from leads")
    before = len(mailbox())
    await work(login_url, until_idle=True)
    assert [subject for _, subject, *_ in mailbox()[before:]] == ["Erase your entry?"]


async def test_what_is_under_way_while_somebody_is_erased_is_forgotten_in_the_end(database, login_url, mailbox, owner):
    await confirmed(database, login_url, mailbox, "alice@example.com")
    async with database.transaction(SERVICE) as session:
        await waitlist.erase_address(session, "Alice@example.com")
    await work(login_url, until_idle=True)
    assert mailbox() == []
    await gateway.send(gateway.Mail("alice@example.com", "Late", "<p>Late</p>", "Late"), "late")
    owner.execute("update procrastinate.procrastinate_jobs set scheduled_at = now()")
    await work(login_url, until_idle=True)
    assert mailbox() == []
