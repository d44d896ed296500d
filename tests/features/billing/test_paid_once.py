"""Nobody pays twice: not beside a subscription that still asks for money, not in a second checkout, not by a retry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import stripe
from stripe.checkout import SessionService

from sigma_app.core.errors import DatabaseBusy
from sigma_app.embedded.stripe import acts, faults
from sigma_app.features.billing import checkout
from sigma_app.features.billing.errors import BoughtAlready, SubscribedAlready
from sigma_app.gateways.payments import PaymentsUnavailable, create_once
from sigma_app.session.store import Session
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, YEARLY, Till

pytestmark = pytest.mark.anyio

STILL_ASKS = ["active", "trialing", "past_due", "unpaid", "paused", "incomplete"]


async def checkouts(shop: Till, **where: Any) -> list[Any]:
    """Those at Stripe."""
    return (await shop.api.checkout.sessions.list_async(where)).data


class TestSubscribed:
    """Whoever may be asked for money again needs no second subscription."""

    @pytest.mark.parametrize("status", STILL_ASKS)
    async def test_as_stripe_says(self, shop: Till, session: Session, owner: psycopg.Connection, status: str):
        await shop.buy(session, MONTHLY)
        owner.execute(
            "update sigma.sandbox_objects set body = body || jsonb_build_object('status', %s::text)"
            " where kind = 'subscription'",
            [status],
        )
        for plan in (MONTHLY, YEARLY):
            with pytest.raises(SubscribedAlready):
                await checkout.open_checkout(session, plan)
        assert await checkouts(shop, status="open") == []

    @pytest.mark.parametrize("status", STILL_ASKS)
    async def test_as_a_customer_that_they_were_once(
        self, shop: Till, session: Session, owner: psycopg.Connection, status: str
    ):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        owner.execute("update billing.subscriptions set status = %s", [status])
        owner.execute("update billing.customers set deleted_at = now()")  # taken for deleted, by another key say
        with pytest.raises(SubscribedAlready):
            await checkout.open_checkout(session, YEARLY)
        assert await checkouts(shop, status="open") == []


class TestOpenAlready:
    """Of what Stripe has open for somebody, one can be paid."""

    async def test_one_that_cannot_be_closed_lets_no_other_be_opened(
        self, shop: Till, session: Session, monkeypatch: pytest.MonkeyPatch
    ):
        async def refused(*_: object) -> None:
            message = "not right now"
            raise stripe.InvalidRequestError(message, None)

        address = await checkout.open_checkout(session, MONTHLY)
        with monkeypatch.context() as broken:
            broken.setattr(SessionService, "expire_async", refused)
            with pytest.raises(PaymentsUnavailable):
                await checkout.open_checkout(session, YEARLY)
        assert [one.url for one in await checkouts(shop, status="open")] == [address]
        await checkout.open_checkout(session, YEARLY)
        assert len(await checkouts(shop, status="open")) == 1

    async def test_one_that_is_paid_while_it_is_closed_counts(
        self, shop: Till, session: Session, monkeypatch: pytest.MonkeyPatch
    ):
        expire = SessionService.expire_async

        async def too_late(sessions: SessionService, identity: str) -> object:
            await acts.pay(identity)
            return await expire(sessions, identity)

        await checkout.open_checkout(session, FOR_GOOD)
        monkeypatch.setattr(SessionService, "expire_async", too_late)
        with pytest.raises(BoughtAlready):
            await checkout.open_checkout(session, MONTHLY)
        assert await checkouts(shop, status="open") == []

    async def test_of_two_for_one_plan_the_later_is_closed(
        self, shop: Till, session: Session, owner: psycopg.Connection
    ):
        address = await checkout.open_checkout(session, MONTHLY)
        (first,) = await checkouts(shop)
        (price,) = (await shop.api.prices.list_async({"lookup_keys": [MONTHLY]})).data
        wanted = {"line_items": [{"price": price.id, "quantity": 1}], "success_url": "https://sigma.example.com"}
        second = await shop.api.checkout.sessions.create_async(
            {**wanted, "mode": "subscription", "customer": first.customer}
        )
        owner.execute(
            "insert into billing.checkouts (id, customer_id, price_id, status, created_at)"
            " values (%s, %s, %s, 'open', now() + interval '1 minute')",
            [second.id, first.customer, price.id],
        )
        assert await checkout.open_checkout(session, MONTHLY) == address
        assert [one.id for one in await checkouts(shop, status="open")] == [first.id]
        statuses = "select status from billing.checkouts order by created_at"
        assert owner.execute(statuses).fetchall() == [("open",), ("expired",)]


class TestNoteThatWasLost:
    """Stripe made it, and our transaction did not come to its end."""

    @pytest.fixture(autouse=True)
    def within_one_while(self, session: Session, clock) -> None:
        """The keys change every ten minutes, and not in the midst of a test."""

    @pytest.fixture
    def lost(self, monkeypatch: pytest.MonkeyPatch):
        """Loses our note of what Stripe makes next of a kind."""

        def lose(kind: str) -> None:
            async def made(create: Any, wanted: Any, key: str) -> Any:
                done = await create_once(create, wanted, key)
                if not key.startswith(f"{kind}/"):
                    return done
                monkeypatch.setattr(checkout, "create_once", create_once)
                raise DatabaseBusy

            monkeypatch.setattr(checkout, "create_once", made)

        return lose

    async def test_it_is_the_same_customer_the_next_time(self, shop: Till, session: Session, lost):
        lost("customer")
        with pytest.raises(DatabaseBusy):
            await checkout.customer_for(session)
        known = await checkout.customer_for(session)
        assert [one.id for one in (await shop.api.customers.list_async()).data] == [known]

    async def test_it_is_the_same_checkout_the_next_time(self, shop: Till, session: Session, lost):
        lost("checkout")
        with pytest.raises(DatabaseBusy):
            await checkout.open_checkout(session, MONTHLY)
        address = await checkout.open_checkout(session, MONTHLY)
        assert [one.url for one in await checkouts(shop)] == [address]

    async def test_who_has_another_address_by_then_is_not_refused_for_it(self, shop: Till, session: Session, lost):
        lost("customer")
        with pytest.raises(DatabaseBusy):
            await checkout.customer_for(session)
        known = await checkout.customer_for(replace(session, email="alice@elsewhere.example.com"))
        assert (await shop.api.customers.retrieve_async(known)).email == "alice@elsewhere.example.com"

    async def test_who_wants_another_plan_by_then_is_not_refused_for_it(self, shop: Till, session: Session, lost):
        lost("checkout")
        with pytest.raises(DatabaseBusy):
            await checkout.open_checkout(session, MONTHLY)
        assert await checkout.open_checkout(session, YEARLY)


async def test_failures_that_stripe_keeps_are_in_nobodys_way_after_a_while(
    shop: Till, session: Session, clock: Callable[[float], None]
):
    await faults.spoil_answers("500", times=1000)
    for _ in range(8):  # until every key of this while has failed
        with pytest.raises(PaymentsUnavailable):
            await checkout.customer_for(session)
    await faults.stop()
    with pytest.raises(PaymentsUnavailable):
        await checkout.customer_for(session)
    clock(600)
    assert await checkout.customer_for(session)
