"""Laying what Sigma needs at Stripe: all of it, twice without a change, and nobody's price moved by accident."""

from __future__ import annotations

from typing import Any

import pytest

from sigma_app.features.billing.catalogue import OFFERS, PLANS
from sigma_app.features.billing.events import HANDLERS
from sigma_app.features.billing.reconcile import Report, back_fill
from sigma_app.features.billing.setup import set_up
from sigma_app.features.billing.standing import offered
from sigma_app.settings import get_settings
from tests.features.billing.conftest import MONTHLY, YEARLY, Till

pytestmark = pytest.mark.anyio


async def test_everything_is_made_and_a_second_run_makes_nothing(door: Till):
    first = await set_up()
    assert all("made" in line for line in first.lines)
    assert first.secret
    assert first.secret.startswith("whsec_")
    await door.news()
    second = await set_up()
    assert second.secret is None
    assert all("as it should be" in line or "up to date" in line for line in second.lines)
    assert {event["type"] for event in await door.news()} <= {"billing_portal.configuration.updated"}
    assert len((await door.api.products.list_async()).data) == len(OFFERS)
    assert len((await door.api.prices.list_async()).data) == len(PLANS)
    assert len((await door.api.webhook_endpoints.list_async()).data) == 1


async def test_the_secret_is_in_no_repr(door: Till):
    laid = await set_up()
    assert laid.secret
    assert laid.secret not in repr(laid)


async def test_stripe_tells_what_there_is_a_handler_for(door: Till):
    await set_up()
    (endpoint,) = (await door.api.webhook_endpoints.list_async()).data
    assert sorted(endpoint.enabled_events) == sorted(HANDLERS)
    assert endpoint.url.endswith("/webhooks/stripe")
    await door.api.webhook_endpoints.update_async(endpoint.id, {"enabled_events": ["invoice.paid"]})
    assert "webhook" in (await set_up()).lines[-1]
    (endpoint,) = (await door.api.webhook_endpoints.list_async()).data
    assert sorted(endpoint.enabled_events) == sorted(HANDLERS)


async def test_an_endpoint_of_another_version_is_named(door: Till):
    url = f"{get_settings().base_url}/webhooks/stripe"
    wanted = {"url": url, "enabled_events": ["invoice.paid"], "api_version": "2024-06-20"}
    await door.api.webhook_endpoints.create_async(wanted)
    line = (await set_up()).lines[-1]
    assert "told of other events now; it speaks 2024-06-20" in line


async def test_a_name_that_was_changed_is_put_right(door: Till):
    await set_up()
    await door.api.products.update_async("sigma", {"name": "Sgima"})
    lines = (await set_up()).lines
    assert "product sigma: updated" in lines
    assert (await door.api.products.retrieve_async("sigma")).name == "Sigma"


class TestPortal:
    """What the customer portal lets people do."""

    async def features(self, door: Till) -> Any:
        (configuration,) = (await door.api.billing_portal.configurations.list_async({"active": True})).data
        return configuration.features

    async def price(self, door: Till, plan: str) -> str:
        return (await door.api.prices.list_async({"lookup_keys": [plan]})).data[0].id

    async def test_who_cancels_keeps_what_is_paid_and_who_switches_pays_the_difference(self, door: Till):
        await set_up()
        features = await self.features(door)
        assert (features.subscription_cancel.enabled, features.subscription_cancel.mode) == (True, "at_period_end")
        assert features.subscription_update.enabled
        assert features.subscription_update.proration_behavior == "create_prorations"
        assert features.subscription_update.default_allowed_updates == ["price"]
        assert features.payment_method_update.enabled
        assert features.invoice_history.enabled

    async def test_what_runs_can_be_switched_to_and_nothing_else(self, door: Till):
        await set_up()
        (offered,) = (await self.features(door)).subscription_update.products
        assert offered.product == "sigma"
        assert set(offered.prices) == {await self.price(door, MONTHLY), await self.price(door, YEARLY)}
        await door.api.prices.update_async(await self.price(door, YEARLY), {"active": False})
        await set_up()
        (offered,) = (await self.features(door)).subscription_update.products
        assert offered.prices == [await self.price(door, MONTHLY)]

    async def test_where_nothing_runs_nobody_switches(self, door: Till):
        await set_up()
        for plan in (MONTHLY, YEARLY):
            await door.api.prices.update_async(await self.price(door, plan), {"active": False})
        await set_up()
        assert not (await self.features(door)).subscription_update.enabled


class TestPrice:
    async def changed(self, door: Till) -> str:
        """The monthly plan costs something else at Stripe."""
        await set_up()
        wanted = {"product": "sigma", "currency": "usd", "unit_amount": 31_00, "recurring": {"interval": "month"}}
        made = await door.api.prices.create_async(
            {**wanted, "lookup_key": "sigma_monthly", "transfer_lookup_key": True}
        )
        return made.id

    async def test_stripes_word_counts(self, door: Till):
        other = await self.changed(door)
        (line,) = [line for line in (await set_up()).lines if "sigma_monthly" in line]
        assert f"kept as {other}" in line
        assert "--replace-prices" in line
        await back_fill(Report())
        assert [plan.price for plan in await offered()] == ["$31.00", "$290.00", "$690.00"]

    async def test_unless_it_is_asked_for_otherwise(self, door: Till):
        other = await self.changed(door)
        await set_up(replace_prices=True)
        await back_fill(Report())
        assert [plan.price for plan in await offered()] == ["$29.00", "$290.00", "$690.00"]
        assert not (await door.api.prices.retrieve_async(other)).active

    async def test_one_taken_from_sale_stays_so(self, door: Till):
        await set_up()
        (price,) = (await door.api.prices.list_async({"lookup_keys": ["sigma_yearly"]})).data
        await door.api.prices.update_async(price.id, {"active": False})
        assert any("kept from sale" in line for line in (await set_up()).lines)
        assert not (await door.api.prices.retrieve_async(price.id)).active


async def test_nothing_is_for_sale_before(door: Till):
    await back_fill(Report())
    assert await offered() == []
