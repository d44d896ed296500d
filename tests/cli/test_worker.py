"""The commands around the queue: a worker of its own, its death, inviting, and looking at what failed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from sigma_app.core.addresses import address_digest
from tests.gateways.conftest import KEY, Resend
from tests.sigma import Sigma, free_port
from tests.waiting import until_said

pytestmark = pytest.mark.anyio

WAIT_SECONDS = 30


@pytest.fixture
async def resend(sigma: Sigma) -> AsyncIterator[Resend]:
    """The Resend that this Sigma sends its mail to."""
    fake = Resend()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sigma.variables |= {"RESEND_API_KEY": KEY, "RESEND_API_URL": fake.url, "MAIL_FROM": "hello@sigma.example.com"}
    yield fake
    server.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def worker(sigma: Sigma) -> None:
    """Start a worker and return when it works."""
    begun = sigma.log.read_text().count("Working") if sigma.log.exists() else 0
    sigma.launch("worker")
    await until(lambda: sigma.log.read_text().count("Working") > begun)


def join(sigma: Sigma, *emails: str) -> None:
    with sigma.database() as owner:
        for email in emails:
            owner.execute("set role anon")
            owner.execute("insert into leads (email) values (%s)", [email])
            owner.execute("reset role")


def confirm(sigma: Sigma, *emails: str) -> None:
    join(sigma, *emails)
    with sigma.database() as owner:
        owner.execute("select sigma.confirm(id, 5) from leads order by created_at")
        owner.execute(
            "insert into sigma.consents (lead_id, version, wording, source) select id, '1', 'Yes.', 'test' from leads"
        )


async def test_a_worker_killed_between_sending_and_recording_sends_the_same_mail_under_the_same_key(
    sigma: Sigma, resend: Resend
):
    resend.answers = [None]  # takes the mail, and says nothing before the worker dies
    await worker(sigma)
    join(sigma, "alice@example.com")
    await until(lambda: len(resend.requests) == 1)
    assert sigma.process
    sigma.process.kill()
    sigma.process.wait()
    with sigma.database() as owner:  # as if it had been silent for long
        owner.execute("update procrastinate.procrastinate_workers set last_heartbeat = now() - interval '1 minute'")
    await worker(sigma)
    await until(lambda: len(resend.requests) == 2)
    first, second = resend.requests
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]

    def emptied() -> bool:
        with sigma.database() as owner:
            return not owner.execute("select from procrastinate.procrastinate_jobs").fetchall()

    await until(emptied)


async def test_a_worker_stops_at_ctrl_c_and_takes_the_database_along(sigma: Sigma):
    await worker(sigma)
    assert sigma.stop(signal.SIGINT) == 0
    assert "Traceback" not in sigma.log.read_text()
    assert "Stopped." in sigma.log.read_text()


async def test_it_answers_monitors_at_its_own_port(sigma: Sigma):
    port = free_port()
    sigma.variables |= {"SIGMA_WORKER_PORT": str(port)}
    await worker(sigma)
    join(sigma, "alice@example.com")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as monitor:

        async def says(path: str, words: str) -> bool:
            return words in (await monitor.get(path)).text

        await until_said(lambda: says("/readyz", '"ready":true'))
        await until_said(lambda: says("/metrics", 'sigma_jobs_total{job="waitlist:send_link",outcome="done"} 1.0'))
        assert await says("/healthz", "ok")
        assert await says("/metrics", "sigma_workers 1.0") or await says("/metrics", "sigma_workers 2.0")
        taken = sigma.run("worker")
        assert (taken.returncode, "SIGMA_WORKER_PORT" in taken.stderr) == (2, True)
    assert sigma.stop() == 0
    assert "Traceback" not in sigma.log.read_text()


async def test_what_can_never_be_sent_is_shown_with_its_reason_and_can_be_tried_again(sigma: Sigma, resend: Resend):
    resend.refuse(422, "validation_error", "Invalid `to` field.")
    await worker(sigma)
    join(sigma, "alice@example.com")

    def shown() -> str:
        return sigma.run("jobs").stdout

    await until(lambda: "1 failed" in shown())
    assert "waitlist:send_link" in shown()
    assert "validation_error" in " ".join(shown().split())
    assert "alice" not in shown()
    again = sigma.run("jobs", "--retry-all")
    assert again.stdout == "1 job put back into the queue.\n"
    await until(lambda: shown() == "The queue is empty.\n")
    assert len(resend.requests) == 2


async def test_inviting_the_next_in_line_says_how_many_and_invites_nobody_twice(sigma: Sigma, resend: Resend):
    await worker(sigma)
    confirm(sigma, "dave@example.com", "alice@example.com", "bob@example.com", "carol@example.com")
    with sigma.database() as owner:  # who is first in line, and gets no mail
        gone = address_digest("dave@example.com")
        owner.execute("insert into sigma.suppressions (digest, reason) values (%s, 'bounced')", [gone])
    assert sigma.run("invite", "--next", "2").stdout == "2 invited.\n"
    assert sigma.run("invite", "--next", "2").stdout == "1 invited; nobody else waits who gets mail.\n"
    others = ("--email", "nobody@example.com", "--email", "Dave@example.com")
    again = sigma.run("invite", "--email", " Alice@example.com ", *others)
    assert again.returncode == 1
    assert again.stdout.splitlines() == [
        "Alice@example.com: has an invitation that is still good.",
        "nobody@example.com: is not on the list.",
        "Dave@example.com: gets no mail: one came back, or was called spam.",
    ]

    def invited() -> list[str]:
        return sorted(one.body["to"][0] for one in resend.requests if "Your turn" in one.body["subject"])

    await until(lambda: len(invited()) == 3)
    assert invited() == ["alice@example.com", "bob@example.com", "carol@example.com"]


async def test_inviting_can_be_interrupted_and_goes_on_where_it_was(sigma: Sigma):
    await worker(sigma)
    serving = sigma.process
    with sigma.database() as owner:
        owner.execute(
            "insert into leads (email, confirmed_at, line_number, line_key)"
            " select 'f' || n || '@example.com', now(), n, n from generate_series(1, 2000) as n"
        )

        def count() -> int:
            (invited,) = owner.execute("select count(*) from leads where invited_at is not null").fetchone() or (0,)
            return invited

        inviting = sigma.launch("invite", "--next", "2000")
        await until(lambda: count() > 5)
        inviting.send_signal(signal.SIGINT)
        assert inviting.wait(WAIT_SECONDS) == 130
        invited = count()
        assert invited < 2000
        assert f"{invited} of 2000 are invited; --next {2000 - invited} goes on." in sigma.log.read_text()
        sigma.run("invite", "--next", "1")
        assert count() == invited + 1
        links = owner.execute("select count(*) from sigma.lead_links where purpose = 'invite'").fetchone()
        assert links == (invited + 1,)
    sigma.process = serving


async def test_erasing_somebody_takes_their_mails_along(sigma: Sigma):
    await worker(sigma)
    join(sigma, "alice@example.com")

    def mails() -> int:
        with sigma.database() as owner:
            (count,) = owner.execute("select count(*) from sigma.mailbox").fetchone() or (0,)
            return count

    await until(lambda: mails() == 1)
    assert "  erased   1 lead, " in sigma.run("erase", "ALICE@example.com", "--yes").stdout
    await until(lambda: mails() == 0)
    assert sigma.leads("alice@example.com") == []
    again = sigma.run("erase", "alice@example.com", "--yes")
    assert (again.returncode, "nobody of that address" in again.stderr) == (3, True)


async def test_without_a_worker_the_commands_that_need_one_say_so(sigma: Sigma):
    sigma.lay()
    shown = sigma.run("jobs")
    assert shown.stdout == "The queue is empty.\n"
    assert "No worker is running" in shown.stderr


async def test_whoever_the_line_does_not_invite_is_not_said_to_be_invited(sigma: Sigma):
    await worker(sigma)
    confirm(sigma, "alice@example.com")
    with sigma.database() as owner:
        owner.execute(
            "create or replace function sigma.invite(lead uuid default null) returns uuid"
            " language sql as 'select null::uuid'"
        )
    refused = sigma.run("invite", "--email", "alice@example.com")
    assert (refused.returncode, refused.stdout) == (1, "alice@example.com: changed at that moment.\n")
    with sigma.database() as owner:
        assert owner.execute("select count(*) from sigma.audit_log").fetchone() == (0,)


@pytest.mark.parametrize("arguments", [[], ["--next", "0"], ["--next", "2", "--email", "a@example.com"]])
def test_inviting_asks_for_how_many_or_for_whom(sigma: Sigma, arguments: list[str]):
    refused = sigma.run("invite", *arguments)
    assert refused.returncode == 2
    assert "--next" in refused.stderr
