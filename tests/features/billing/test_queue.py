"""What the worker does by itself: nobody here works an event or reads a customer anew but the jobs that were queued."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import psycopg
import pytest
import reflex as rx
from reflex.istate.data import RouterData

from sigma_app.core import clock
from sigma_app.core import jobs as queue
from sigma_app.embedded.stripe import acts
from sigma_app.features.billing import checkout, jobs
from sigma_app.features.billing.access import GRACE
from sigma_app.features.billing.state import BillingState
from sigma_app.features.billing.thanks import LATE
from sigma_app.features.mail.service import TooLate
from sigma_app.session.handshake import seal_cookie
from sigma_app.session.store import Session
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, Stands, Till, subscription_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mailing")]

Working = Callable[[], Awaitable[list[str]]]


@pytest.fixture
def worked(login_url: str, owner: psycopg.Connection, shop: Till) -> Working:
    """Tells all news and lets the worker do what is due, its own events included; the subjects of the mails so far."""
    due = """select id from procrastinate.procrastinate_jobs where status = 'todo' and queue_name = any(%s)
             and coalesce(scheduled_at, now()) <= now()"""
    queues = [jobs.EVENTS, queue.QUEUE]

    async def work() -> list[str]:
        for event in await shop.news():
            assert (await shop.tell(event)).status_code == 200
        while owner.execute(due, [queues]).fetchone():  # what is due may queue more
            await queue.work(login_url, queues, until_idle=True)
        rows = owner.execute("select subject from sigma.mailbox order by created_at").fetchall()
        return [subject for (subject,) in rows]

    return work


def looks_queued(owner: psycopg.Connection) -> list[tuple[str, datetime]]:
    """Why, and when, somebody is looked at again."""
    rows = owner.execute(
        "select args ->> 'cause', scheduled_at from procrastinate.procrastinate_jobs"
        " where task_name = 'billing:look_again' and status = 'todo'"
    )
    return [(cause, at) for cause, at in rows.fetchall()]


def make_due(owner: psycopg.Connection) -> None:
    """The time that somebody is to be looked at has come."""
    owner.execute("update procrastinate.procrastinate_jobs set scheduled_at = null where status = 'todo'")


async def test_an_event_that_was_told_is_worked(shop: Till, session, standing: Stands, worked: Working, owner):
    await shop.buy(session, FOR_GOOD)
    assert await worked() == ["You are in"]
    assert (standing().access, standing().rules) == (True, ["bought"])
    assert owner.execute("select from sigma.webhook_events where handled_at is null").fetchall() == []


async def test_grace_ends_by_itself(
    shop: Till, session, standing: Stands, worked: Working, owner, monkeypatch: pytest.MonkeyPatch
):
    await shop.buy(session, MONTHLY)
    await acts.set_card(await checkout.customer_for(session), "declines")
    await acts.let_a_period_pass(await subscription_of(shop))
    told = await worked()
    assert (standing().access, standing().rules[-1]) == (True, "grace")
    ((_, at),) = looks_queued(owner)
    ((since,),) = owner.execute("select past_due_since from billing.subscriptions").fetchall()
    assert since + GRACE <= at < since + GRACE + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: at)
    make_due(owner)
    assert await worked() == [*told, "Your access to Sigma has ended"]
    assert (standing().access, standing().rules[-1]) == (False, "overdue")


class TestBackFromCheckout:
    """An event that is late keeps nobody out who has paid."""

    async def come_back(self, cookie: str, identity: str) -> BillingState:
        """The page that Stripe leads back to, in a browser with this cookie."""
        root = rx.State(_reflex_internal_init=True)  # pyright: ignore[reportCallIssue]
        root.router = RouterData.from_router_data(
            {
                "headers": {"cookie": seal_cookie(cookie).decode(), "origin": "http://localhost:3000"},
                "token": "tab-1",
                "pathname": "/billing/thanks",
                "asPath": f"/billing/thanks?session_id={identity}",
            }
        )
        state = await root.get_state(BillingState)
        await state.load_thanks()
        return state

    async def test_who_paid_is_in_although_no_event_came(
        self, shop: Till, session, cookie, standing: Stands, worked: Working, owner
    ):
        identity = await shop.buy(session, FOR_GOOD)
        await shop.news()  # and never told
        before = clock.now()
        assert (await self.come_back(cookie, identity)).checkout == "paid"
        await self.come_back(cookie, identity)
        ((cause, at),) = looks_queued(owner)
        assert before + LATE <= at <= clock.now() + LATE
        assert await worked() == []
        assert not standing().access
        make_due(owner)
        assert await worked() == ["You are in"]
        assert standing().access
        assert owner.execute("select cause from billing.access_changes").fetchall() == [(cause,)]

    async def test_whose_event_came_is_looked_at_no_more(
        self, shop: Till, session, cookie, standing: Stands, worked: Working, owner
    ):
        identity = await shop.buy(session, FOR_GOOD)
        await worked()
        state = await self.come_back(cookie, identity)
        assert (state.checkout, state.access) == ("paid", True)
        assert looks_queued(owner) == []

    async def test_what_is_not_paid_is_not_looked_at(self, shop: Till, session, cookie, owner):
        identity = await shop.buy(session, FOR_GOOD, acts.decline)
        assert (await self.come_back(cookie, identity)).checkout == "open"
        assert looks_queued(owner) == []


class TestMailsOnce:
    """A job that died before it could say that it was done is run again."""

    async def a_failed_renewal(self, shop: Till, session: Session) -> tuple[str, str]:
        """Told of, and not mailed yet: the invoice, and the event about it."""
        await shop.buy(session, MONTHLY)
        customer = await checkout.customer_for(session)
        await acts.set_card(customer, "declines")
        await acts.let_a_period_pass(await subscription_of(shop))
        told = await shop.news()
        await shop.catch_up(told)
        (failed,) = [event for event in told if event["type"] == "invoice.payment_failed"]
        return failed["data"]["object"]["id"], failed["id"]

    async def test_that_access_opened_is_said_once(self, shop: Till, session, worked: Working):
        await shop.buy(session, FOR_GOOD)
        await worked()
        await jobs.send_access_changed(str(session.user_id), opened=True)
        assert await worked() == ["You are in"]

    async def test_that_a_payment_failed_is_said_once(self, shop: Till, session, owner):
        invoice, event = await self.a_failed_renewal(shop, session)
        for _ in range(2):
            await jobs.send_notice(str(session.user_id), "payment_failed", invoice, event)
        assert owner.execute("select subject from sigma.mailbox").fetchall() == [("Your payment did not go through",)]

    async def test_what_may_have_been_said_a_day_ago_is_not_said_again(self, shop: Till, session, owner):
        invoice, event = await self.a_failed_renewal(shop, session)
        a_day = timedelta(days=1)
        owner.execute("update billing.access_changes set at = at - %s", [a_day])
        owner.execute("update sigma.webhook_events set received_at = received_at - %s", [a_day])
        with pytest.raises(TooLate):
            await jobs.send_access_changed(str(session.user_id), opened=True)
        with pytest.raises(TooLate):
            await jobs.send_notice(str(session.user_id), "payment_failed", invoice, event)
        assert owner.execute("select from sigma.mailbox").fetchall() == []
