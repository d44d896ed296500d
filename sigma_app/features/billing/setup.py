"""Laying what Sigma needs at Stripe: products, prices, the portal's configuration, the webhook endpoint.

Each is looked for first, by an id, a lookup key, a mark in its metadata or its address, so that a second run changes
nothing. A price that is another one at Stripe stays: there it can be changed by hand, and nobody's bill moves because
somebody ran a command; `replace_prices` moves the lookup key to a new price.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import stripe

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import SigmaError, without_message
from sigma_app.features.billing.catalogue import CURRENCY, OFFERS, PLANS, Offer, Plan
from sigma_app.features.billing.events import HANDLERS
from sigma_app.features.billing.reconcile import Report, back_fill
from sigma_app.features.billing.records import hold_catalogue
from sigma_app.features.billing.webhook import PATH
from sigma_app.gateways.payments import NotAtStripe, asking, stripe_client, untold_by_sandbox
from sigma_app.gateways.stripe_objects import MARK, mark_of, our_portal
from sigma_app.settings import get_settings

OURS = "yes"
AGAIN_AFTER = timedelta(seconds=2)


logger = logging.getLogger(__name__)


@asynccontextmanager
async def sandbox_stocked() -> AsyncIterator[None]:
    """Where the sandbox stands in for Stripe, lay the plans in it, inside the block: nobody has to run a command first.

    It goes on trying while the database is away, and keeps nobody waiting.
    """
    if get_settings().is_hosted("payments"):
        yield
        return
    stocking = asyncio.create_task(_stock())
    try:
        yield
    finally:
        stocking.cancel()
        await asyncio.gather(stocking, return_exceptions=True)


async def _stock() -> None:
    while True:
        try:
            with untold_by_sandbox():  # a start has enough to do, and the next line reads it all
                await set_up(webhook=False)
            await back_fill(Report())
        except SigmaError as error:
            logger.info("The sandbox has no plans yet: %s", without_message(error))
            await asyncio.sleep(AGAIN_AFTER.total_seconds())
        else:
            return


@dataclass
class Laid:
    """What was done, each in a line, and the secret of a webhook endpoint that was made."""

    lines: list[str] = field(default_factory=list)
    secret: str | None = field(default=None, repr=False)


async def set_up(*, replace_prices: bool = False, webhook: bool = True) -> Laid:
    """Lay everything.

    Args:
        replace_prices: whether a plan that costs something else at Stripe gets the price of the catalogue.
        webhook: whether Stripe is told where events go; not for the sandbox, which knows.

    Raises:
        PaymentsUnavailable, PaymentsRefused: it stopped half-way; running it again goes on.
    """
    laid = Laid()
    with asking():
        for offer in OFFERS:
            laid.lines.append(f"product {offer.id}: {await _lay_product(offer)}")
        for plan in PLANS:
            laid.lines.append(f"price {plan.key}: {await _lay_price(plan, replace_prices)}")
        laid.lines.append(f"portal: {await _lay_portal()}")
        if webhook:
            laid.lines.append(f"webhook {_endpoint()}: {await _lay_webhook(laid)}")
    return laid


async def lay_portal() -> None:
    """Bring the customer portal's configuration up to date with the prices that are for sale; nothing before `set_up`.

    Raises:
        PaymentsUnavailable, PaymentsRefused, DatabaseUnavailable: it is as it was.
    """
    async with get_database().transaction(SERVICE) as session:
        await hold_catalogue(session)  # a stale reading of the prices must not win
        with asking():
            if await our_portal():
                await _lay_portal()


async def _lay_product(offer: Offer) -> str:
    wanted: Any = {"name": offer.name, "description": offer.description, "metadata": {MARK: OURS}}
    products = stripe_client().v1.products
    try:
        with asking():
            found = await products.retrieve_async(offer.id)
    except NotAtStripe:
        made: Any = {**wanted, "id": offer.id}
        await products.create_async(made)
        return "made"
    if (found.name, found.description, mark_of(found)) == (offer.name, offer.description, OURS):
        return "as it should be"
    await products.update_async(offer.id, wanted)
    return "updated"


async def _lay_price(plan: Plan, replace: bool) -> str:
    prices = stripe_client().v1.prices
    found = (await prices.list_async({"lookup_keys": [plan.key], "limit": 1})).data
    wanted: Any = {
        "product": plan.offer.id,
        "currency": CURRENCY,
        "unit_amount": plan.amount,
        "lookup_key": plan.key,
        "transfer_lookup_key": True,
        **({"recurring": {"interval": plan.every}} if plan.every else {}),
    }
    if not found:
        made = await prices.create_async(wanted)
        return f"made as {made.id}, {plan.amount} {CURRENCY}"
    known = found[0]
    every = known.recurring.interval if known.recurring else None
    if (known.unit_amount, known.currency, every) == (plan.amount, CURRENCY, plan.every):
        return (
            f"as it should be, {known.id}"
            if known.active
            else f"kept from sale, {known.id}; Stripe's dashboard sells it"
        )
    if not replace:
        return f"kept as {known.id}, {known.unit_amount} {known.currency}; --replace-prices makes it {plan.amount}"
    made = await prices.create_async(wanted)
    await prices.update_async(known.id, {"active": False})
    return f"{made.id}, {plan.amount} {CURRENCY}, in the place of {known.id}"


async def _lay_portal() -> str:
    keys = [plan.key for plan in PLANS if plan.every]
    prices = (await stripe_client().v1.prices.list_async({"lookup_keys": keys, "active": True, "limit": 100})).data
    products = {price.product for price in prices if isinstance(price.product, str)}
    switchable = [
        {"product": product, "prices": [price.id for price in prices if price.product == product]}
        for product in sorted(products)
    ]
    base = get_settings().base_url
    wanted: Any = {
        "default_return_url": f"{base}/billing",
        "business_profile": {"privacy_policy_url": f"{base}/privacy", "terms_of_service_url": f"{base}/terms"},
        "features": {
            "payment_method_update": {"enabled": True},
            "invoice_history": {"enabled": True},
            "customer_update": {"enabled": True, "allowed_updates": ["address", "name", "tax_id"]},
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
            "subscription_update": {
                "enabled": True,
                "default_allowed_updates": ["price"],
                "proration_behavior": "create_prorations",
                "products": switchable,
            }
            if switchable
            else {"enabled": False},  # Stripe takes no empty list
        },
        "metadata": {MARK: OURS},
    }
    configurations = stripe_client().v1.billing_portal.configurations
    if ours := await our_portal():
        await configurations.update_async(ours, wanted)
        return f"brought up to date, {ours}"
    return f"made, {(await configurations.create_async(wanted)).id}"


async def _lay_webhook(laid: Laid) -> str:
    endpoints = stripe_client().v1.webhook_endpoints
    wanted: Any = {"enabled_events": sorted(HANDLERS), "description": "Sigma"}
    for known in (await endpoints.list_async({"limit": 100})).data:
        if known.url == _endpoint():
            done = "as it should be"
            if sorted(known.enabled_events) != wanted["enabled_events"] or known.status != "enabled":
                await endpoints.update_async(known.id, wanted | {"disabled": False})
                done = "told of other events now"
            return done + _other_version(known.api_version)
    wanted |= {"url": _endpoint(), "api_version": stripe.api_version}
    made = await endpoints.create_async(wanted)
    laid.secret = made.secret
    return "made"


def _other_version(version: str | None) -> str:
    """A word on an endpoint whose events have another shape than we read; Stripe lets nobody change that of one."""
    if version == stripe.api_version:
        return ""
    spoken = version or "the account's version"
    return f"; it speaks {spoken}, not {stripe.api_version}: delete it at Stripe, and run this again"


def _endpoint() -> str:
    return f"{get_settings().base_url}{PATH}"
