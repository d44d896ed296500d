"""The mails about what is still to come, or did not come to anything: who is written to, and who is not."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from sigma_app.embedded.stripe import acts, clocks
from sigma_app.embedded.stripe.books import opened
from sigma_app.features.billing import checkout
from sigma_app.session.store import Session
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, YEARLY, Posting, Stands, Till, subscription_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mailing")]


async def subscribe(shop: Till, session: Session, plan: str, card: acts.Card, **wanted: Any) -> str:
    """Start a subscription as somebody in Stripe's dashboard does, to be paid with such a card; its id."""
    customer = await checkout.customer_for(session)
    await acts.set_card(customer, card)
    (price,) = (await shop.api.prices.list_async({"lookup_keys": [plan]})).data
    given = {"customer": customer, "items": [{"price": price.id}], **wanted}
    return (await shop.api.subscriptions.create_async(given)).id


async def let_pass(shop: Till, days: int) -> None:
    """Let days pass for the customer of the latest subscription."""
    found = await shop.api.subscriptions.retrieve_async(await subscription_of(shop))
    async with opened() as books:
        customer = await books.get("customer", found.customer)
        turned = customer["test_clock"] or await clocks.put_on_clock(books, customer)
        now = (await books.get("test_helpers.test_clock", turned))["frozen_time"]
    await acts.advance(turned, now + days * 86_400)


def about(word: str, mails: list[tuple[str, str]]) -> list[str]:
    """The subjects of the mails that are about this, whichever else there are."""
    return [subject for _, subject in mails if word in subject]


class TestTrial:
    async def test_its_end_is_announced_with_what_it_costs_then(
        self, shop: Till, session, post: Posting, standing: Stands, owner
    ):
        await subscribe(shop, session, MONTHLY, "pays", trial_period_days=14)
        await let_pass(shop, days=10)
        assert about("trial ends", await post()) == []
        assert standing().rules == ["trial"]
        await let_pass(shop, days=2)
        (subject,) = about("trial ends", await post())
        ((body, to),) = owner.execute("select body, recipients[1] from sigma.mailbox where subject = %s", [subject])
        assert to == session.email
        assert "$29.00" in body
        assert "/billing" in body

    async def test_one_that_was_canceled_is_not_announced_to_cost_anything(self, shop: Till, session, post: Posting):
        trial = await subscribe(shop, session, MONTHLY, "pays", trial_period_days=14)
        await shop.api.subscriptions.update_async(trial, {"cancel_at_period_end": True})
        await let_pass(shop, days=12)
        told = await shop.news()
        assert "customer.subscription.trial_will_end" in [event["type"] for event in told]
        await shop.catch_up(told)
        assert about("trial ends", await post()) == []

    async def test_one_that_is_over_by_then_is_not_announced_to_end(self, shop: Till, session, post: Posting):
        await subscribe(shop, session, MONTHLY, "pays", trial_period_days=14)
        await let_pass(shop, days=15)
        assert about("trial ends", await post()) == []


async def test_a_year_that_was_canceled_meanwhile_is_not_announced_to_renew(shop: Till, session, post: Posting):
    await shop.buy(session, YEARLY)
    await let_pass(shop, days=360)
    told = await shop.news()
    assert "invoice.upcoming" in [event["type"] for event in told]
    await shop.api.subscriptions.update_async(await subscription_of(shop), {"cancel_at_period_end": True})
    await shop.catch_up(told)
    assert about("renews", await post()) == []


async def test_a_first_payment_that_failed_is_no_renewal_that_failed(
    shop: Till, session, post: Posting, standing: Stands
):
    await subscribe(shop, session, MONTHLY, "declines")
    told = await shop.news()
    assert "invoice.payment_failed" in [event["type"] for event in told]
    await shop.catch_up(told)
    assert await post() == []
    assert (standing().access, standing().rules) == (False, ["incomplete"])


async def test_an_address_that_was_not_proved_gets_no_mail(
    shop: Till, session, post: Posting, standing: Stands, owner: psycopg.Connection
):
    owner.execute("update auth.users set email_confirmed_at = null where id = %s", [session.user_id])
    await shop.buy(session, FOR_GOOD)
    assert await post() == []
    assert standing().access
    failed = "select task_name from procrastinate.procrastinate_jobs where attempts > 0"
    assert owner.execute(failed).fetchall() == []
