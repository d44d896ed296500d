"""An account that goes, its customer with it, and what billing keeps about somebody."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from sigma_app.core.database import SERVICE, get_database
from sigma_app.embedded.stripe import acts
from sigma_app.features.billing import checkout, jobs, records
from sigma_app.features.billing.errors import DebitUnderWay
from sigma_app.features.billing.service import close_customer, refuse_while_under_way, what_is_kept
from tests.features.billing.conftest import (
    FOR_GOOD,
    MONTHLY,
    Till,
    compared,
)

pytestmark = pytest.mark.anyio


async def test_the_customer_goes_and_the_subscription_with_it(shop: Till, session):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    customer = await checkout.customer_for(session)
    await close_customer(session.user_id)
    assert (await shop.api.customers.retrieve_async(customer)).deleted
    (subscription,) = (await shop.api.subscriptions.list_async({"status": "all"})).data
    assert subscription.status == "canceled"
    await close_customer(session.user_id)


async def test_an_account_that_is_deleted_elsewhere_takes_its_customer_along(
    shop: Till, session, owner: psycopg.Connection
):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    customer = await checkout.customer_for(session)
    owner.execute("delete from auth.users where id = %s", [session.user_id])
    queued = "select args ->> 'customer' from procrastinate.procrastinate_jobs where task_name = %s"
    assert owner.execute(queued, ["billing:close_customer"]).fetchall() == [(customer,)]
    report = await compared()
    assert any("is charged, and its customer" in line for line in report.left)
    await jobs.close_customer(customer)
    await jobs.close_customer(customer)
    (subscription,) = (await shop.api.subscriptions.list_async({"status": "all"})).data
    assert subscription.status == "canceled"


async def test_a_deletion_beside_the_events_that_it_causes_is_no_deadlock(shop: Till, session, owner_url: str):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    held, deleting = asyncio.Event(), asyncio.Event()

    async def settle() -> None:
        async with get_database().transaction(SERVICE) as transaction:
            await records.lock_user(transaction, session.user_id)
            held.set()
            await deleting.wait()
            await asyncio.sleep(0.2)  # the deletion has begun, and waits
            await records.settle(transaction, session.user_id, "test")

    async def delete() -> None:
        async with await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as connection:
            await held.wait()
            deleting.set()
            await connection.execute("delete from auth.users where id = %s", [session.user_id])

    await asyncio.gather(settle(), delete())


async def test_what_is_kept_is_told(shop: Till, session):
    await shop.buy(session, MONTHLY)
    await shop.catch_up()
    kept = await what_is_kept(session.user_id, session.actor)
    assert {name: len(rows) for name, rows in kept.items()} == {
        "customers": 1,
        "purchases": 0,
        "subscriptions": 1,
        "access": 1,
    }


async def test_who_of_us_changed_something_by_hand_is_not_told(shop: Till, session, owner):
    owner.execute("update profiles set has_access = true where id = %s", [session.user_id])
    (change,) = (await what_is_kept(session.user_id, session.actor))["access"]
    assert change["rule"] == "by hand"
    assert "cause" not in change


@pytest.mark.parametrize("comes_in", [True, False])
@pytest.mark.parametrize("plan", [FOR_GOOD, MONTHLY])
async def test_nobody_goes_while_a_debit_of_theirs_is_on_its_way(shop: Till, session, plan: str, comes_in: bool):
    identity = await shop.buy(session, plan, acts.pay_later)
    await shop.catch_up()
    with pytest.raises(DebitUnderWay):
        await refuse_while_under_way(session.user_id)
    await acts.settle_later(identity, succeeds=comes_in)
    await shop.catch_up()
    await refuse_while_under_way(session.user_id)


async def test_what_is_paid_for_an_account_that_is_gone_is_said(shop: Till, session, owner, caplog):
    identity = await shop.buy(session, FOR_GOOD, acts.pay_later)
    owner.execute("delete from auth.users where id = %s", [session.user_id])
    await shop.catch_up()
    assert "give it back" not in caplog.text
    await acts.settle_later(identity, succeeds=True)
    await shop.catch_up()
    assert f"give it back at Stripe: {identity}" in caplog.text
