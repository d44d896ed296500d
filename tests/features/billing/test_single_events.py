"""What one event alone brings about: any other may be late or lost, so none may lean on those that come with it."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest

from sigma_app.embedded.stripe import acts
from sigma_app.features.billing import checkout
from sigma_app.session import store
from sigma_app.session.store import Session
from tests.features.billing.conftest import (
    FOR_GOOD,
    MONTHLY,
    Event,
    Stands,
    Till,
    charge_of,
    subscription_of,
)

pytestmark = pytest.mark.anyio

DRINKS: Any = {"product": "drinks", "currency": "usd", "unit_amount": 9_00, "lookup_key": "drinks"}


async def tell_only(shop: Till, kind: str, about: str = "", **other: Any) -> None:
    """Tell the latest event of a kind, about an object if one is named, with these values; the others are lost."""
    told = [one for one in await shop.news() if one["type"] == kind and about in ("", one["data"]["object"]["id"])]
    event: Event = told[-1]
    event["data"]["object"] |= other
    await shop.catch_up([event])


class TestSubscription:
    @pytest.mark.parametrize("kind", ["checkout.session.completed", "customer.subscription.created", "invoice.paid"])
    async def test_each_that_tells_of_its_beginning_opens(self, shop: Till, session, standing: Stands, kind):
        await shop.buy(session, MONTHLY)
        await tell_only(shop, kind)
        assert (standing().access, standing().rules) == (True, ["subscribed"])

    async def test_a_customer_who_is_deleted_takes_it_along(self, shop: Till, session, standing: Stands, owner):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        await shop.api.customers.delete_async(await checkout.customer_for(session))
        await tell_only(shop, "customer.deleted")
        assert (standing().access, standing().rules) == (False, ["subscribed", "ended"])
        assert owner.execute("select status from billing.subscriptions").fetchall() == [("canceled",)]


class TestMoneyThatGoesBack:
    async def test_a_refund_is_known_before_its_purchase(self, shop: Till, session, standing: Stands, owner):
        await shop.buy(session, FOR_GOOD)
        await acts.refund(await charge_of(shop), 100)
        await tell_only(shop, "charge.refunded")
        assert (standing().access, standing().rules) == (True, ["bought"])
        assert owner.execute("select status, refunded from billing.purchases").fetchall() == [("paid", 100)]

    async def test_a_charge_that_does_not_say_of_which_payment_it_is(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD)
        await shop.catch_up()
        await acts.refund(await charge_of(shop))
        await tell_only(shop, "charge.refunded", payment_intent=None)
        assert standing().rules == ["bought", "refunded"]

    async def test_a_dispute_that_does_not_say_of_which_payment_it_is(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD)
        await shop.catch_up()
        dispute = await acts.open_dispute(await charge_of(shop))
        await acts.close_dispute(dispute["id"], "lost")
        await tell_only(shop, "charge.dispute.closed", payment_intent=None)
        assert standing().rules == ["bought", "charged back"]

    async def test_of_a_subscription_the_operator_is_asked_what_is_to_become_of_it(
        self, shop: Till, session, standing: Stands, caplog
    ):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        dispute = await acts.open_dispute(await charge_of(shop))
        await acts.close_dispute(dispute["id"], "lost")
        await tell_only(shop, "charge.dispute.closed")
        warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert any(dispute["payment_intent"] in line for line in warned)
        assert standing().access


class TestCatalogue:
    async def test_a_product_that_becomes_ours_brings_its_prices(self, shop: Till, owner: psycopg.Connection):
        await shop.api.products.create_async({"id": "drinks", "name": "Drinks"})
        price = await shop.api.prices.create_async(DRINKS)
        await shop.catch_up()
        stored = "select id from billing.prices where product_id = 'drinks'"
        assert owner.execute(stored).fetchall() == []
        await shop.api.products.update_async("drinks", {"metadata": {"sigma": "yes"}})
        await tell_only(shop, "product.updated")
        assert owner.execute(stored).fetchall() == [(price.id,)]

    async def test_a_price_brings_its_product(self, shop: Till, owner: psycopg.Connection):
        await shop.api.products.create_async({"id": "drinks", "name": "Drinks", "metadata": {"sigma": "yes"}})
        await shop.api.prices.create_async(DRINKS)
        await tell_only(shop, "price.created")
        assert owner.execute("select name from billing.products where id = 'drinks'").fetchall() == [("Drinks",)]
        assert owner.execute("select amount from billing.prices where lookup_key = 'drinks'").fetchall() == [(9_00,)]

    async def test_what_stripe_deleted_leaves(self, shop: Till, owner: psycopg.Connection):
        (price,) = (await shop.api.prices.list_async({"lookup_keys": [MONTHLY]})).data
        owner.execute("delete from sigma.sandbox_objects where id = %s", [price.id])  # by nobody's call at Stripe
        about = {"id": price.id, "object": "price"}
        await shop.catch_up([{"id": "evt_1", "type": "price.deleted", "created": 1, "data": {"object": about}}])
        assert owner.execute("select from billing.prices where id = %s", [price.id]).fetchall() == []
        assert owner.execute("select count(*) from billing.prices").fetchone() == (2,)

    async def test_a_product_that_stripe_deleted_leaves(self, shop: Till, owner: psycopg.Connection):
        await shop.api.products.create_async({"id": "drinks", "name": "Drinks", "metadata": {"sigma": "yes"}})
        await tell_only(shop, "product.created")
        known = "select count(*) from billing.products where id = 'drinks'"
        assert owner.execute(known).fetchone() == (1,)
        await shop.api.products.delete_async("drinks")
        await tell_only(shop, "product.deleted")
        assert owner.execute(known).fetchone() == (0,)


class TestSomebodyElses:
    """An event names the customer, and Stripe says whose the object is: where the two differ nothing is theirs."""

    @pytest.fixture
    async def bobs(self, shop: Till, session: Session, sign_in) -> str:
        """A subscription of Bob's, of which nothing was told."""
        bob = await store.find(await store.open_session(await sign_in("bob"), ""))
        assert bob
        await shop.buy(bob, MONTHLY)
        await shop.news()
        return await subscription_of(shop)

    @pytest.mark.parametrize("kind", ["customer.subscription.updated", "invoice.paid"])
    async def test_a_subscription_is_not_written_by_an_event_about_another_customer(
        self, shop: Till, session: Session, standing: Stands, owner, bobs: str, kind
    ):
        whose = {"customer": await checkout.customer_for(session)}
        invoice = {"id": "in_1", "object": "invoice", "parent": {"subscription_details": {"subscription": bobs}}}
        about = invoice if kind.startswith("invoice") else {"id": bobs, "object": "subscription"}
        await shop.catch_up([{"id": "evt_1", "type": kind, "created": 1, "data": {"object": about | whose}}])
        assert (standing().access, standing().rules) == (False, [])
        assert owner.execute("select id from billing.subscriptions").fetchall() == []
        assert owner.execute("select from sigma.webhook_events where handled_at is null").fetchall() == []
