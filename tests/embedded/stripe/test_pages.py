"""The sandbox's pages, as a browser without scripts goes through them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from psycopg.types.json import Jsonb
from starlette.applications import Starlette

from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.events import untold
from sigma_app.embedded.stripe.pages import DASHBOARD_ROUTES, ROUTES

pytestmark = pytest.mark.anyio


@pytest.fixture
async def browser(wire) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=[*ROUTES, *DASHBOARD_ROUTES]))
    async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
        yield client


def path_of(url: str) -> str:
    return re.sub(r"^https?://[^/]+", "", url)


async def press(browser: httpx.AsyncClient, path: str, **fields: str) -> str:
    """Where a form leads."""
    answer = await browser.post(path, data=fields, headers={"origin": "http://sigma.test"})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def text_of(browser: httpx.AsyncClient, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert "Sandbox: no money moves." in answer.text
    return answer.text


class TestCheckout:
    @pytest.fixture
    async def path(self, checkout, once) -> str:
        return path_of((await checkout(once)).url)

    async def test_it_says_what_is_bought_and_leads_on_once_it_is_paid(self, browser, path):
        page = await text_of(browser, path)
        assert "99.00 EUR" in page
        assert 'href="http://sigma.test/billing"' in page
        onward = f"http://sigma.test/thanks?session_id={path.rpartition('/')[2]}"
        for _ in range(2):  # a double click is harmless
            assert await press(browser, path, do="pay") == onward
        over = await text_of(browser, path)
        assert "This checkout is complete" in over
        assert f'href="{onward}"' in over

    async def test_a_declined_card_is_said_and_another_way_is_open(self, browser, path):
        assert await press(browser, path, do="decline") == path
        assert "Your card was declined." in await text_of(browser, path)
        assert (await press(browser, path, do="later")).startswith("http://sigma.test/thanks")
        assert "The bank debit is under way." in await text_of(browser, path)

    async def test_the_bank_asks_and_is_answered(self, browser, path):
        assert await press(browser, path, do="ask") == path
        assert "Your bank asks" in await text_of(browser, path)
        assert await press(browser, path, do="fail") == path
        assert "could not be authenticated" in await text_of(browser, path)
        await press(browser, path, do="ask")
        assert (await press(browser, path, do="approve")).startswith("http://sigma.test/thanks")

    async def test_one_that_is_over_says_so(self, browser, path, sdk):
        await sdk.checkout.sessions.expire_async(path.rpartition("/")[2])
        assert "This checkout is over" in await text_of(browser, path)
        assert await press(browser, path, do="pay") == path

    async def test_a_promotion_code(self, browser, checkout, once, sdk):
        coupon = await sdk.coupons.create_async({"percent_off": 100, "duration": "once"})
        await sdk.promotion_codes.create_async({"code": "FREE", "promotion": {"type": "coupon", "coupon": coupon.id}})
        path = path_of((await checkout(once, allow_promotion_codes=True)).url)
        refused = await press(browser, path, do="code", code="<NONE>")
        assert "There is no such promotion code." in await text_of(browser, refused)
        assert await press(browser, path, do="code", code="free") == path
        page = await text_of(browser, path)
        assert "0.00 EUR" in page
        assert "Decline the card" not in page
        assert "thanks" in await press(browser, path, do="pay")

    async def test_no_other_site_presses_anything(self, browser, path, sdk):
        answer = await browser.post(path, data={"do": "pay"}, headers={"origin": "http://evil.test"})
        assert answer.status_code == 403
        assert (await sdk.checkout.sessions.retrieve_async(path.rpartition("/")[2])).status == "open"

    async def test_what_is_no_checkout_or_no_form_is_said(self, browser, path):
        assert (await browser.get("/sandbox/checkout/cs_none")).status_code == 404
        assert (await browser.post("/sandbox/checkout/cs_none", data={"do": "pay"})).status_code == 404
        assert (await browser.post(path, json={"do": "pay"})).status_code == 415


class TestPortal:
    @pytest.fixture
    async def subscription(self, checkout, monthly, sdk):
        opened = await checkout(monthly)
        await acts.pay(opened.id)
        return (await sdk.checkout.sessions.retrieve_async(opened.id)).subscription

    @pytest.fixture
    async def path(self, sdk, alice, subscription, monthly, yearly, product) -> str:
        update = {
            "enabled": True,
            "default_allowed_updates": ["price"],
            "proration_behavior": "create_prorations",
            "products": [{"product": product.id, "prices": [monthly.id, yearly.id]}],
        }
        features = {name: {"enabled": True} for name in ("invoice_history", "payment_method_update")}
        features |= {"subscription_cancel": {"enabled": True}, "subscription_update": update}
        await sdk.billing_portal.configurations.create_async({"features": features})
        opened = await sdk.billing_portal.sessions.create_async(
            {"customer": alice.id, "return_url": "http://sigma.test/billing"}
        )
        return path_of(opened.url)

    async def test_a_plan_is_cancelled_and_kept_after_all(self, browser, path, subscription, sdk):
        page = await text_of(browser, path)
        assert "19.00 EUR a month" in page
        assert 'href="http://sigma.test/billing"' in page
        await press(browser, path, do="cancel", subscription=subscription)
        assert "It ends on" in await text_of(browser, path)
        await press(browser, path, do="keep", subscription=subscription)
        assert (await sdk.subscriptions.retrieve_async(subscription)).cancel_at is None

    async def test_another_plan(self, browser, path, subscription, yearly, sdk):
        assert "Change to 190.00 EUR a year" in await text_of(browser, path)
        await press(browser, path, do="switch", subscription=subscription, price=yearly.id)
        assert (await sdk.subscriptions.retrieve_async(subscription))["items"].data[0].price.id == yearly.id

    async def test_a_price_that_is_not_offered_is_not_switched_to(self, browser, path, subscription, product, sdk):
        cheap = await sdk.prices.create_async(
            {"product": product.id, "currency": "eur", "unit_amount": 1, "recurring": {"interval": "month"}}
        )
        await press(browser, path, do="switch", subscription=subscription, price=cheap.id)
        assert (await sdk.subscriptions.retrieve_async(subscription))["items"].data[0].price.id != cheap.id

    async def test_another_card(self, browser, path):
        await press(browser, path, do="card", card="declines")
        assert 'value="declines" checked' in await text_of(browser, path)

    async def test_nobody_reaches_what_is_another_customers(self, browser, path, sdk, monthly):
        bob = await sdk.customers.create_async({})
        await acts.set_card(bob.id, "pays")
        his = await sdk.subscriptions.create_async({"customer": bob.id, "items": [{"price": monthly.id}]})
        answer = await browser.post(path, data={"do": "cancel", "subscription": his.id})
        assert answer.status_code == 404

    async def test_an_invoice_is_shown_and_paid(self, browser, path, subscription, sdk, alice):
        await acts.set_card(alice.id, "asks")
        await acts.let_a_period_pass(subscription)
        (bill,) = (await sdk.invoices.list_async({"status": "open"})).data
        shown = await text_of(browser, path)
        assert bill.number in shown
        assert f'<a href="{bill.hosted_invoice_url}">Pay the 19.00 EUR that is open</a>' in shown
        page = path_of(bill.hosted_invoice_url)
        assert "Your bank asks you to confirm" in await text_of(browser, page)
        assert await press(browser, page, do="decline") == page
        for _ in range(2):
            await press(browser, page, do="pay")
        assert "paid." in await text_of(browser, page)
        assert (await sdk.subscriptions.retrieve_async(subscription)).status == "active"
        assert "is open</a>" not in await text_of(browser, path)


class TestDashboard:
    PATH = "/dev/stripe"

    async def test_an_empty_one_says_what_will_be_where(self, browser):
        page = await text_of(browser, self.PATH)
        assert page.count("None yet.") == 4
        assert '<ul class="rows">' not in page
        assert "Nothing at the moment." in page

    async def test_each_row_names_whose_it_is(self, browser, checkout, once, monthly, sdk, alice):
        for price, pay in ((once, acts.pay), (monthly, acts.pay), (once, acts.pay_later)):
            await pay((await checkout(price)).id)
        charge = (await sdk.charges.list_async({"limit": 2})).data[1]
        await sdk.refunds.create_async({"charge": charge.id, "amount": 100})
        await press(browser, self.PATH, do="dispute", id=charge.id)
        page = await text_of(browser, self.PATH)
        rows = {part.split('"', 1)[0]: part.split("</li>", 1)[0] for part in page.split('<li id="')[1:]}
        assert {name.partition("_")[0] for name in rows} == {"cs", "ch", "sub", "cus", "evt"}
        assert [row for row in rows.values() if '<span class="who">alice@example.com</span>' not in row] == []
        await sdk.customers.delete_async(alice.id)
        assert "alice@example.com (deleted)" in await text_of(browser, self.PATH)

    async def test_what_belongs_to_nobody_says_so(self, browser, product, sdk, once):
        assert "no customer" in await text_of(browser, self.PATH)
        wanted = {"mode": "payment", "line_items": [{"price": once.id}], "success_url": "http://sigma.test/"}
        opened = await sdk.checkout.sessions.create_async(wanted | {"customer_email": "new@example.com"})
        await sdk.checkout.sessions.expire_async(opened.id)
        assert "new@example.com" in await text_of(browser, self.PATH)

    async def test_what_is_older_is_left_off_and_said_to_be(self, browser, checkout, once, sdk):
        assert "left off" not in await text_of(browser, self.PATH)
        debit = await checkout(once)
        await acts.pay_later(debit.id)
        for _ in range(10):
            await acts.pay((await checkout(once)).id)
        page = await text_of(browser, self.PATH)
        assert page.count("These are the newest 10; older ones are left off.") == 2  # payments and events
        assert (page.count('<li id="ch_'), page.count('<li id="evt_')) == (10, 10)
        assert f'<li id="{debit.id}">' in page, "a debit under way is there, however old"

    async def test_a_customer_who_lives_by_a_clock_of_their_own_is_said_to(self, browser, checkout, monthly, sdk):
        await acts.pay((await checkout(monthly)).id)
        page = await text_of(browser, self.PATH)
        assert ("card pays" in page, "by a clock of their own" in page) == (True, False)
        (subscription,) = (await sdk.subscriptions.list_async()).data
        await press(browser, self.PATH, do="pass", id=subscription.id)
        await sdk.subscriptions.update_async(subscription.id, {"cancel_at_period_end": True})
        page = await text_of(browser, self.PATH)
        assert "by a clock of their own" in page
        assert "active, ends on" in page

    async def test_an_event_says_what_became_of_it(self, browser, sdk, owner):
        with untold():
            await sdk.products.create_async({"name": "Sigma"})
        assert "told to nobody" in await text_of(browser, self.PATH)
        await sdk.products.create_async({"name": "Tau"})
        assert "not taken yet" in await text_of(browser, self.PATH)
        owner.execute(
            "update sigma.sandbox_objects set body = body || %s where kind = 'event'",
            [Jsonb({"pending_webhooks": 0, "_deliveries": [{"at": 1, "said": "500"}, {"at": 2, "said": "200"}]})],
        )
        assert "taken: 500, 200" in await text_of(browser, self.PATH)

    async def test_money_is_given_back_and_disputed(self, browser, checkout, once, sdk):
        for _ in range(2):
            await acts.pay((await checkout(once)).id)
        first, second = (await sdk.charges.list_async()).data
        await press(browser, self.PATH, do="refund", id=first.id, amount="10,00")
        assert "10.00 EUR given back" in await text_of(browser, self.PATH)
        await press(browser, self.PATH, do="refund", id=first.id)
        await press(browser, self.PATH, do="dispute", id=second.id)
        assert "needs response" in await text_of(browser, self.PATH)
        (dispute,) = (await sdk.disputes.list_async({"charge": second.id})).data
        await press(browser, self.PATH, do="lose", id=dispute.id)
        assert "dispute: lost" in await text_of(browser, self.PATH)
        again = await browser.post(self.PATH, data={"do": "win", "id": dispute.id})
        assert again.status_code == 409
        assert "Nothing was changed." in again.text
        assert (await browser.post(self.PATH, data={"do": "refund", "id": first.id, "amount": "x"})).status_code == 409

    async def test_bank_debits_and_periods(self, browser, checkout, once, monthly, sdk):
        debit = await checkout(once)
        await acts.pay_later(debit.id)
        assert "It comes back" in await text_of(browser, self.PATH)
        await press(browser, self.PATH, do="come-back", id=debit.id)
        await acts.pay((await checkout(monthly)).id)
        (subscription,) = (await sdk.subscriptions.list_async()).data
        await press(browser, self.PATH, do="pass", id=subscription.id)
        assert len((await sdk.invoices.list_async({"status": "paid"})).data) == 2

    async def test_events_are_sent_again_and_things_go_wrong(self, browser, sdk, product, owner):
        (event,) = (await sdk.events.list_async()).data
        await press(browser, self.PATH, do="resend", id=event.id)
        await press(browser, self.PATH, do="spoil-deliveries", copies="2", delay="0.5", drop="10", forge="on")
        await press(browser, self.PATH, do="spoil-answers", how="429", times="3", seconds="1")
        page = await text_of(browser, self.PATH)
        assert "answer to the next 3 requests: 429, too many; copies of each event: 2; events late by 0.5 s" in page
        assert 'name="copies" min="0" value="2"' in page
        assert '<option value="429" selected>' in page
        assert (await browser.post(self.PATH, data={"do": "spoil-deliveries", "copies": "x"})).status_code == 409
        await press(browser, self.PATH, do="stop")
        page = await text_of(browser, self.PATH)
        assert 'name="copies" min="0" value="1"' in page
        assert "Do everything right again" not in page

    async def test_without_a_database_it_says_so(self, settings):
        transport = httpx.ASGITransport(Starlette(routes=DASHBOARD_ROUTES))
        async with httpx.AsyncClient(transport=transport, base_url="http://sigma.test") as client:
            assert (await client.get(self.PATH)).status_code == 503
