"""Refunds and disputes of what was paid."""

from __future__ import annotations

import pytest
import stripe

from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.errors import Refused

pytestmark = pytest.mark.anyio


@pytest.fixture
async def charge(sdk, checkout, once, told):
    """99.00 EUR that Alice paid."""
    opened = await checkout(once)
    await acts.pay(opened.id)
    paid = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["payment_intent.latest_charge"]})
    told()
    return paid.payment_intent.latest_charge


async def test_a_payment_is_given_back_in_parts_until_nothing_is_left(sdk, charge, told):
    await sdk.refunds.create_async({"charge": charge.id, "amount": 1000})
    assert told() == ["refund.created", "charge.refunded"]
    partly = await sdk.charges.retrieve_async(charge.id)
    assert (partly.amount_refunded, partly.refunded) == (1000, False)
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.refunds.create_async({"charge": charge.id, "amount": 9000})
    await sdk.refunds.create_async({"payment_intent": charge.payment_intent})
    fully = await sdk.charges.retrieve_async(charge.id, {"expand": ["refunds"]})
    assert (fully.amount_refunded, fully.refunded, len(fully.refunds.data)) == (9900, True, 2)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await sdk.refunds.create_async({"charge": charge.id})
    assert refused.value.code == "charge_already_refunded"


async def test_a_refund_that_comes_back_is_with_us_again(sdk, charge, told):
    refund = await sdk.refunds.create_async({"charge": charge.id})
    told()
    await acts.fail_refund(refund.id)
    assert told() == ["refund.updated", "refund.failed", "charge.refund.updated"]
    assert (await sdk.refunds.retrieve_async(refund.id)).status == "failed"
    assert (await sdk.charges.retrieve_async(charge.id)).amount_refunded == 0
    with pytest.raises(Refused):
        await acts.fail_refund(refund.id)


@pytest.mark.parametrize("outcome", ["won", "lost"])
async def test_a_dispute(sdk, charge, told, outcome):
    dispute = await acts.open_dispute(charge.id)
    assert told() == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert (await sdk.charges.retrieve_async(charge.id)).disputed
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.refunds.create_async({"charge": charge.id})
    with pytest.raises(Refused):
        await acts.open_dispute(charge.id)
    await acts.close_dispute(dispute["id"], outcome)
    assert told() == ["charge.dispute.closed", *(["charge.dispute.funds_reinstated"] if outcome == "won" else [])]
    (known,) = (await sdk.disputes.list_async({"charge": charge.id})).data
    assert (known.status, known.payment_intent) == (outcome, charge.payment_intent)
    with pytest.raises(Refused):
        await acts.close_dispute(dispute["id"], outcome)


async def test_an_inquiry_that_comes_to_nothing_moves_no_money(sdk, charge, told):
    inquiry = await acts.open_dispute(charge.id, "warning_needs_response")
    assert (await sdk.disputes.retrieve_async(inquiry["id"])).status == "warning_needs_response"
    await acts.close_dispute(inquiry["id"], "warning_closed")
    assert told() == ["charge.dispute.created", "charge.dispute.closed"]


async def test_a_dispute_that_is_given_up_is_lost(sdk, charge):
    dispute = await acts.open_dispute(charge.id)
    assert (await sdk.disputes.close_async(dispute["id"])).status == "lost"


async def test_what_was_never_paid_cannot_be_given_back(sdk, checkout, once):
    opened = await checkout(once)
    await acts.decline(opened.id)
    tried = await sdk.checkout.sessions.retrieve_async(opened.id)
    for params in ({"payment_intent": tried.payment_intent}, {}, {"charge": "ch_none"}):
        with pytest.raises(stripe.InvalidRequestError):
            await sdk.refunds.create_async(params)
