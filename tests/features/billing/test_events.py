"""What follows from Stripe's events: access, its record, and rows that equal Stripe's, in whatever order they come."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import psycopg
import pytest

from sigma_app.core.database import SERVICE, get_database
from sigma_app.embedded.stripe import acts, faults
from sigma_app.features.billing import checkout, events, records, work
from sigma_app.features.billing.access import GRACE
from sigma_app.features.billing.errors import NotForSale
from sigma_app.features.billing.reconcile import look_again
from sigma_app.gateways import stripe_objects
from sigma_app.gateways.payments import PaymentsUnavailable
from sigma_app.session import store
from sigma_app.session.store import Session
from tests.features.billing.conftest import (
    FOR_GOOD,
    MONTHLY,
    YEARLY,
    Stands,
    Till,
    charge_of,
    compared,
    subscription_of,
)

pytestmark = pytest.mark.anyio


class TestSinglePayment:
    async def test_paid_it_opens_and_refunded_in_full_it_closes(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD)
        assert not standing().access
        await shop.catch_up()
        now = standing()
        assert (now.access, now.rules) == (True, ["bought"])
        assert now.customer == await checkout.customer_for(session)
        await shop.api.refunds.create_async({"charge": await charge_of(shop), "amount": 100})
        await shop.catch_up()
        assert standing().access
        await shop.api.refunds.create_async({"charge": await charge_of(shop)})
        await shop.catch_up()
        assert (standing().access, standing().rules) == (False, ["bought", "refunded"])

    async def test_a_refund_that_comes_back_opens_again(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD)
        refund = await shop.api.refunds.create_async({"charge": await charge_of(shop)})
        await shop.catch_up()
        assert not standing().access
        await acts.fail_refund(refund.id)
        await shop.catch_up()
        assert standing().access

    async def test_a_dispute_keeps_it_open_until_it_is_lost(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD)
        dispute = await acts.open_dispute(await charge_of(shop))
        await shop.catch_up()
        assert (standing().access, standing().rules[-1]) == (True, "disputed")
        await acts.close_dispute(dispute["id"], "lost")
        await shop.catch_up()
        assert (standing().access, standing().rules[-1]) == (False, "charged back")

    async def test_a_bank_debit_opens_when_it_is_there(self, shop: Till, session, standing: Stands):
        identity = await shop.buy(session, FOR_GOOD, acts.pay_later)
        await shop.catch_up()
        assert (standing().access, standing().rules) == (False, ["processing"])
        await acts.settle_later(identity, succeeds=True)
        await shop.catch_up()
        assert (standing().access, standing().rules) == (True, ["processing", "bought"])

    async def test_a_bank_debit_that_comes_back_opens_nothing(self, shop: Till, session, standing: Stands):
        identity = await shop.buy(session, FOR_GOOD, acts.pay_later)
        await acts.settle_later(identity, succeeds=False)
        await shop.catch_up()
        assert (standing().access, standing().rules[-1]) == (False, "failed")
        assert await checkout.open_checkout(session, FOR_GOOD)

    async def test_declined_it_opens_nothing_and_can_be_paid_after_all(self, shop: Till, session, standing: Stands):
        identity = await shop.buy(session, FOR_GOOD, acts.decline)
        await shop.catch_up()
        assert (standing().access, standing().rules) == (False, [])
        await acts.pay(identity)
        await shop.catch_up()
        assert standing().access


class TestSubscription:
    async def test_it_opens_and_closes_when_it_is_canceled(self, shop: Till, session, standing: Stands, owner):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        assert (standing().access, standing().rules) == (True, ["subscribed"])
        await shop.api.subscriptions.update_async(await subscription_of(shop), {"cancel_at_period_end": True})
        await shop.catch_up()
        assert standing().access
        assert owner.execute("select cancel_at = current_period_end from billing.subscriptions").fetchall() == [(True,)]
        await shop.api.subscriptions.cancel_async(await subscription_of(shop))
        await shop.catch_up()
        assert (standing().access, standing().rules) == (False, ["subscribed", "ended"])

    async def test_another_plan_is_another_price(self, shop: Till, session, standing: Stands):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        before = standing().price
        (yearly,) = (await shop.api.prices.list_async({"lookup_keys": [YEARLY]})).data
        found = await shop.api.subscriptions.retrieve_async(await subscription_of(shop))
        item = found["items"].data[0].id
        await shop.api.subscriptions.update_async(found.id, {"items": [{"id": item, "price": yearly.id}]})
        await shop.catch_up()
        assert standing().price == yearly.id != before

    async def test_a_price_that_is_none_of_ours_opens_nothing(self, shop: Till, session, standing: Stands):
        other = await shop.api.products.create_async({"name": "A T-shirt"})
        price = await shop.api.prices.create_async(
            {"product": other.id, "currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}}
        )
        customer = await checkout.customer_for(session)
        await acts.set_card(customer, "pays")
        await shop.api.subscriptions.create_async({"customer": customer, "items": [{"price": price.id}]})
        await shop.catch_up()
        assert not standing().access

    async def test_deleting_the_customer_at_stripe_ends_it(self, shop: Till, session, standing: Stands):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        await shop.api.customers.delete_async(await checkout.customer_for(session))
        await shop.catch_up()
        assert (standing().access, standing().customer) == (False, None)


class TestCatalogue:
    async def test_a_subscription_that_moves_to_something_else_opens_nothing(
        self, shop: Till, session, standing: Stands
    ):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        other = await shop.api.products.create_async({"name": "Consulting"})
        price = await shop.api.prices.create_async(
            {"product": other.id, "currency": "usd", "unit_amount": 1, "recurring": {"interval": "month"}}
        )
        found = await shop.api.subscriptions.retrieve_async(await subscription_of(shop))
        item = found["items"].data[0].id
        await shop.api.subscriptions.update_async(found.id, {"items": [{"id": item, "price": price.id}]})
        await shop.catch_up()
        assert (standing().access, standing().rules[-1]) == (False, "other")
        assert (await compared()).repaired == []

    async def test_a_stale_reading_of_a_price_does_not_win(self, shop: Till, owner: psycopg.Connection, monkeypatch):
        (old,) = (await shop.api.prices.list_async({"lookup_keys": [MONTHLY]})).data
        read, go_on = asyncio.Event(), asyncio.Event()
        really = stripe_objects.read_price

        async def slowly(price: str):
            found = await really(price)
            if not read.is_set():  # the first reader: Stripe's answer is old by the time it comes
                read.set()
                await go_on.wait()
            return found

        monkeypatch.setattr(stripe_objects, "read_price", slowly)

        async def read_one(price: str) -> None:
            async with get_database().transaction(SERVICE) as transaction:
                await records.read_price(transaction, price)

        first = asyncio.create_task(read_one(old.id))
        await read.wait()
        wanted = {"product": "sigma", "currency": "usd", "unit_amount": 49_00, "recurring": {"interval": "month"}}
        new = await shop.api.prices.create_async({**wanted, "lookup_key": MONTHLY, "transfer_lookup_key": True})
        others = [asyncio.create_task(read_one(price)) for price in (old.id, new.id)]
        go_on.set()
        await asyncio.gather(first, *others)
        holds = owner.execute("select id, amount from billing.prices where lookup_key = %s", [MONTHLY]).fetchall()
        assert holds == [(new.id, 49_00)]

    async def test_a_product_that_is_ours_no_more_is_not_for_sale(self, shop: Till, session):
        await shop.api.products.update_async("sigma", {"metadata": {"sigma": ""}})
        await shop.catch_up()
        with pytest.raises(NotForSale):
            await checkout.open_checkout(session, MONTHLY)


async def test_grace_ends_by_itself(shop: Till, session, standing: Stands, owner: psycopg.Connection):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    set_past_due = "update billing.subscriptions set status = 'past_due', past_due_since = now() - %s"

    async def settle() -> None:
        async with get_database().transaction(SERVICE) as transaction:
            await records.lock_user(transaction, session.user_id)
            await records.settle(transaction, session.user_id, "test")

    owner.execute(set_past_due, [timedelta(days=1)])
    await settle()
    assert (standing().access, standing().rules[-1]) == (True, "grace")
    queued = "select scheduled_at - now() from procrastinate.procrastinate_jobs where task_name = 'billing:look_again'"
    ((wait,),) = owner.execute(queued).fetchall()
    assert timedelta(0) < GRACE - timedelta(days=1) - wait < timedelta(minutes=1)
    owner.execute(set_past_due, [GRACE])
    await settle()
    assert (standing().access, standing().rules[-1]) == (False, "overdue")


class TestDelivery:
    async def a_life(self, shop: Till, session: Session) -> list[dict]:
        """A purchase that is disputed and won, a subscription that is canceled, and all that was told of it."""
        await shop.buy(session, MONTHLY)
        await shop.api.subscriptions.update_async(await subscription_of(shop), {"cancel_at_period_end": True})
        await shop.buy(session, FOR_GOOD)
        charges = (await shop.api.charges.list_async()).data
        dispute = await acts.open_dispute(next(one.id for one in charges if one.amount == 690_00))
        await acts.close_dispute(dispute["id"], "won")
        await shop.api.subscriptions.cancel_async(await subscription_of(shop))
        return await shop.news()

    @pytest.mark.parametrize("seed", range(5))
    async def test_twice_and_in_any_order_it_ends_the_same(self, shop: Till, session, standing: Stands, seed):
        told = await self.a_life(shop, session)
        order = [*told, *told]
        random.Random(seed).shuffle(order)  # noqa: S311
        await shop.catch_up(order)
        assert (standing().access, standing().rules[-1]) == (True, "bought")
        assert (await compared()).repaired == []

    async def test_all_at_once_it_ends_the_same(self, shop: Till, session, standing: Stands):
        told = await self.a_life(shop, session)
        await asyncio.gather(*(shop.tell(event) for event in [*told, *told]))
        await asyncio.gather(*(work.work(event["id"]) for event in [*told, *told]))
        assert (standing().access, standing().rules[-1]) == (True, "bought")
        assert (await compared()).repaired == []

    async def test_one_event_worked_a_hundred_times_at_once_has_one_effect(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD)
        told = await shop.news()
        for event in told:
            await shop.tell(event)
        await asyncio.gather(*(work.work(told[-1]["id"]) for _ in range(100)))
        assert standing().rules == ["bought"]

    async def test_without_any_event_a_look_finds_it_all(self, shop: Till, session, standing: Stands):
        await self.a_life(shop, session)
        await look_again(session.user_id, "test")
        assert (standing().access, standing().rules) == (True, ["bought"])

    async def test_an_event_that_lies_changes_nothing(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD, acts.decline)
        customer = await checkout.customer_for(session)
        about = {"id": "cs_test_made_up", "object": "checkout.session", "customer": customer, "payment_status": "paid"}
        lie = {"id": "evt_lie", "type": "checkout.session.completed", "created": 1, "data": {"object": about}}
        await shop.catch_up([lie])
        assert (standing().access, standing().rules) == (False, [])

    async def test_an_event_about_somebody_elses_checkout_changes_nothing(
        self, shop: Till, session, standing: Stands, sign_in
    ):
        bob = await store.find(await store.open_session(await sign_in("bob"), ""))
        assert bob
        bobs = await shop.buy(bob, FOR_GOOD)
        about = {"id": bobs, "object": "checkout.session", "customer": await checkout.customer_for(session)}
        await shop.catch_up(
            [{"id": "evt_1", "type": "checkout.session.completed", "created": 1, "data": {"object": about}}]
        )
        assert not standing().access


class TestTrouble:
    async def test_an_event_waits_while_stripe_is_away_and_is_worked_later(
        self, shop: Till, session, standing: Stands, owner
    ):
        await shop.buy(session, FOR_GOOD)
        told = await shop.news()
        for event in told:
            await shop.tell(event)
        await faults.spoil_answers("500", times=100)
        (paid,) = [event for event in told if event["type"] == "checkout.session.completed"]
        with pytest.raises(PaymentsUnavailable):
            await work.work(paid["id"])
        assert not standing().access
        waits = "select handled_at, tries, error from sigma.webhook_events where id = %s"
        ((handled_at, tries, error),) = owner.execute(waits, [paid["id"]]).fetchall()
        assert (handled_at, tries) == (None, 1)
        assert error.startswith("PaymentsUnavailable: Stripe does not answer")
        await faults.stop()
        for event in told:
            await work.work(event["id"])
        assert standing().access
        assert owner.execute("select count(*) from sigma.webhook_events where handled_at is null").fetchone() == (0,)

    async def test_one_that_cannot_be_worked_stands_in_nobodys_way(
        self, shop: Till, session, standing: Stands, owner, monkeypatch
    ):
        async def broken(*_) -> None:
            raise RuntimeError("alice@example.com")

        monkeypatch.setitem(events.HANDLERS, "charge.succeeded", broken)
        await shop.buy(session, FOR_GOOD)
        told = await shop.news()
        for event in told:
            await shop.tell(event)
        for event in told:
            if event["type"] != "charge.succeeded":
                await work.work(event["id"])
        assert standing().access
        waiting = "select type, error from sigma.webhook_events where handled_at is null"
        ((kind, error),) = owner.execute(waiting).fetchall()
        assert kind == "charge.succeeded"
        assert "RuntimeError" in error
        assert "alice" not in error

    async def test_a_worker_that_dies_in_between_leaves_nothing_half_done(self, shop: Till, session, standing: Stands):
        await shop.buy(session, FOR_GOOD)
        told = await shop.news()
        for event in told:
            await shop.tell(event)
        for pause in (0, 0.001, 0.005, 0.02):
            task = asyncio.create_task(work.work(told[-1]["id"]))
            await asyncio.sleep(pause)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await work.work(told[-1]["id"])
        assert standing().rules == ["bought"]


async def test_who_pays_is_a_customer_of_the_waitlist(shop: Till, session, owner):
    owner.execute("insert into leads (email) values (%s)", [session.email])
    await shop.buy(session, FOR_GOOD)
    await shop.catch_up()
    assert owner.execute("select status from leads").fetchone() == ("customer",)
