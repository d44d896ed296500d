"""What somebody is told who comes back from checkout."""

from __future__ import annotations

import pytest

from sigma_app.embedded.stripe import acts
from sigma_app.features.billing import thanks
from sigma_app.session import store
from tests.features.billing.conftest import (
    FOR_GOOD,
    MONTHLY,
    Stands,
    Till,
    charge_of,
    subscription_of,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("plan", "how", "outcome"),
    [
        (FOR_GOOD, acts.pay, "paid"),
        (MONTHLY, acts.pay, "paid"),
        (FOR_GOOD, acts.pay_later, "processing"),
        (FOR_GOOD, acts.decline, "open"),
    ],
)
async def test_it_says_how_it_stands_at_stripe(shop: Till, session, standing: Stands, plan, how, outcome):
    identity = await shop.buy(session, plan, how)
    assert (await thanks.outcome_of(session, identity)).outcome == outcome
    assert not standing().access


async def test_what_was_given_back_or_has_ended_is_over(shop: Till, session):
    once = await shop.buy(session, FOR_GOOD)
    await acts.refund(await charge_of(shop))
    assert (await thanks.outcome_of(session, once)).outcome == "over"
    await shop.catch_up()
    monthly = await shop.buy(session, MONTHLY)
    await shop.api.subscriptions.cancel_async(await subscription_of(shop))
    assert (await thanks.outcome_of(session, monthly)).outcome == "over"


async def test_somebody_elses_is_unknown_and_logged(shop: Till, session, sign_in, caplog):
    bob = await store.find(await store.open_session(await sign_in("bob"), ""))
    assert bob
    identity = await shop.buy(bob, FOR_GOOD)
    assert (await thanks.outcome_of(session, identity)).outcome == "unknown"
    assert "checkout of somebody else" in caplog.text


@pytest.mark.parametrize("identity", ["", "cs_", "cs_test_unknown", "../charges/ch_1", "cs_a?b", "cs_" + "a" * 300])
async def test_nonsense_is_unknown(shop: Till, session, identity):
    assert (await thanks.outcome_of(session, identity)).outcome == "unknown"


async def test_stripe_is_asked_without_an_event_that_is_late(shop: Till, session, owner):
    await thanks.look_if_late(session, "back from the portal")
    await thanks.look_if_late(session, "back from the portal")
    queued = "select args ->> 'cause', scheduled_at > now() from procrastinate.procrastinate_jobs where task_name = %s"
    assert owner.execute(queued, ["billing:look_again"]).fetchall() == [("back from the portal", True)]


async def test_who_asks_without_end_is_told_nothing_more(shop: Till, session, clock):
    identity = await shop.buy(session, FOR_GOOD)
    told = [(await thanks.outcome_of(session, identity)).outcome for _ in range(40)]
    assert (told[0], told[-1]) == ("paid", "unknown")
    assert 20 <= told.count("paid") <= 30
