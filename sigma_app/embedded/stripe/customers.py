"""Customers (https://docs.stripe.com/api/customers)."""

from __future__ import annotations

from sigma_app.embedded.stripe.books import Books, Thing, new_id, nulls
from sigma_app.embedded.stripe.form import merged
from sigma_app.embedded.stripe.subscriptions import OVER, end


async def create(books: Books, params: Thing) -> Thing:
    """A customer; on a test clock if one is named."""
    if params.get("test_clock"):
        await books.get("test_helpers.test_clock", params["test_clock"], "test_clock")
    clock = await books.find("test_helpers.test_clock", params.get("test_clock"))
    customer: Thing = {
        "id": new_id("cus"),
        "object": "customer",
        "address": params.get("address"),
        "balance": 0,
        "created": clock["frozen_time"] if clock else await books.now(),
        "delinquent": False,
        "description": params.get("description"),
        "email": params.get("email"),
        "invoice_prefix": new_id("")[1:9].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": params.get("metadata") or {},
        "name": params.get("name"),
        "next_invoice_sequence": 1,
        "phone": params.get("phone"),
        "preferred_locales": [],
        "tax_exempt": "none",
        "test_clock": params.get("test_clock"),
        **nulls("currency default_source discount shipping"),
    }
    await books.put(customer)
    await books.emit("customer.created", customer)
    return customer


async def retrieve(books: Books, params: Thing, identity: str) -> Thing:
    """A customer, or that it was deleted: Stripe says so for ever."""
    customer = await books.get("customer", identity, "customer")
    return {"id": identity, "object": "customer", "deleted": True} if customer.get("deleted") else customer


async def update(books: Books, params: Thing, identity: str) -> Thing:
    """A customer's address, name and metadata."""
    customer = await books.customer(identity)
    before: Thing = {}
    for name in ("email", "name", "description", "phone", "address"):
        if name in params and customer[name] != (params[name] or None):
            before[name], customer[name] = customer[name], params[name] or None
    if (metadata := merged(customer["metadata"], params)) != customer["metadata"]:
        before["metadata"], customer["metadata"] = customer["metadata"], metadata
    if before:
        await books.put(customer)
        await books.emit("customer.updated", customer, before)
    return customer


async def delete(books: Books, params: Thing, identity: str) -> Thing:
    """A customer goes, and what they subscribed to ends at once."""
    customer = await books.customer(identity)
    for subscription in await books.all("subscription", customer=identity):
        if subscription["status"] not in OVER:
            await end(books, subscription)
    await books.emit("customer.deleted", customer)
    customer["deleted"] = True
    await books.put(customer)
    return {"id": identity, "object": "customer", "deleted": True}


async def list_all(books: Books, params: Thing, url: str) -> Thing:
    """Customers by address; deleted ones are not listed."""
    where = {"email": params["email"]} if params.get("email") else {}
    return await books.page("customer", params, url, where, lambda one: not one.get("deleted"))
