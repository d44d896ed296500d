"""Subscriptions as the API and the merchant change them."""

from __future__ import annotations

import pytest
import stripe

from sigma_app.embedded.stripe import acts

pytestmark = pytest.mark.anyio


@pytest.fixture
async def subscription(sdk, alice, monthly, told):
    """Alice's, monthly, paid."""
    await acts.set_card(alice.id, "pays")
    made = await sdk.subscriptions.create_async({"customer": alice.id, "items": [{"price": monthly.id}]})
    told()
    return made


def item_of(subscription):
    (item,) = subscription["items"].data
    return item


async def test_it_is_active_once_it_is_paid(subscription):
    assert (subscription.status, subscription.latest_invoice[:3]) == ("active", "in_")


async def test_without_a_card_there_is_none(sdk, alice, monthly):
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        await sdk.subscriptions.create_async({"customer": alice.id, "items": [{"price": monthly.id}]})


@pytest.mark.parametrize(
    ("card", "events"),
    [
        ("declines", ["charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"]),
        ("asks", ["payment_intent.requires_action", "invoice.payment_failed", "invoice.payment_action_required"]),
    ],
)
async def test_a_first_payment_that_fails_leaves_it_incomplete_until_it_is_paid(
    sdk, alice, monthly, told, card, events
):
    await acts.set_card(alice.id, card)
    told()
    made = await sdk.subscriptions.create_async({"customer": alice.id, "items": [{"price": monthly.id}]})
    begun = ["customer.subscription.created", "invoice.created", "invoice.finalized", "payment_intent.created"]
    assert told() == [*begun, *events]
    assert made.status == "incomplete"
    await acts.pay_invoice(made.latest_invoice, "pays")
    assert told()[-1] == "customer.subscription.updated"
    assert (await sdk.subscriptions.retrieve_async(made.id)).status == "active"


async def test_it_ends_with_its_period_or_does_not_after_all(sdk, subscription, told):
    ending = await sdk.subscriptions.update_async(subscription.id, {"cancel_at_period_end": True})
    assert ending.cancel_at == item_of(ending).current_period_end
    assert ending.cancellation_details.reason == "cancellation_requested"
    going_on = await sdk.subscriptions.update_async(subscription.id, {"cancel_at_period_end": False})
    assert (going_on.cancel_at, going_on.canceled_at, going_on.cancel_at_period_end) == (None, None, False)
    assert told() == ["customer.subscription.updated"] * 2
    newest = (await sdk.events.list_async({"type": "customer.subscription.updated"})).data[0]
    assert newest.data.previous_attributes["cancel_at_period_end"] is True


async def test_it_ends_at_once_and_is_not_ended_twice(sdk, subscription, told):
    over = await sdk.subscriptions.cancel_async(subscription.id)
    assert (over.status, told()) == ("canceled", ["customer.subscription.deleted"])
    assert over.ended_at
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await sdk.subscriptions.cancel_async(subscription.id)
    assert refused.value.code == "resource_missing"


async def test_from_monthly_to_yearly_a_year_begins_and_is_paid_less_what_is_left(sdk, subscription, yearly, told):
    change = {"items": [{"id": item_of(subscription).id, "price": yearly.id}]}
    changed = await sdk.subscriptions.update_async(
        subscription.id, {**change, "proration_behavior": "create_prorations"}
    )
    assert (changed.status, item_of(changed).price.id) == ("active", yearly.id)
    period = item_of(changed).current_period_end - item_of(changed).current_period_start
    assert period >= 365 * 86400
    invoice = await sdk.invoices.retrieve_async(changed.latest_invoice)
    assert (invoice.billing_reason, invoice.status) == ("subscription_update", "paid")
    assert [line.amount for line in invoice.lines.data] == [-1900, 19000]
    assert invoice.amount_paid == 17100
    assert told()[:2] == ["customer.subscription.updated", "invoice.created"]


async def test_from_yearly_to_monthly_the_rest_is_credit(sdk, alice, subscription, monthly, yearly):
    for price in (yearly, monthly):
        change = {"items": [{"id": item_of(subscription).id, "price": price.id}]}
        changed = await sdk.subscriptions.update_async(subscription.id, change)
    invoice = await sdk.invoices.retrieve_async(changed.latest_invoice)
    assert (invoice.total, invoice.amount_due, invoice.status) == (1900 - 19000, 0, "paid")
    assert (await sdk.customers.retrieve_async(alice.id)).balance == 1900 - 19000


async def test_within_the_same_interval_the_difference_is_on_the_next_invoice(sdk, subscription, product):
    more = await sdk.prices.create_async(
        {"product": product.id, "currency": "eur", "unit_amount": 2900, "recurring": {"interval": "month"}}
    )
    change = {"items": [{"id": item_of(subscription).id, "price": more.id}]}
    changed = await sdk.subscriptions.update_async(subscription.id, change)
    assert changed.latest_invoice == subscription.latest_invoice
    await acts.let_a_period_pass(subscription.id)
    renewed = await sdk.subscriptions.retrieve_async(subscription.id, {"expand": ["latest_invoice"]})
    assert [line.amount for line in renewed.latest_invoice.lines.data] == [-1900, 2900, 2900]


async def test_a_customer_who_is_deleted_subscribes_to_nothing_and_stays_known_as_such(sdk, alice, subscription, told):
    assert (await sdk.customers.delete_async(alice.id)).deleted
    assert told() == ["customer.subscription.deleted", "customer.deleted"]
    assert (await sdk.customers.retrieve_async(alice.id)).deleted
    assert (await sdk.customers.list_async({"email": alice.email})).data == []
    assert (await sdk.subscriptions.retrieve_async(subscription.id, {"expand": ["customer"]})).customer.deleted
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.customers.update_async(alice.id, {"name": "Bob"})


async def test_lists_leave_out_what_is_over_unless_asked(sdk, alice, subscription, monthly):
    await sdk.subscriptions.cancel_async(subscription.id)
    assert (await sdk.subscriptions.list_async({"customer": alice.id})).data == []
    for status in ("all", "canceled", "ended"):
        found = await sdk.subscriptions.list_async({"customer": alice.id, "status": status, "price": monthly.id})
        assert [one.id for one in found.data] == [subscription.id]


async def test_an_invoice_can_be_voided_while_it_is_open(sdk, alice, monthly, told):
    await acts.set_card(alice.id, "declines")
    made = await sdk.subscriptions.create_async({"customer": alice.id, "items": [{"price": monthly.id}]})
    told()
    voided = await sdk.invoices.void_invoice_async(made.latest_invoice)
    assert (voided.status, told()) == ("void", ["payment_intent.canceled", "invoice.voided"])
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.invoices.pay_async(made.latest_invoice)


async def test_a_card_that_is_declined_is_an_error_and_the_try_stays_in_the_books(sdk, alice, monthly, told):
    await acts.set_card(alice.id, "declines")
    made = await sdk.subscriptions.create_async(
        {"customer": alice.id, "items": [{"price": monthly.id}], "payment_behavior": "default_incomplete"}
    )
    assert made.status == "incomplete"
    assert (await sdk.charges.list_async()).data == []
    told()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            await sdk.invoices.pay_async(made.latest_invoice, {}, {"idempotency_key": "k"})
        assert (declined.value.code, declined.value.http_status) == ("card_declined", 402)
    assert told() == ["charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"]
    await acts.set_card(alice.id, "pays")
    assert (await sdk.invoices.pay_async(made.latest_invoice)).status == "paid"
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.invoices.pay_async(made.latest_invoice)


async def test_where_an_incomplete_one_is_not_wanted_there_is_none(sdk, alice, monthly, told):
    await acts.set_card(alice.id, "declines")
    wanted = {"customer": alice.id, "items": [{"price": monthly.id}], "payment_behavior": "error_if_incomplete"}
    told()
    with pytest.raises(stripe.CardError):
        await sdk.subscriptions.create_async(wanted)
    assert (told(), (await sdk.subscriptions.list_async({"status": "all"})).data) == ([], [])
