"""The calls that the sandbox takes: method, path, what it does, and its parameters; any other is refused."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sigma_app.embedded.stripe import (
    catalogue,
    checkout,
    clocks,
    customers,
    discounts,
    endpoints,
    invoices,
    payments,
    portal,
    renewals,
    subscriptions,
)
from sigma_app.embedded.stripe.books import Books, Thing
from sigma_app.embedded.stripe.errors import Declined
from sigma_app.embedded.stripe.form import flag, merged, whole

Act = Callable[..., Awaitable[Thing]]
PAGING = ("limit", "starting_after", "ending_before")


@dataclass(frozen=True)
class Call:
    """A call of the API."""

    method: str
    path: re.Pattern[str]
    act: Act
    params: frozenset[str]
    is_list: bool
    """Whether it is told the address, after the parameters."""


def find(method: str, path: str) -> tuple[Call, tuple[str, ...]] | None:
    """The call of a request, and the ids in its path."""
    for call in CALLS:
        if call.method == method and (found := call.path.fullmatch(path)):
            return call, found.groups()
    return None


def _call(method: str, path: str, act: Act, params: str = "", is_list: bool = False) -> Call:
    pattern = re.compile("/v1/" + path.replace("{}", "([^/]+)"))
    known = frozenset([*params.split(), "expand", *(PAGING if is_list else ())])
    return Call(method, pattern, act, known, is_list)


def _retrieve(kind: str, path: str) -> Call:
    async def act(books: Books, params: Thing, identity: str) -> Thing:
        return await books.get(kind, identity)

    return _call("GET", f"{path}/{{}}", act)


def _list(kind: str, path: str, *filters: str) -> Call:
    """A list, by the values of some fields and by when things were created."""

    async def act(books: Books, params: Thing, url: str) -> Thing:
        where = {name: flag(params, name) if name == "active" else params[name] for name in filters if name in params}
        return await books.page(kind, params, url, where, lambda thing: _is_within(thing, params.get("created")))

    return _call("GET", path, act, " ".join([*filters, "created"]), is_list=True)


def _is_within(thing: Thing, created: Any) -> bool:
    if not created:
        return True
    if isinstance(created, str):
        return thing["created"] == whole({"created": created}, "created")
    compare = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    return all(compare[name](thing["created"], whole(created, name) or 0) for name in created if name in compare)


async def _list_events(books: Books, params: Thing, url: str) -> Thing:
    kinds = params.get("types") or ([params["type"]] if params.get("type") else [])
    is_done = flag(params, "delivery_success") if "delivery_success" in params else None

    def wanted(event: Thing) -> bool:
        is_kind = not kinds or any(re.fullmatch(re.escape(kind).replace(r"\*", ".*"), event["type"]) for kind in kinds)
        is_so = is_done is None or (event["pending_webhooks"] == 0) is is_done
        return is_kind and is_so and _is_within(event, params.get("created"))

    return await books.page("event", params, url, {}, wanted)


async def _list_invoices(books: Books, params: Thing, url: str) -> Thing:
    where = {name: params[name] for name in ("customer", "status") if name in params}
    if params.get("subscription"):
        where["parent"] = {"subscription_details": {"subscription": params["subscription"]}}
    return await books.page("invoice", params, url, where, lambda one: _is_within(one, params.get("created")))


async def _pay_invoice(books: Books, params: Thing, identity: str) -> Thing:
    invoice = await renewals.pay_invoice(books, identity)
    if invoice["status"] != "paid":
        raise Declined
    return invoice


async def _list_invoice_payments(books: Books, params: Thing, url: str) -> Thing:
    where = {name: params[name] for name in ("invoice", "status") if name in params}
    if wanted := params.get("payment"):
        where["payment"] = {"payment_intent": wanted.get("payment_intent")}
    return await books.page("invoice_payment", params, url, where, lambda _: True)


async def _update_metadata(books: Books, params: Thing, identity: str) -> Thing:
    refund = await books.get("refund", identity)
    refund["metadata"] = merged(refund["metadata"], params)
    await books.put(refund)
    await books.emit("refund.updated", refund)
    return refund


_PRODUCT, _PRICE = "name description active metadata", "active nickname lookup_key metadata transfer_lookup_key"
_CUSTOMER = "email name description phone address metadata"
_CHECKOUT = (
    "mode customer customer_email line_items success_url cancel_url client_reference_id metadata allow_promotion_codes"
    " automatic_tax customer_update invoice_creation payment_intent_data subscription_data expires_at discounts"
)
_SUBSCRIPTION = "items metadata cancel_at_period_end cancel_at trial_end proration_behavior payment_behavior"
_PORTAL = "features business_profile default_return_url metadata name"
_ENDPOINT = "url enabled_events description metadata"
_CLOCK, _CONFIGURATION = "test_helpers/test_clocks", "billing_portal/configurations"

CALLS = [
    _call("POST", "products", catalogue.create_product, f"id {_PRODUCT}"),
    _retrieve("product", "products"),
    _call("POST", "products/{}", catalogue.update_product, _PRODUCT),
    _call("DELETE", "products/{}", catalogue.delete_product),
    _list("product", "products", "active"),
    _call("POST", "prices", catalogue.create_price, f"product currency unit_amount recurring {_PRICE}"),
    _retrieve("price", "prices"),
    _call("POST", "prices/{}", catalogue.update_price, _PRICE),
    _call("GET", "prices", catalogue.list_prices, "product active lookup_keys type currency", is_list=True),
    _call("POST", "customers", customers.create, f"test_clock {_CUSTOMER}"),
    _call("GET", "customers/{}", customers.retrieve),
    _call("POST", "customers/{}", customers.update, _CUSTOMER),
    _call("DELETE", "customers/{}", customers.delete),
    _call("GET", "customers", customers.list_all, "email test_clock", is_list=True),
    _call("POST", "checkout/sessions", checkout.create, _CHECKOUT),
    _retrieve("checkout.session", "checkout/sessions"),
    _call("POST", "checkout/sessions/{}/expire", checkout.expire),
    _call("GET", "checkout/sessions/{}/line_items", checkout.line_items, is_list=True),
    _list("checkout.session", "checkout/sessions", "customer", "payment_intent", "subscription", "status"),
    _retrieve("payment_intent", "payment_intents"),
    _list("payment_intent", "payment_intents", "customer"),
    _retrieve("charge", "charges"),
    _list("charge", "charges", "customer", "payment_intent"),
    _call("POST", "refunds", payments.create_refund, "charge payment_intent amount reason metadata"),
    _retrieve("refund", "refunds"),
    _call("POST", "refunds/{}", _update_metadata, "metadata"),
    _list("refund", "refunds", "charge", "payment_intent"),
    _retrieve("dispute", "disputes"),
    _call("POST", "disputes/{}/close", payments.accept_dispute),
    _list("dispute", "disputes", "charge", "payment_intent"),
    _retrieve("invoice", "invoices"),
    _call("GET", "invoices", _list_invoices, "customer status subscription created", is_list=True),
    _call("POST", "invoices/{}/pay", _pay_invoice),
    _call("POST", "invoices/{}/void", invoices.void),
    _call("GET", "invoice_payments", _list_invoice_payments, "invoice status payment", is_list=True),
    _retrieve("invoice_payment", "invoice_payments"),
    _call("POST", "subscriptions", subscriptions.create, f"customer trial_period_days trial_settings {_SUBSCRIPTION}"),
    _retrieve("subscription", "subscriptions"),
    _call("POST", "subscriptions/{}", subscriptions.update, f"pause_collection {_SUBSCRIPTION}"),
    _call("DELETE", "subscriptions/{}", subscriptions.cancel, "cancellation_details"),
    _call("POST", "subscriptions/{}/resume", subscriptions.resume, "billing_cycle_anchor proration_behavior"),
    _call("GET", "subscriptions", subscriptions.list_all, "customer price status", is_list=True),
    _call("POST", "coupons", discounts.create_coupon, "id name percent_off amount_off currency duration metadata"),
    _retrieve("coupon", "coupons"),
    _list("coupon", "coupons"),
    _call("POST", "promotion_codes", discounts.create_code, "promotion code metadata"),
    _retrieve("promotion_code", "promotion_codes"),
    _list("promotion_code", "promotion_codes", "active", "code"),
    _call("POST", _CONFIGURATION, portal.create_configuration, _PORTAL),
    _retrieve("billing_portal.configuration", _CONFIGURATION),
    _call("POST", f"{_CONFIGURATION}/{{}}", portal.update_configuration, f"active {_PORTAL}"),
    _call("GET", _CONFIGURATION, portal.list_configurations, "active is_default", is_list=True),
    _call("POST", "billing_portal/sessions", portal.create_session, "customer configuration return_url"),
    _call("POST", "webhook_endpoints", endpoints.create, f"api_version {_ENDPOINT}"),
    _retrieve("webhook_endpoint", "webhook_endpoints"),
    _call("POST", "webhook_endpoints/{}", endpoints.update, f"disabled {_ENDPOINT}"),
    _call("DELETE", "webhook_endpoints/{}", endpoints.delete),
    _list("webhook_endpoint", "webhook_endpoints"),
    _retrieve("event", "events"),
    _call("GET", "events", _list_events, "type types created delivery_success", is_list=True),
    _call("POST", _CLOCK, clocks.create, "frozen_time name"),
    _retrieve("test_helpers.test_clock", _CLOCK),
    _call("POST", f"{_CLOCK}/{{}}/advance", clocks.advance, "frozen_time"),
    _call("DELETE", f"{_CLOCK}/{{}}", clocks.delete),
    _list("test_helpers.test_clock", _CLOCK),
]
