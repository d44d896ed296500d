"""What is read at Stripe of a subscription that is past due, and of the disputes of a payment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from sigma_app.embedded.stripe import acts
from sigma_app.gateways.stripe_objects import read_checkout, read_subscription
from sigma_app.session.store import Session
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, Till, charge_of, subscription_of

pytestmark = pytest.mark.anyio


class TestPastDue:
    async def owing(self, shop: Till, session: Session, periods: int = 1) -> str:
        """Alice's subscription, whose renewal was declined in so many periods."""
        await acts.after_last_try("past_due")
        await shop.buy(session, MONTHLY)
        subscription = await subscription_of(shop)
        await acts.set_card((await shop.api.subscriptions.retrieve_async(subscription)).customer, "declines")
        for _ in range(periods):
            await acts.let_a_period_pass(subscription)
        return subscription

    async def test_it_is_so_since_its_oldest_bill_was_made_out(self, shop: Till, session: Session):
        subscription = await self.owing(shop, session, periods=2)
        bills = (await shop.api.invoices.list_async({"subscription": subscription, "status": "open"})).data
        younger, older = [datetime.fromtimestamp(one.status_transitions.finalized_at, UTC) for one in bills]
        assert younger - older > timedelta(days=20)
        assert bills[1].status_transitions.finalized_at - bills[1].created == 3600  # a draft is owed by nobody yet
        read = await read_subscription(subscription)
        assert (read.status, read.past_due_since) == ("past_due", older)

    async def test_one_that_was_paid_or_tried_before_is_told_from_one_that_never_was(
        self, shop: Till, session: Session, owner: psycopg.Connection
    ):
        subscription = await self.owing(shop, session)
        assert (await read_subscription(subscription)).paid_once
        owner.execute("delete from sigma.sandbox_objects where kind = 'invoice' and body ->> 'status' = 'paid'")
        assert not (await read_subscription(subscription)).paid_once
        owner.execute(
            "update sigma.sandbox_objects set body = body || '{\"trial_end\": 1800000000}' where kind = 'subscription'"
        )
        assert (await read_subscription(subscription)).paid_once


DISPUTES = {
    ("needs_response",): "open",
    ("under_review",): "open",
    ("warning_needs_response",): "open",
    ("warning_under_review",): "open",
    ("a word that Stripe adds later",): "open",
    ("won",): "won",
    ("warning_closed",): "won",
    ("prevented",): "won",
    ("lost",): "lost",
    ("appeal_needs_response",): "lost",
    ("appeal_under_review",): "lost",
    ("won", "lost"): "lost",
    ("lost", "won"): "lost",
    ("needs_response", "lost"): "lost",
    ("won", "needs_response"): "open",
}
"""How the disputes of one payment stand at Stripe, and what that is to us."""


async def test_how_disputes_stand(shop: Till, session: Session, owner: psycopg.Connection):
    checkout = await shop.buy(session, FOR_GOOD)
    dispute = await acts.open_dispute(await charge_of(shop))
    read = {}
    for statuses in DISPUTES:
        owner.execute("delete from sigma.sandbox_objects where kind = 'dispute'")
        for number, status in enumerate(statuses):
            one = {**dispute, "id": f"du_{number}", "status": status}
            owner.execute(
                "insert into sigma.sandbox_objects (id, kind, body) values (%s, 'dispute', %s)", [one["id"], Jsonb(one)]
            )
        read[statuses] = (await read_checkout(checkout)).dispute
    assert read == DISPUTES
