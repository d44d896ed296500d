"""What the nightly comparison with Stripe finds, and puts right."""

from __future__ import annotations

import psycopg
import pytest

from sigma_app.features.billing import reconcile as reconciling
from sigma_app.features.billing.reconcile import reconcile
from sigma_app.gateways import stripe_objects
from sigma_app.gateways.payments import PaymentsRefused
from sigma_app.session import store
from sigma_app.session.store import Session
from tests.features.billing.conftest import (
    FOR_GOOD,
    MONTHLY,
    Stands,
    Till,
    subscription_of,
)

pytestmark = pytest.mark.anyio


async def test_a_lost_event_is_found_and_repaired(shop: Till, session, standing: Stands):
    await shop.buy(session, MONTHLY)
    await shop.news()
    report = await reconcile()
    assert standing().access
    assert any("missing here" in line for line in report.found)
    assert (await reconcile()).found == []


async def test_a_lost_end_is_found_and_repaired(shop: Till, session, standing: Stands):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    await shop.api.subscriptions.cancel_async(await subscription_of(shop))
    await reconcile()
    assert not standing().access


async def test_access_that_nobody_paid_for_is_taken_back(shop: Till, session, standing: Stands, owner):
    owner.execute("update profiles set has_access = true where id = %s", [session.user_id])
    report = await reconcile()
    assert not standing().access
    assert any("had access" in line for line in report.found)
    assert standing().rules == ["by hand", "nothing"]


async def test_what_stripe_knows_no_more_opens_nothing(shop: Till, session, standing: Stands, owner):
    await shop.buy(session, MONTHLY)
    await shop.buy(session, FOR_GOOD)
    await shop.catch_up()
    owner.execute("delete from sigma.sandbox_objects where kind in ('checkout.session', 'subscription')")
    await reconcile()
    assert (standing().access, standing().rules[-1]) == (False, "gone")


async def test_prices_are_put_right_and_what_is_gone_leaves(shop: Till, owner):
    owner.execute("update billing.prices set amount = 1 where lookup_key = %s", [MONTHLY])
    owner.execute("insert into billing.products (id, name, active) values ('prod_gone', 'Gone', true)")
    report = await reconcile()
    assert len(report.found) == 2
    assert owner.execute("select amount from billing.prices where lookup_key = %s", [MONTHLY]).fetchone() == (29_00,)
    assert owner.execute("select from billing.products where id = 'prod_gone'").fetchone() is None


async def test_more_than_a_page_of_everything(shop: Till, session, sign_in, monkeypatch):
    monkeypatch.setattr(stripe_objects, "PAGE", 2)
    for name in ("bob", "charlie", "dora", "emil", "frida"):
        somebody = await store.find(await store.open_session(await sign_in(name), ""))
        assert somebody
        await shop.buy(somebody, FOR_GOOD)
    report = await reconcile()
    assert len([line for line in report.found if "missing here" in line]) == 5


async def test_one_who_cannot_be_read_keeps_nobody_else_from_it(
    shop: Till, session: Session, sign_in, owner, monkeypatch
):
    bob = await store.find(await store.open_session(await sign_in("bob"), ""))
    assert bob
    for somebody in (session, bob):
        await shop.buy(somebody, FOR_GOOD)
    refused, read_second = sorted((session, bob), key=lambda one: one.user_id)
    read_all = reconciling._read_all

    async def read(transaction, customer):
        if customer.user_id == refused.user_id:
            raise PaymentsRefused
        await read_all(transaction, customer)

    monkeypatch.setattr(reconciling, "_read_all", read)
    report = await reconcile()
    assert f"{refused.user_id}: could not be compared: PaymentsRefused" in report.found
    assert owner.execute("select id from profiles where has_access").fetchall() == [(read_second.user_id,)]


async def test_where_nothing_differs_nobody_is_disturbed(
    shop: Till, session: Session, standing: Stands, owner_url: str
):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    with psycopg.connect(owner_url, autocommit=True) as listening:
        listening.execute("listen sigma_billing")
        assert (await reconcile()).found == []
        assert list(listening.notifies(timeout=0.2)) == []
    assert standing().access
