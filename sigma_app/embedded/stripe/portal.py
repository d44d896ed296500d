"""The customer portal (https://docs.stripe.com/api/customer_portal): what it may do, and a way in for one customer."""

from __future__ import annotations

from typing import Any

from sigma_app.embedded.stripe.books import Books, Thing, new_id, nulls
from sigma_app.embedded.stripe.errors import Refused, required
from sigma_app.embedded.stripe.form import flag, merged
from sigma_app.settings import get_settings

PAGE = "/sandbox/portal"
_CONFIGURATION = "billing_portal.configuration"
_OFF: Thing = {"enabled": "false"}


async def create_configuration(books: Books, params: Thing) -> Thing:
    """What the portal may do."""
    if "features" not in params:
        raise required("features")
    now = await books.now()
    configuration: Thing = {
        "id": new_id("bpc"),
        "object": _CONFIGURATION,
        "active": True,
        "application": None,
        "business_profile": {"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
        "created": now,
        "default_return_url": params.get("default_return_url"),
        "features": _features({}),
        "is_default": not await books.all(_CONFIGURATION),
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": params.get("name"),
        "updated": now,
    }
    return await _keep(books, configuration, params, "created")


async def update_configuration(books: Books, params: Thing, identity: str) -> Thing:
    """What the portal may do from now on."""
    configuration = await books.get(_CONFIGURATION, identity, "configuration")
    configuration["updated"] = await books.now()
    return await _keep(books, configuration, params, "updated")


async def list_configurations(books: Books, params: Thing, url: str) -> Thing:
    """Configurations, by whether they are in use."""
    active = flag(params, "active") if "active" in params else None
    where = {} if active is None else {"active": active}
    return await books.page(_CONFIGURATION, params, url, where, lambda _: True)


async def create_session(books: Books, params: Thing) -> Thing:
    """A way in."""
    customer = await books.customer(params.get("customer"))
    if params.get("configuration"):
        configuration = await books.get(_CONFIGURATION, params["configuration"], "configuration")
    else:
        configuration = next(iter(await books.all(_CONFIGURATION, is_default=True)), None)
    if configuration is None:
        message = "No configuration provided and your test mode default configuration has not been created."
        raise Refused(message)
    identity = new_id("bps")
    session: Thing = {
        "id": identity,
        "object": "billing_portal.session",
        "configuration": configuration["id"],
        "created": await books.now(customer["id"]),
        "customer": customer["id"],
        "livemode": False,
        "return_url": params.get("return_url") or configuration["default_return_url"],
        "url": f"{get_settings().base_url}{PAGE}/{identity}",
        **nulls("customer_account flow locale on_behalf_of"),
    }
    await books.put(session)
    await books.emit("billing_portal.session.created", session)
    return session


async def _keep(books: Books, configuration: Thing, params: Thing, what: str) -> Thing:
    if "active" in params:
        configuration["active"] = flag(params, "active")
    if "default_return_url" in params:
        configuration["default_return_url"] = params["default_return_url"] or None
    configuration["business_profile"] |= params.get("business_profile") or {}
    configuration["metadata"] = merged(configuration["metadata"], params)
    if "features" in params:
        configuration["features"] = _features(params["features"])
    await books.put(configuration)
    await books.emit(f"billing_portal.configuration.{what}", configuration)
    return configuration


def _features(given: Thing) -> Thing:
    customer, cancel, update = (
        given.get(name) or _OFF for name in ("customer_update", "subscription_cancel", "subscription_update")
    )
    return {
        "customer_update": {
            "allowed_updates": _texts(customer, "allowed_updates"),
            "enabled": flag(customer, "enabled"),
        },
        "invoice_history": {"enabled": flag(given.get("invoice_history") or _OFF, "enabled")},
        "payment_method_update": {
            "enabled": flag(given.get("payment_method_update") or _OFF, "enabled"),
            "payment_method_configuration": None,
        },
        "subscription_cancel": {
            "cancellation_reason": {"enabled": False, "options": []},
            "enabled": flag(cancel, "enabled"),
            "mode": cancel.get("mode", "at_period_end"),
            "proration_behavior": cancel.get("proration_behavior", "none"),
        },
        "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
        "subscription_update": {
            "billing_cycle_anchor": None,
            "default_allowed_updates": _texts(update, "default_allowed_updates"),
            "enabled": flag(update, "enabled"),
            "products": _products(update.get("products") or []),
            "proration_behavior": update.get("proration_behavior", "none"),
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }


def _products(given: list[Any]) -> list[Thing]:
    quantity = {"enabled": False, "maximum": None, "minimum": 1}
    return [
        {"adjustable_quantity": quantity, "prices": list(one.get("prices") or []), "product": one["product"]}
        for one in given
    ]


def _texts(given: Thing, name: str) -> list[str]:
    return list(given.get(name) or [])
