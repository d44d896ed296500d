"""Where people go to Stripe and come back from it, what a forged way back is worth, and where events come in."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import stripe

from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.books import opened
from sigma_app.embedded.stripe.checkout import return_url
from sigma_app.features.billing import checkout, setup, thanks
from sigma_app.session import store
from sigma_app.session.store import Session
from sigma_app.settings import get_settings
from tests.features.billing.conftest import FOR_GOOD, MONTHLY, Till

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bobs_cookie(sign_in) -> str:
    return await store.open_session(await sign_in("bob"), "")


@pytest.fixture
async def bob(bobs_cookie: str) -> Session:
    found = await store.find(bobs_cookie)
    assert found
    return found


async def post(shop: Till, path: str, cookie: str | None, **form: str) -> httpx.Response:
    """What a form on a page of ours posts, in a browser with this cookie."""
    shop.door.cookies.clear()
    if cookie:
        shop.door.cookies.set("sigma_session", cookie, domain="localhost.local")
    return await shop.door.post(path, data=form, headers={"origin": str(shop.door.base_url).rstrip("/")})


class TestTheWayBack:
    """A checkout is somebody's who is its customer, and for whom we opened it: one of the two is not enough."""

    async def paid(self, shop: Till, customer: Session, reference: Session) -> str:
        """A checkout of one customer with the reference of another user, made by whoever has our key."""
        (price,) = (await shop.api.prices.list_async({"lookup_keys": [FOR_GOOD]})).data
        made: Any = {
            "mode": "payment",
            "customer": await checkout.customer_for(customer),
            "client_reference_id": str(reference.user_id),
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "https://example.com",
        }
        identity = (await shop.api.checkout.sessions.create_async(made)).id
        await acts.pay(identity)
        return identity

    async def test_with_both_it_is_theirs(self, shop: Till, session):
        identity = await self.paid(shop, session, session)
        assert (await thanks.outcome_of(session, identity)).outcome == "paid"

    async def test_a_reference_of_mine_on_somebody_elses_customer_is_not_enough(self, shop: Till, session, bob):
        identity = await self.paid(shop, bob, session)
        assert (await thanks.outcome_of(session, identity)).outcome == "unknown"

    async def test_a_customer_of_mine_with_somebody_elses_reference_is_not_enough(self, shop: Till, session, bob):
        identity = await self.paid(shop, session, bob)
        assert (await thanks.outcome_of(session, identity)).outcome == "unknown"


class TestAddresses:
    """All that Stripe is told lead back to us."""

    async def test_who_paid_comes_back_with_the_checkout_that_they_paid(self, shop: Till, session):
        identity = await shop.buy(session, MONTHLY)
        async with opened() as books:
            known = await books.get("checkout.session", identity)
        base = get_settings().base_url
        assert return_url(known) == f"{base}/billing/thanks?session_id={identity}"
        assert known["cancel_url"].startswith(f"{base}/billing?")

    async def test_who_managed_something_comes_back_to_billing(self, shop: Till, session):
        await shop.buy(session, MONTHLY)
        address = await checkout.open_portal(session)
        async with opened() as books:
            visit = await books.get("billing_portal.session", address.rpartition("/")[2])
        assert visit["return_url"].startswith(f"{get_settings().base_url}/billing?")

    @pytest.mark.parametrize(
        "plan", ["price_of_mine", "sigma_monthly&next=//evil.example", "sigma_monthly\r\nx: y", ""]
    )
    async def test_what_is_no_plan_is_in_no_address(self, shop: Till, plan):
        answer = await post(shop, "/billing/checkout", None, plan=plan)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fbilling")


class TestTooOften:
    """Whoever clicks without end keeps nobody else waiting."""

    async def test_at_the_forms(self, shop: Till, cookie, bobs_cookie, clock):
        clicks = [(await post(shop, "/billing/portal", bobs_cookie)).status_code for _ in range(11)]
        assert clicks[-1] == 429
        assert (await post(shop, "/billing/portal", cookie)).status_code == 303

    async def test_on_the_way_back(self, shop: Till, session, bob):
        hers, his = await shop.buy(session, FOR_GOOD), await shop.buy(bob, FOR_GOOD)
        looks = [(await thanks.outcome_of(bob, his)).outcome for _ in range(40)]
        assert looks[-1] == "unknown"
        assert (await thanks.outcome_of(session, hers)).outcome == "paid"


class TestEvents:
    """The endpoint that Stripe tells events at."""

    async def test_it_speaks_the_version_that_we_read(self, door: Till):
        await setup.set_up()
        (endpoint,) = (await door.api.webhook_endpoints.list_async()).data
        assert endpoint.api_version == stripe.api_version

    async def test_one_that_was_disabled_is_told_again(self, door: Till):
        await setup.set_up()
        (endpoint,) = (await door.api.webhook_endpoints.list_async()).data
        await door.api.webhook_endpoints.update_async(endpoint.id, {"disabled": True})
        await setup.set_up()
        (endpoint,) = (await door.api.webhook_endpoints.list_async()).data
        assert endpoint.status == "enabled"


@pytest.mark.parametrize(("variables", "stocking"), [({}, 1), ({"STRIPE_SECRET_KEY": "sk_test_1"}, 0)])
async def test_a_start_lays_plans_in_the_sandbox_and_nothing_at_stripe_itself(serving: object, stocking: int):
    before = asyncio.all_tasks()
    async with setup.sandbox_stocked():
        assert len(asyncio.all_tasks() - before) == stocking
