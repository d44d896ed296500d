"""The comparison with Stripe's published shapes sees what it is there to see; every other test relies on it."""

from __future__ import annotations

import copy

import pytest

from sigma_app.embedded.stripe import acts
from tests.embedded.stripe.shapes import problems

pytestmark = pytest.mark.anyio


@pytest.fixture
async def price(wire, product, monthly):
    answer = await wire.get(f"/v1/prices/{monthly.id}?expand[]=product", headers={"authorization": "Bearer any"})
    return answer.json()


async def test_what_is_as_published_has_no_problems(price):
    assert problems(price) == []
    assert problems({"object": "list", "url": "/v1/prices", "has_more": False, "data": [price]}) == []
    assert problems({"id": "cus_1", "object": "customer", "deleted": True}) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda price: price.pop("active"), "price.active: is missing"),
        (lambda price: price.update(active="yes"), "price.active: 'yes' is no <class 'bool'>"),
        (lambda price: price.update(active=1), "price.active: 1 is no <class 'bool'>"),
        (lambda price: price.update(created=True), "price.created: True is no <class 'int'>"),
        (lambda price: price.update(type="often"), "price.type: 'often' is no value of ['one_time', 'recurring']"),
        (lambda price: price.update(colour="green"), "price.colour: is not declared"),
        (lambda price: price["recurring"].pop("usage_type"), "price.recurring.usage_type: is missing"),
        (lambda price: price["recurring"].update(interval="eon"), "price.recurring.interval: 'eon' is no value of"),
        (lambda price: price["product"].pop("name"), "price.product.name: is missing"),
        (lambda price: price.update(metadata=None), "price.metadata: no dictionary"),
        (lambda price: price.update(object="unicorn"), ": there is no unicorn"),
    ],
)
async def test_what_is_otherwise_is_found(price, change, found):
    wrong = copy.deepcopy(price)
    change(wrong)
    assert [one for one in problems(wrong) if one.startswith(found)]


async def test_lists_are_looked_into(price):
    wrong = {"object": "list", "url": "/v1/prices", "has_more": "no", "data": [price | {"active": None}]}
    assert problems(wrong) == [".has_more: no bool", "[0].active: None is no <class 'bool'>"]
    assert problems([price]) == [": is no object"]


async def test_every_kind_of_object_is_compared(sdk, checkout, once, monthly, owner):
    """That is to say: the books of one ordinary customer hold each kind, and the fixture here looks at all of them."""
    coupon = await sdk.coupons.create_async({"percent_off": 10, "duration": "once"})
    await sdk.promotion_codes.create_async({"promotion": {"type": "coupon", "coupon": coupon.id}})
    await sdk.test_helpers.test_clocks.create_async({"frozen_time": 1_800_000_000})
    await sdk.webhook_endpoints.create_async({"url": "http://x.test/", "enabled_events": ["*"]})
    await sdk.billing_portal.configurations.create_async({"features": {"invoice_history": {"enabled": True}}})
    for price in (once, monthly):
        opened = await checkout(price, discounts=[{"coupon": coupon.id}], invoice_creation={"enabled": True})
        await acts.pay(opened.id)
        await sdk.billing_portal.sessions.create_async({"customer": opened.customer})
    charges = await sdk.charges.list_async({"limit": 2})
    await sdk.refunds.create_async({"charge": charges.data[0].id, "amount": 1})
    await acts.open_dispute(charges.data[1].id)
    kinds = owner.execute("select distinct kind from sigma.sandbox_objects").fetchall()
    assert {kind for (kind,) in kinds} == {
        "billing_portal.configuration", "billing_portal.session", "charge", "checkout.session", "coupon", "customer",
        "discount", "dispute", "event", "invoice", "invoice_payment", "payment_intent", "price", "product",
        "promotion_code", "refund", "subscription", "test_helpers.test_clock", "webhook_endpoint",
    }  # fmt: skip
