"""Opening a checkout: one customer, one checkout, one subscription, and no price but ours."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
import pytest

from sigma_app.embedded.stripe import acts, faults
from sigma_app.embedded.stripe.books import opened
from sigma_app.features.billing import checkout, http
from sigma_app.features.billing.errors import BoughtAlready, NotForSale, NothingToManage, OnItsWay, SubscribedAlready
from sigma_app.features.billing.reconcile import Report, back_fill
from sigma_app.features.billing.setup import set_up
from sigma_app.gateways.payments import PaymentsUnavailable, create_once
from sigma_app.session import store
from sigma_app.session.store import Session
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, YEARLY, Stands, Till

pytestmark = pytest.mark.anyio


def customers(owner: psycopg.Connection) -> list[tuple]:
    return owner.execute("select id, deleted_at is not null from billing.customers order by created_at").fetchall()


async def test_it_names_who_pays_and_what_for(shop: Till, session: Session):
    address = await checkout.open_checkout(session, YEARLY)
    ((opened),) = (await shop.api.checkout.sessions.list_async({"expand": ["data.line_items"]})).data
    assert address == opened.url
    assert opened.client_reference_id == opened.metadata["sigma_user"] == str(session.user_id)
    assert opened.metadata["plan"] == YEARLY
    assert (opened.mode, opened.line_items.data[0].price.lookup_key) == ("subscription", YEARLY)
    customer = await shop.api.customers.retrieve_async(opened.customer)
    assert (customer.email, customer.metadata["sigma_user"]) == (session.email, str(session.user_id))


async def test_a_single_payment_asks_for_an_invoice(shop: Till, session: Session):
    await checkout.open_checkout(session, FOR_GOOD)
    ((opened),) = (await shop.api.checkout.sessions.list_async()).data
    assert opened.mode == "payment"
    assert opened.invoice_creation.enabled


@pytest.mark.parametrize("variables", [{"STRIPE_PROMOTION_CODES": "on", "STRIPE_AUTOMATIC_TAX": "on"}])
async def test_promotion_codes_and_tax_are_asked_for_where_they_are_wanted(shop: Till, session: Session):
    await checkout.open_checkout(session, MONTHLY)
    ((opened),) = (await shop.api.checkout.sessions.list_async()).data
    assert opened.allow_promotion_codes
    assert opened.automatic_tax.enabled


@pytest.mark.parametrize("variables", [{"STRIPE_AUTOMATIC_TAX": "on"}])
async def test_tax_goes_by_the_address_that_is_typed_at_the_checkout(shop: Till, session: Session, monkeypatch):
    asked = []

    async def create(create, wanted, key):
        asked.append(wanted)
        return await create_once(create, wanted, key)

    monkeypatch.setattr(checkout, "create_once", create)  # no object of Stripe's says it afterwards
    await checkout.open_checkout(session, MONTHLY)
    assert asked[-1]["customer_update"] == {"address": "auto"}


@pytest.mark.parametrize("plan", [MONTHLY, FOR_GOOD])
async def test_what_is_paid_says_in_stripes_dashboard_whose_it_is(shop: Till, session: Session, plan: str):
    await shop.buy(session, plan)
    paid = shop.api.subscriptions if plan == MONTHLY else shop.api.payment_intents
    ((made),) = (await paid.list_async()).data
    assert (made.metadata["sigma_user"], made.metadata["plan"]) == (str(session.user_id), plan)


@pytest.mark.parametrize("variables", [{"STRIPE_PROMOTION_CODES": "on"}])
async def test_a_code_that_takes_everything_off_buys_it_as_well(
    shop: Till, session: Session, owner: psycopg.Connection, standing: Stands
):
    await shop.api.coupons.create_async({"id": "friends", "percent_off": 100, "duration": "once"})
    await shop.api.promotion_codes.create_async(
        {"promotion": {"type": "coupon", "coupon": "friends"}, "code": "FRIENDS"}
    )

    async def pay_with_code(identity: str) -> None:
        await acts.promote(identity, "FRIENDS")
        await acts.pay(identity)

    await shop.buy(session, FOR_GOOD, pay_with_code)
    await shop.catch_up()
    assert owner.execute("select amount, payment_intent from billing.purchases").fetchall() == [(0, None)]
    assert (standing().access, standing().rules) == (True, ["bought"])
    with pytest.raises(BoughtAlready):
        await checkout.open_checkout(session, FOR_GOOD)


class TestCustomer:
    async def test_two_tabs_at_once_make_one(self, shop: Till, session: Session, owner):
        found = await asyncio.gather(*(checkout.customer_for(session) for _ in range(8)))
        assert len(set(found)) == 1
        assert customers(owner) == [(found[0], False)]
        assert len((await shop.api.customers.list_async()).data) == 1

    async def test_an_answer_that_was_lost_makes_no_second_one(self, shop: Till, session: Session):
        await faults.spoil_answers("lost")
        known = await checkout.customer_for(session)
        assert [one.id for one in (await shop.api.customers.list_async()).data] == [known]

    async def test_one_that_was_deleted_at_stripe_is_made_anew(self, shop: Till, session: Session, owner):
        former = await checkout.customer_for(session)
        await shop.api.customers.delete_async(former)
        assert await checkout.open_checkout(session, MONTHLY)
        (deleted, living) = customers(owner)
        assert deleted == (former, True)
        assert living[1] is False
        assert await checkout.open_portal(session)

    async def test_the_portal_knows_one_deleted_as_well(self, shop: Till, session: Session, owner):
        former = await checkout.customer_for(session)
        await shop.api.customers.delete_async(former)
        assert await checkout.open_portal(session)
        assert len(customers(owner)) == 2


class TestSecond:
    async def test_a_second_click_finds_the_same_checkout(self, shop: Till, session: Session):
        assert await checkout.open_checkout(session, MONTHLY) == await checkout.open_checkout(session, MONTHLY)

    async def test_two_tabs_at_once_open_one_checkout(self, shop: Till, session: Session):
        found = await asyncio.gather(*(checkout.open_checkout(session, MONTHLY) for _ in range(5)))
        assert len(set(found)) == 1
        assert len((await shop.api.checkout.sessions.list_async()).data) == 1

    async def test_another_plan_closes_the_first_checkout(self, shop: Till, session: Session):
        first = (await checkout.open_checkout(session, MONTHLY)).rpartition("/")[2]
        await checkout.open_checkout(session, YEARLY)
        assert (await shop.api.checkout.sessions.retrieve_async(first)).status == "expired"

    async def test_an_expired_checkout_is_opened_anew(self, shop: Till, session: Session):
        first = await checkout.open_checkout(session, MONTHLY)
        await shop.api.checkout.sessions.expire_async(first.rpartition("/")[2])
        assert await checkout.open_checkout(session, MONTHLY) != first

    async def test_a_second_subscription_is_refused_before_any_event_came(self, shop: Till, session: Session):
        await shop.buy(session, MONTHLY)
        for plan in (MONTHLY, YEARLY):
            with pytest.raises(SubscribedAlready):
                await checkout.open_checkout(session, plan)

    async def test_a_single_payment_twice_is_refused_before_any_event_came(self, shop: Till, session: Session):
        await shop.buy(session, FOR_GOOD)
        with pytest.raises(BoughtAlready):
            await checkout.open_checkout(session, FOR_GOOD)

    async def test_who_has_it_for_good_needs_nothing_more(self, shop: Till, session: Session):
        await shop.buy(session, FOR_GOOD)
        await shop.catch_up()
        for plan in (MONTHLY, FOR_GOOD):
            with pytest.raises(BoughtAlready):
                await checkout.open_checkout(session, plan)

    async def test_a_bank_debit_on_its_way_is_waited_for(self, shop: Till, session: Session):
        await shop.buy(session, FOR_GOOD, acts.pay_later)
        await shop.catch_up()
        with pytest.raises(OnItsWay):
            await checkout.open_checkout(session, FOR_GOOD)

    async def test_who_subscribed_may_buy_it_for_good(self, shop: Till, session: Session):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        assert await checkout.open_checkout(session, FOR_GOOD)

    async def test_who_canceled_may_subscribe_again(self, shop: Till, session: Session):
        await shop.buy(session, MONTHLY)
        (subscription,) = (await shop.api.subscriptions.list_async()).data
        await shop.api.subscriptions.cancel_async(subscription.id)
        assert await checkout.open_checkout(session, MONTHLY)


class TestElsewhere:
    """What Stripe knows no more, or knows otherwise than we do."""

    async def test_a_checkout_of_another_stripe_account_stands_in_nobodys_way(
        self, shop: Till, session: Session, owner
    ):
        await checkout.open_checkout(session, MONTHLY)
        owner.execute("delete from sigma.sandbox_objects where kind = 'checkout.session'")
        assert await checkout.open_checkout(session, MONTHLY)

    async def test_the_portal_opens_to_whoever_was_a_customer_once(self, shop: Till, session: Session):
        await shop.buy(session, FOR_GOOD)
        await shop.catch_up()
        await shop.api.customers.delete_async(await checkout.customer_for(session))
        await shop.catch_up()
        assert await checkout.open_portal(session)

    async def test_a_subscription_of_a_former_customer_counts_as_well(self, shop: Till, session: Session, owner):
        await shop.buy(session, MONTHLY)
        await shop.catch_up()
        owner.execute("update billing.customers set deleted_at = now()")  # taken for deleted, by another key say
        with pytest.raises(SubscribedAlready):
            await checkout.open_checkout(session, MONTHLY)

    async def test_a_voucher_that_is_not_paid_yet_is_waited_for(self, shop: Till, session: Session, owner):
        await shop.buy(session, FOR_GOOD, acts.pay_later)
        waits = """update sigma.sandbox_objects set body = jsonb_set(body, '{status}', '"requires_action"')
                   where kind = 'payment_intent'"""
        owner.execute(waits)
        await shop.catch_up()
        with pytest.raises(OnItsWay):
            await checkout.open_checkout(session, FOR_GOOD)


class TestPrice:
    @pytest.mark.parametrize("plan", ["", "sigma_free", "price_1", "sigma", "SIGMA_MONTHLY", "sigma_monthly\0"])
    async def test_none_but_ours(self, shop: Till, session: Session, plan):
        with pytest.raises(NotForSale):
            await checkout.open_checkout(session, plan)
        assert (await shop.api.checkout.sessions.list_async()).data == []

    async def test_a_price_that_exists_at_stripe_is_not_enough(self, shop: Till, session: Session, caplog):
        made = await shop.api.prices.create_async({"product": "sigma", "currency": "usd", "unit_amount": 1})
        with pytest.raises(NotForSale):
            await checkout.open_checkout(session, made.id)
        assert "none of ours" in caplog.text

    async def test_one_taken_from_sale_is_sold_no_more(self, shop: Till, session: Session):
        (price,) = (await shop.api.prices.list_async({"lookup_keys": [MONTHLY]})).data
        await shop.api.prices.update_async(price.id, {"active": False})
        await shop.catch_up()
        with pytest.raises(NotForSale):
            await checkout.open_checkout(session, MONTHLY)

    async def test_another_amount_counts_from_the_next_checkout_on(self, shop: Till, session: Session):
        wanted = {"product": "sigma", "currency": "usd", "unit_amount": 31_00, "recurring": {"interval": "month"}}
        await shop.api.prices.create_async({**wanted, "lookup_key": MONTHLY, "transfer_lookup_key": True})
        await shop.catch_up()
        await checkout.open_checkout(session, MONTHLY)
        ((opened),) = (await shop.api.checkout.sessions.list_async()).data
        assert opened.amount_total == 31_00


class TestTrouble:
    async def test_a_failure_that_passes_is_not_noticed(self, shop: Till, session: Session):
        await faults.spoil_answers("500", times=2)
        assert await checkout.open_checkout(session, MONTHLY)

    async def test_too_many_requests_are_said_in_words(self, shop: Till, session: Session):
        await faults.spoil_answers("429", times=1)
        with pytest.raises(PaymentsUnavailable):
            await checkout.open_checkout(session, MONTHLY)
        assert await checkout.open_checkout(session, MONTHLY)

    async def test_one_that_stays_is_said_in_words_and_leaves_nothing_behind(self, shop: Till, session: Session):
        await checkout.customer_for(session)
        await faults.spoil_answers("500", times=20)
        with pytest.raises(PaymentsUnavailable):
            await checkout.open_checkout(session, MONTHLY)
        await faults.stop()
        assert await checkout.open_checkout(session, MONTHLY)
        assert len((await shop.api.checkout.sessions.list_async()).data) == 1

    async def test_a_failure_that_stripe_keeps_is_in_nobodys_way_for_a_day(self, shop: Till, session: Session):
        for _ in range(3):
            await faults.spoil_answers("500", times=20)
            with pytest.raises(PaymentsUnavailable):
                await checkout.customer_for(session)
            await faults.stop()
        customer = await checkout.customer_for(session)
        assert [one.id for one in (await shop.api.customers.list_async()).data] == [customer]


class TestDoors:
    async def post(self, shop: Till, path: str, cookie: str | None, **form: str) -> httpx.Response:
        shop.door.cookies.clear()
        if cookie:
            shop.door.cookies.set("sigma_session", cookie, domain="localhost.local")
        headers = {"origin": str(shop.door.base_url).rstrip("/")}
        return await shop.door.post(path, data={"said": "", **form}, headers=headers)

    async def test_a_plan_leads_to_its_checkout(self, shop: Till, cookie, session):
        answer = await self.post(shop, "/billing/checkout", cookie, plan=MONTHLY)
        assert (answer.status_code, answer.headers["cache-control"]) == (303, "no-store")
        assert "/checkout/cs_" in answer.headers["location"]

    async def test_whoever_is_not_signed_in_signs_in_first_and_comes_back(self, shop: Till):
        answer = await self.post(shop, "/billing/checkout", None, plan=MONTHLY)
        assert answer.headers["location"] == "/sign-in?next=%2Fbilling%3Fplan%3Dsigma_monthly"

    async def test_a_page_of_another_site_is_refused(self, shop: Till, cookie):
        shop.door.cookies.set("sigma_session", cookie, domain="localhost.local")
        for path in ("/billing/checkout", "/billing/portal"):
            answer = await shop.door.post(path, data={"plan": MONTHLY}, headers={"origin": "https://evil.example"})
            assert answer.status_code == 403

    async def test_a_forged_plan_is_said_to_be_none(self, shop: Till, cookie):
        answer = await self.post(shop, "/billing/checkout", cookie, plan="price_of_mine")
        assert (answer.status_code, answer.headers["location"]) == (303, "/billing?said=not-for-sale")
        shop.door.headers["accept"] = "application/json"
        answer = await self.post(shop, "/billing/checkout", cookie, plan="price_of_mine")
        assert (answer.status_code, answer.json()) == (422, {"message": str(NotForSale())})

    async def test_who_never_paid_has_nothing_to_manage(self, shop: Till, cookie):
        answer = await self.post(shop, "/billing/portal", cookie)
        assert (answer.status_code, answer.headers["location"]) == (303, "/billing?said=nothing")
        shop.door.headers["accept"] = "application/json"
        answer = await self.post(shop, "/billing/portal", cookie)
        assert (answer.status_code, answer.json()) == (409, {"message": str(NothingToManage())})

    @pytest.mark.parametrize("path", ["/billing/checkout", "/billing/portal"])
    async def test_an_address_that_was_posted_to_leads_back_when_it_is_reloaded(self, shop: Till, path):
        answer = await shop.door.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/billing")

    async def test_the_portal_is_another_address_at_each_click(self, shop: Till, cookie, session):
        await shop.buy(session, MONTHLY)
        addresses = {(await self.post(shop, "/billing/portal", cookie)).headers["location"] for _ in range(3)}
        assert len(addresses) == 3

    async def test_the_portal_is_the_one_that_sigma_laid(self, door: Till, cookie, session):
        others = await door.api.billing_portal.configurations.create_async(
            {"features": {"invoice_history": {"enabled": True}}}
        )
        await set_up(webhook=False)
        await checkout.customer_for(session)
        address = (await self.post(door, "/billing/portal", cookie)).headers["location"]
        async with opened() as books:
            visit = await books.get("billing_portal.session", address.rpartition("/")[2])
        ours = await door.api.billing_portal.configurations.retrieve_async(visit["configuration"])
        assert (others.is_default, ours.metadata["sigma"]) == (True, "yes")

    async def test_the_portal_is_that_of_whoever_asks(self, shop: Till, cookie, session, sign_in):
        await shop.buy(session, MONTHLY)
        bobs = await store.open_session(await sign_in("bob"), "")
        bob = await store.find(bobs)
        assert bob
        await checkout.customer_for(bob)
        for whose, who in ((cookie, session), (bobs, bob)):
            address = (await self.post(shop, "/billing/portal", whose)).headers["location"]
            async with opened() as books:
                visit = await books.get("billing_portal.session", address.rpartition("/")[2])
            assert visit["customer"] == await checkout.customer_for(who)

    async def test_nobody_waits_longer_than_patience_for_a_stripe_that_says_nothing(
        self, shop: Till, cookie, monkeypatch
    ):
        await faults.spoil_answers("silence", times=10, seconds=60)
        shop.door.headers["accept"] = "application/json"
        with monkeypatch.context() as short:
            short.setattr(http, "PATIENCE", 0.5)
            answer = await self.post(shop, "/billing/checkout", cookie, plan=MONTHLY)
        assert (answer.status_code, answer.json()) == (
            PaymentsUnavailable.status,
            {"message": str(PaymentsUnavailable())},
        )
        async with opened() as books:
            told = await books.setting(faults.API, {})
        assert told["times"] == 9, "given up in the first silence, before any retry"
        await faults.stop()
        assert (await self.post(shop, "/billing/checkout", cookie, plan=MONTHLY)).status_code == 200

    async def test_too_many_clicks_are_asked_to_wait(self, shop: Till, cookie, clock):
        answers = [await self.post(shop, "/billing/portal", cookie) for _ in range(11)]
        assert answers[-1].status_code == 429
        assert answers[-1].headers["retry-after"]


async def test_the_plans_are_shown_as_stripe_has_them(shop: Till):
    await shop.api.products.update_async("sigma", {"name": "Sigma Deluxe"})
    await back_fill(Report())
    text = (await shop.door.get("/pricing")).text
    assert "Sigma Deluxe" in text
    assert "$29.00" in text
