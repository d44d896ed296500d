"""The mails about money: who gets which, where to, and that none says what is not so any more."""

from __future__ import annotations

import pytest

from sigma_app.embedded.stripe import acts, clocks
from sigma_app.embedded.stripe.books import opened
from sigma_app.features.billing import checkout, jobs
from sigma_app.session.store import Session
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, YEARLY, Till, subscription_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mailing")]


async def to_the_end_of_the_period(shop: Till, days: int = 0) -> None:
    """Let the customer's period pass, or so many days."""
    subscription = (await shop.api.subscriptions.list_async({"status": "all"})).data[0]
    if not days:
        await acts.let_a_period_pass(subscription.id)
        return
    async with opened() as books:
        customer = await books.get("customer", subscription.customer)
        clock = customer["test_clock"] or await clocks.put_on_clock(books, customer)
        now = (await books.get("test_helpers.test_clock", clock))["frozen_time"]
    await acts.advance(clock, now + days * 86_400)


async def test_access_that_opens_and_closes_is_told_once_each(shop: Till, session: Session, post):
    await shop.buy(session, FOR_GOOD)
    assert await post() == [(session.email, "You are in")]
    await acts.refund((await shop.api.charges.list_async()).data[0].id)
    assert await post() == [(session.email, "You are in"), (session.email, "Your access to Sigma has ended")]


async def test_access_that_closed_again_meanwhile_is_not_told_to_be_open(shop: Till, session: Session, post):
    await shop.buy(session, FOR_GOOD)
    await shop.catch_up()
    await acts.refund((await shop.api.charges.list_async()).data[0].id)
    assert [subject for _, subject in await post()] == ["Your access to Sigma has ended"]


async def test_access_that_comes_back_with_a_profile_is_nothing_new(shop: Till, session: Session, post, owner):
    await shop.buy(session, FOR_GOOD)
    await post()
    owner.execute("delete from profiles where id = %s", [session.user_id])
    owner.execute("insert into profiles (id) values (%s)", [session.user_id])
    owner.execute("update procrastinate.procrastinate_jobs set scheduled_at = null")  # a few seconds are over
    assert [subject for _, subject in await post()] == ["You are in"]
    rows = owner.execute("select after, rule from billing.access_changes order by id").fetchall()
    assert rows == [(True, "bought"), (False, "profile deleted"), (True, "bought")]


async def test_access_that_comes_with_a_new_purchase_after_that_is_told(shop: Till, session: Session, post, owner):
    await shop.buy(session, MONTHLY)
    await post()
    owner.execute("delete from profiles where id = %s", [session.user_id])
    await shop.api.subscriptions.cancel_async(await subscription_of(shop))
    await post()
    owner.execute("insert into profiles (id) values (%s)", [session.user_id])
    await shop.buy(session, FOR_GOOD)
    assert [subject for _, subject in await post()] == ["You are in", "You are in"]


async def test_what_is_bought_while_a_subscription_is_overdue_is_told(shop: Till, session: Session, post, monkeypatch):
    await shop.buy(session, MONTHLY)
    customer = await checkout.customer_for(session)
    await acts.set_card(customer, "declines")
    await to_the_end_of_the_period(shop)
    identity = await shop.buy(session, FOR_GOOD, acts.pay_later)
    await post()
    (invoice,) = (await shop.api.invoices.list_async({"customer": customer, "status": "open"})).data
    await acts.pay_invoice(invoice.id, "pays")
    await post()
    await acts.settle_later(identity, succeeds=True)
    assert (await post())[-1] == (session.email, "Sigma is yours for good")


async def test_it_goes_to_the_address_that_was_proved_and_not_to_that_of_the_profile(
    shop: Till, session: Session, post, owner
):
    owner.execute("update profiles set email = 'victim@example.com' where id = %s", [session.user_id])
    await shop.buy(session, FOR_GOOD)
    assert [to for to, _ in await post()] == [session.email]


async def test_a_renewal_that_fails_is_told_with_a_way_out(shop: Till, session: Session, post, owner):
    await shop.buy(session, MONTHLY)
    await post()
    await acts.set_card(await checkout.customer_for(session), "declines")
    await to_the_end_of_the_period(shop)
    assert (await post())[1:] == [(session.email, "Your payment did not go through")]
    ((body,),) = owner.execute("select body from sigma.mailbox order by created_at desc limit 1").fetchall()
    assert "$29.00" in body
    assert "/billing" in body


async def test_a_payment_that_was_made_meanwhile_is_not_asked_for(shop: Till, session: Session, post):
    await shop.buy(session, MONTHLY)
    await post()
    customer = await checkout.customer_for(session)
    await acts.set_card(customer, "declines")
    await to_the_end_of_the_period(shop)
    (invoice,) = (await shop.api.invoices.list_async({"customer": customer, "status": "open"})).data
    await acts.pay_invoice(invoice.id, "pays")
    assert len(await post()) == 1


async def test_a_bank_that_asks_is_told_with_the_place_to_answer(shop: Till, session: Session, post, owner):
    await shop.buy(session, MONTHLY)
    await post()
    await acts.set_card(await checkout.customer_for(session), "asks")
    await to_the_end_of_the_period(shop)
    assert [subject for _, subject in await post()] == ["You are in", "Your bank wants to hear from you"]
    ((body,),) = owner.execute("select body from sigma.mailbox where subject like 'Your bank wants%'").fetchall()
    assert "/sandbox/invoice/" in body
    assert "Access stays until" in body


@pytest.mark.parametrize(("plan", "told"), [(YEARLY, 1), (MONTHLY, 0)])
async def test_only_a_year_is_announced(shop: Till, session: Session, post, plan, told):
    await shop.buy(session, plan)
    await post()
    await to_the_end_of_the_period(shop, days=360 if plan == YEARLY else 25)
    assert len([subject for _, subject in await post() if "renews on" in subject]) == told


async def test_a_debit_that_came_back_is_told(shop: Till, session: Session, post):
    identity = await shop.buy(session, FOR_GOOD, acts.pay_later)
    assert await post() == []
    await acts.settle_later(identity, succeeds=False)
    assert await post() == [(session.email, "Your bank sent the payment back")]


@pytest.mark.parametrize("canceled", [False, True])
async def test_what_is_bought_besides_a_subscription_is_told_once(shop: Till, session, post, owner, canceled):
    await shop.buy(session, MONTHLY)
    await post()
    if canceled:
        await shop.api.subscriptions.update_async(await subscription_of(shop), {"cancel_at_period_end": True})
    identity = await shop.buy(session, FOR_GOOD, acts.pay_later)
    await acts.settle_later(identity, succeeds=True)
    told = [subject for _, subject in await post() if subject != "Your subscription is canceled"]
    assert told == ["You are in", "Sigma is yours for good"]
    ((body,),) = owner.execute("select body from sigma.mailbox where subject like '%for good'").fetchall()
    assert "$690.00" in body
    assert ("Cancel the subscription" in body) is not canceled


async def test_the_portal_follows_a_new_price(shop: Till, post):
    wanted = {"product": "sigma", "currency": "usd", "unit_amount": 31_00, "recurring": {"interval": "month"}}
    made = await shop.api.prices.create_async({**wanted, "lookup_key": MONTHLY, "transfer_lookup_key": True})
    await post()
    products = "data.features.subscription_update.products"
    (portal,) = (await shop.api.billing_portal.configurations.list_async({"expand": [products]})).data
    (offered,) = portal.features.subscription_update.products
    assert made.id in offered.prices
    assert len(offered.prices) == 2


async def test_the_portal_offers_nothing_where_nothing_is_for_sale(shop: Till, post):
    for price in (await shop.api.prices.list_async({"lookup_keys": [MONTHLY, YEARLY]})).data:
        await shop.api.prices.update_async(price.id, {"active": False})
    await post()
    (portal,) = (await shop.api.billing_portal.configurations.list_async()).data
    assert not portal.features.subscription_update.enabled


async def test_a_subscription_by_bank_debit_is_told_as_it_stands(shop: Till, session, post, owner):
    identity = await shop.buy(session, MONTHLY, acts.pay_later)
    assert await post() == [(session.email, "You are in")]
    ((body,),) = owner.execute("select body from sigma.mailbox").fetchall()
    assert "on its way" in body
    await acts.settle_later(identity, succeeds=False)
    assert [subject for _, subject in await post()] == ["You are in", "Your access to Sigma has ended"]
    rules = owner.execute("select rule from billing.access_changes order by id").fetchall()
    assert rules == [("collecting",), ("bounced",)]


async def test_a_cancellation_is_confirmed_once(shop: Till, session, post):
    await shop.buy(session, MONTHLY)
    subscription = await subscription_of(shop)
    for canceled in (True, False, True):
        await shop.api.subscriptions.update_async(subscription, {"cancel_at_period_end": canceled})
        told = [subject for _, subject in await post()]
    assert told.count("Your subscription is canceled") == 2
    await shop.api.subscriptions.update_async(subscription, {"metadata": {"some": "thing"}})
    assert (await post())[-1][1] == "Your subscription is canceled"
    assert len(await post()) == len(told)


async def test_another_address_is_told_to_stripe(shop: Till, session: Session, post, owner):
    customer = await checkout.customer_for(session)
    owner.execute("update auth.users set email = 'new@example.com' where id = %s", [session.user_id])
    await post()
    assert (await shop.api.customers.retrieve_async(customer)).email == "new@example.com"


async def test_at_night_everything_is_compared(shop: Till, session: Session, owner, caplog):
    await shop.buy(session, FOR_GOOD)
    await shop.news()
    await jobs.reconcile_nightly(0)
    assert owner.execute("select has_access from profiles where id = %s", [session.user_id]).fetchone() == (True,)
    assert "missing here" in caplog.text
