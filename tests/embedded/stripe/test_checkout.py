"""Checkouts, each way through one, and what is told of it."""

from __future__ import annotations

import asyncio
import time

import pytest
import stripe

from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.errors import Refused

pytestmark = pytest.mark.anyio

BILL = ["invoice.created", "invoice.finalized"]
PAID = ["invoice_payment.paid", "invoice.paid", "invoice.payment_succeeded"]
CHARGED = ["charge.succeeded", "payment_intent.succeeded"]


async def test_a_single_payment(sdk, checkout, once, told):
    opened = await checkout(once, invoice_creation={"enabled": True}, payment_intent_data={"metadata": {"a": "b"}})
    assert (opened.status, opened.payment_status, opened.amount_total) == ("open", "unpaid", 9900)
    told()
    await acts.pay(opened.id)
    assert told() == ["payment_intent.created", *CHARGED, *BILL, *PAID, "checkout.session.completed"]
    paid = await sdk.checkout.sessions.retrieve_async(
        opened.id, {"expand": ["line_items", "payment_intent.latest_charge", "invoice.payments"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert (paid.payment_intent.status, paid.payment_intent.metadata["a"]) == ("succeeded", "b")
    assert paid.payment_intent.latest_charge.paid
    assert paid.line_items.data[0].price.id == once.id
    assert paid.invoice.status == "paid"
    assert paid.invoice.payments.data[0].payment.payment_intent == paid.payment_intent.id
    with pytest.raises(Refused):
        await acts.pay(opened.id)
    assert told() == []


async def test_a_card_that_is_declined_and_then_another(sdk, checkout, once, told):
    opened = await checkout(once)
    told()
    await acts.decline(opened.id)
    assert told() == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
    tried = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["payment_intent"]})
    assert (tried.status, tried.payment_status) == ("open", "unpaid")
    assert tried.payment_intent.last_payment_error.code == "card_declined"
    await acts.pay(opened.id)
    assert told() == [*CHARGED, "checkout.session.completed"]
    charges = await sdk.charges.list_async({"payment_intent": tried.payment_intent.id})
    assert [charge.status for charge in charges.data] == ["succeeded", "failed"]


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_bank_debit_that_takes_days(sdk, checkout, once, told, succeeds):
    opened = await checkout(once, invoice_creation={"enabled": True})
    told()
    await acts.pay_later(opened.id)
    assert told() == [
        "payment_intent.created", "charge.pending", "payment_intent.processing", "checkout.session.completed",
    ]  # fmt: skip
    waiting = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["payment_intent"]})
    assert (waiting.status, waiting.payment_status, waiting.payment_intent.status) == (
        "complete",
        "unpaid",
        "processing",
    )
    await acts.settle_later(opened.id, succeeds)
    if succeeds:
        assert told() == [*CHARGED, *BILL, *PAID, "checkout.session.async_payment_succeeded"]
    else:
        failed = ["charge.failed", "payment_intent.payment_failed", "checkout.session.async_payment_failed"]
        assert told() == failed
    settled = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["payment_intent"]})
    assert settled.payment_status == ("paid" if succeeds else "unpaid")
    assert settled.payment_intent.status == ("succeeded" if succeeds else "requires_payment_method")
    with pytest.raises(Refused):
        await acts.settle_later(opened.id, succeeds)


async def test_3d_secure_that_fails_and_then_succeeds(sdk, checkout, once, told):
    opened = await checkout(once)
    told()
    await acts.ask(opened.id)
    assert told() == ["payment_intent.created", "payment_intent.requires_action"]
    await acts.authenticate(opened.id, succeeds=False)
    assert told() == ["payment_intent.payment_failed"]
    await acts.ask(opened.id)
    await acts.authenticate(opened.id, succeeds=True)
    assert told() == ["payment_intent.requires_action", *CHARGED, "checkout.session.completed"]


async def test_a_subscription(sdk, checkout, monthly, told):
    opened = await checkout(monthly, subscription_data={"metadata": {"a": "b"}})
    told()
    await acts.pay(opened.id)
    assert told() == [
        "customer.subscription.created", "invoice.created", "invoice.finalized", "payment_intent.created", *CHARGED,
        *PAID, "customer.subscription.updated", "checkout.session.completed",
    ]  # fmt: skip
    paid = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["subscription.latest_invoice"]})
    assert (paid.payment_status, paid.payment_intent) == ("paid", None)
    assert (paid.subscription.status, paid.subscription.metadata["a"]) == ("active", "b")
    assert paid.subscription.latest_invoice.billing_reason == "subscription_create"
    (item,) = paid.subscription["items"].data
    assert 27 * 86400 < item.current_period_end - item.current_period_start < 32 * 86400
    listed = await sdk.checkout.sessions.list_async({"subscription": paid.subscription.id})
    assert [one.id for one in listed.data] == [opened.id]


@pytest.mark.parametrize("succeeds", [True, False])
async def test_a_subscription_by_bank_debit_is_active_meanwhile(sdk, checkout, monthly, told, succeeds):
    opened = await checkout(monthly)
    await acts.pay_later(opened.id)
    waiting = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["subscription", "invoice"]})
    assert (waiting.payment_status, waiting.subscription.status, waiting.invoice.status) == ("unpaid", "active", "open")
    told()
    await acts.settle_later(opened.id, succeeds)
    if succeeds:
        assert told() == [*CHARGED, *PAID, "checkout.session.async_payment_succeeded"]
    else:
        assert told() == [
            "charge.failed", "payment_intent.payment_failed", "invoice.payment_failed", "customer.subscription.updated",
            "checkout.session.async_payment_failed",
        ]  # fmt: skip
    now = await sdk.subscriptions.retrieve_async(waiting.subscription.id)
    assert now.status == ("active" if succeeds else "past_due")


async def test_a_subscription_that_begins_with_a_trial(sdk, checkout, monthly):
    opened = await checkout(monthly, subscription_data={"trial_period_days": 14})
    assert opened.amount_total == 0
    await acts.pay(opened.id)
    paid = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["subscription.latest_invoice"]})
    assert (paid.payment_status, paid.subscription.status) == ("no_payment_required", "trialing")
    assert paid.subscription.trial_end == paid.subscription.trial_start + 14 * 86400
    assert (paid.subscription.latest_invoice.status, paid.subscription.latest_invoice.total) == ("paid", 0)


@pytest.mark.parametrize(("percent", "due"), [(100, 0), (25, 7425)])
async def test_a_promotion_code(sdk, checkout, once, percent, due):
    coupon = await sdk.coupons.create_async({"percent_off": percent, "duration": "once"})
    await sdk.promotion_codes.create_async({"code": "FRIENDS", "promotion": {"type": "coupon", "coupon": coupon.id}})
    opened = await checkout(once, allow_promotion_codes=True, invoice_creation={"enabled": True})
    with pytest.raises(Refused):
        await acts.promote(opened.id, "STRANGERS")
    await acts.promote(opened.id, "friends")
    await acts.pay(opened.id)
    paid = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["invoice", "line_items"]})
    assert (paid.amount_total, paid.line_items.data[0].amount_total, paid.invoice.amount_due) == (due, due, due)
    assert paid.payment_status == ("paid" if due else "no_payment_required")
    assert (paid.payment_intent is None) is (due == 0)


async def test_a_coupon_for_ever_is_off_the_first_invoice_as_well(sdk, checkout, monthly):
    coupon = await sdk.coupons.create_async({"percent_off": 100, "duration": "forever"})
    opened = await checkout(monthly, discounts=[{"coupon": coupon.id}])
    await acts.pay(opened.id)
    paid = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["subscription.discounts", "invoice"]})
    assert (paid.invoice.subtotal, paid.invoice.total, paid.invoice.status) == (1900, 0, "paid")
    assert paid.subscription.discounts[0].source.coupon == coupon.id


async def test_a_checkout_that_nobody_pays_is_over_in_time_or_by_hand(sdk, checkout, once, told, owner):
    opened, other = await checkout(once), await checkout(once)
    told()
    await sdk.checkout.sessions.expire_async(opened.id)
    assert told() == ["checkout.session.expired"]
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.checkout.sessions.expire_async(opened.id)
    with pytest.raises(Refused):
        await acts.pay(opened.id)
    owner.execute(
        "update sigma.sandbox_objects set body = body || jsonb_build_object('expires_at', %s::bigint) where id = %s",
        [int(time.time()) - 1, other.id],
    )
    await acts.advance_all()
    await acts.advance_all()
    assert told() == ["checkout.session.expired"]
    statuses = await sdk.checkout.sessions.list_async({"status": "expired"})
    assert len(statuses.data) == 2


async def test_two_clicks_at_once_pay_once(sdk, checkout, once, told):
    opened = await checkout(once)
    told()
    outcomes = await asyncio.gather(*(acts.pay(opened.id) for _ in range(3)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert told().count("charge.succeeded") == 1


async def test_who_has_no_customer_yet_becomes_one(sdk, once, monthly):
    for price, mode in ((once, "payment"), (monthly, "subscription")):
        opened = await sdk.checkout.sessions.create_async(
            {
                "mode": mode,
                "customer_email": "new@example.com",
                "line_items": [{"price": price.id}],
                "success_url": "http://sigma.test/",
            }
        )
        assert opened.customer is None
        await acts.pay(opened.id)
        paid = await sdk.checkout.sessions.retrieve_async(opened.id, {"expand": ["customer"]})
        assert paid.customer.email == "new@example.com"


async def test_a_subscription_of_two_lines_is_refused_before_anybody_pays(checkout, monthly, yearly):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await checkout(monthly, line_items=[{"price": monthly.id}, {"price": yearly.id}])
    assert refused.value.param == "line_items"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"mode": "setup"}, "mode"),
        ({"success_url": ""}, "success_url"),
        ({"line_items": []}, "line_items"),
        ({"line_items": [{"price": "price_none"}]}, "line_items[0][price]"),
        ({"mode": "subscription"}, "line_items[0]"),
        ({"expires_at": 1}, "expires_at"),
        ({"customer": "cus_none"}, "customer"),
        ({"sucess_url": "x"}, "sucess_url"),
    ],
)
async def test_what_makes_no_checkout_is_refused(checkout, once, wrong, param):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await checkout(once, **wrong)
    assert refused.value.param == param
