"""What the nightly comparison with Stripe finds, and puts right."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from sigma_app.core.errors import DatabaseBusy
from sigma_app.embedded.stripe import acts
from sigma_app.features.billing import checkout, jobs, turns
from sigma_app.features.billing import reconcile as reconciling
from sigma_app.features.billing.turns import Line, turn
from sigma_app.gateways import stripe_objects
from sigma_app.gateways.payments import PaymentsRefused, PaymentsUnavailable
from sigma_app.session import store
from sigma_app.session.store import Session
from tests.features.billing.conftest import (
    FOR_GOOD,
    MONTHLY,
    Stands,
    Till,
    compared,
    subscription_of,
)

pytestmark = pytest.mark.anyio


async def test_a_lost_event_is_found_and_repaired(shop: Till, session, standing: Stands):
    await shop.buy(session, MONTHLY)
    await shop.news()
    report = await compared()
    assert standing().access
    assert any("missing here" in line for line in report.repaired)
    assert (await compared()).repaired == []


async def test_a_lost_end_is_found_and_repaired(shop: Till, session, standing: Stands):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    await shop.api.subscriptions.cancel_async(await subscription_of(shop))
    await compared()
    assert not standing().access


async def test_access_that_nobody_paid_for_is_taken_back(shop: Till, session, standing: Stands, owner):
    owner.execute("update profiles set has_access = true where id = %s", [session.user_id])
    report = await compared()
    assert not standing().access
    assert any("had access" in line for line in report.repaired)
    assert standing().rules == ["by hand", "nothing"]


async def test_what_stripe_knows_no_more_opens_nothing(shop: Till, session, standing: Stands, owner):
    await shop.buy(session, MONTHLY)
    await shop.buy(session, FOR_GOOD)
    await shop.catch_up()
    owner.execute("delete from sigma.sandbox_objects where kind in ('checkout.session', 'subscription')")
    await compared()
    assert (standing().access, standing().rules[-1]) == (False, "gone")


async def test_prices_are_put_right_and_what_is_gone_leaves(shop: Till, owner):
    owner.execute("update billing.prices set amount = 1 where lookup_key = %s", [MONTHLY])
    owner.execute("insert into billing.products (id, name, active) values ('prod_gone', 'Gone', true)")
    report = await compared()
    assert len(report.repaired) == 2
    assert owner.execute("select amount from billing.prices where lookup_key = %s", [MONTHLY]).fetchone() == (29_00,)
    assert owner.execute("select from billing.products where id = 'prod_gone'").fetchone() is None


async def test_more_than_a_page_of_everything(shop: Till, session, sign_in, monkeypatch):
    monkeypatch.setattr(stripe_objects, "PAGE", 2)
    for name in ("bob", "charlie", "dora", "emil", "frida"):
        somebody = await store.find(await store.open_session(await sign_in(name), ""))
        assert somebody
        await shop.buy(somebody, FOR_GOOD)
    report = await compared()
    assert len([line for line in report.repaired if "missing here" in line]) == 5


@pytest.mark.parametrize("trouble", [PaymentsRefused, PaymentsUnavailable, DatabaseBusy])
async def test_one_who_cannot_be_read_keeps_nobody_else_from_it(
    shop: Till, session: Session, sign_in, owner, monkeypatch, trouble
):
    bob = await store.find(await store.open_session(await sign_in("bob"), ""))
    assert bob
    for somebody in (session, bob):
        await shop.buy(somebody, FOR_GOOD)
    refused, read_second = sorted((session, bob), key=lambda one: one.user_id)
    read_all = reconciling._read_all

    async def read(transaction, customer):
        if customer.user_id == refused.user_id:
            raise trouble
        await read_all(transaction, customer)

    monkeypatch.setattr(reconciling, "_read_all", read)
    report = await compared()
    assert report.left[-1] == f"{refused.user_id}: could not be repaired: {trouble.__name__}"
    assert "missing here" in report.left[0]
    assert owner.execute("select id from profiles where has_access").fetchall() == [(read_second.user_id,)]


async def test_whoever_comes_while_it_runs_is_no_stranger(shop: Till, session: Session, monkeypatch):
    users = reconciling._users
    await shop.buy(session, MONTHLY)
    asked = []

    async def once_nobody():
        asked.append(1)
        return {} if len(asked) == 1 else await users()

    monkeypatch.setattr(reconciling, "_users", once_nobody)
    assert (await compared()).left == []


async def test_what_was_found_is_in_the_log_although_stripe_went_away(shop: Till, session, monkeypatch, owner, caplog):
    owner.execute("update billing.prices set amount = 1 where lookup_key = %s", [MONTHLY])

    def away(*_):
        raise PaymentsUnavailable

    monkeypatch.setattr(stripe_objects, "all_subscriptions", away)
    with pytest.raises(PaymentsUnavailable):
        await jobs.reconcile_nightly(0)
    assert "amount was 1, is 2900" in caplog.text


async def test_where_nothing_differs_nobody_is_disturbed(
    shop: Till, session: Session, standing: Stands, owner_url: str
):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    with psycopg.connect(owner_url, autocommit=True) as listening:
        listening.execute("listen sigma_billing")
        assert (await compared()).repaired == []
        assert list(listening.notifies(timeout=0.2)) == []
    assert standing().access


async def test_after_a_payment_that_failed_access_stays_for_seven_days(
    shop: Till, session: Session, standing: Stands, owner: psycopg.Connection
):
    await shop.buy(session, MONTHLY)
    subscription = await subscription_of(shop)
    await acts.set_card(await checkout.customer_for(session), "declines")
    await acts.let_a_period_pass(subscription)
    made_out = (
        "update sigma.sandbox_objects set body = jsonb_set(body, '{status_transitions,finalized_at}',"
        " to_jsonb(extract(epoch from now() - %s)::bigint)) where kind = 'invoice' and body ->> 'status' = 'open'"
    )
    for days, stands in (
        (timedelta(days=6, hours=23), (True, "grace")),
        (timedelta(days=7, hours=1), (False, "overdue")),
    ):
        owner.execute(made_out, [days])
        await compared()
        assert (standing().access, standing().rules[-1]) == stands


async def test_who_is_charged_and_nobody_here_is_left_to_a_person_until_it_ends(shop: Till):
    stranger = (await shop.api.customers.create_async({"email": "stranger@example.com"})).id
    await acts.set_card(stranger, "pays")
    (price,) = (await shop.api.prices.list_async({"lookup_keys": [MONTHLY]})).data
    begun = await shop.api.subscriptions.create_async({"customer": stranger, "items": [{"price": price.id}]})
    (line,) = (await compared()).left
    assert line.startswith(f"{begun.id}: is charged, and its customer {stranger} is nobody here")
    await shop.api.subscriptions.cancel_async(begun.id)
    assert (await compared()).left == []


class TestTakenForDeleted:
    """A customer whom Stripe knows, and we have as deleted: for a while another key was asked, say."""

    async def mistaken(self, shop: Till, session: Session, owner: psycopg.Connection) -> str:
        """Who Alice is, with a subscription."""
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        customer = await checkout.customer_for(session)
        owner.execute("update billing.customers set deleted_at = now()")
        owner.execute("update billing.subscriptions set status = 'gone'")
        return customer

    async def test_they_are_one_again(self, shop: Till, session: Session, standing: Stands, owner):
        customer = await self.mistaken(shop, session, owner)
        assert (await compared()).left == []
        assert (standing().access, standing().customer) == (True, customer)
        assert await checkout.customer_for(session) == customer
        assert (await compared()).repaired == []

    async def test_unless_another_has_taken_their_place(self, shop: Till, session: Session, standing: Stands, owner):
        await self.mistaken(shop, session, owner)
        other = await checkout.customer_for(session)
        assert (await compared()).left == []
        assert (standing().access, standing().customer) == (True, other)
        assert await checkout.customer_for(session) == other


async def test_a_look_waits_for_its_turn(shop: Till, session: Session, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(turns.PATIENCE, Line.WORKER, 0.05)
    async with turn(Line.WORKER, str(session.user_id)):
        with pytest.raises(PaymentsUnavailable):
            await reconciling.look_again(session.user_id, "test")
    await reconciling.look_again(session.user_id, "test")
