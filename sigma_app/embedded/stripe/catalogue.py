"""Products and prices (https://docs.stripe.com/api/products, /prices)."""

from __future__ import annotations

from typing import Any

from sigma_app.embedded.stripe.books import Books, Thing, new_id, nulls
from sigma_app.embedded.stripe.errors import Refused, invalid, required
from sigma_app.embedded.stripe.form import flag, merged, whole

_EVERY = ("day", "week", "month", "year")


async def create_product(books: Books, params: Thing) -> Thing:
    """A product, with an id of the caller's if they have one."""
    if not params.get("name"):
        raise required("name")
    identity = params.get("id") or new_id("prod")
    if await books.find("product", identity):
        raise Refused(f"Product already exists: {identity}", code="resource_already_exists", param="id")
    now = await books.now()
    product: Thing = {
        "id": identity,
        "object": "product",
        "active": flag(params, "active", True),
        "created": now,
        "description": params.get("description"),
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": params.get("metadata") or {},
        "name": params["name"],
        "type": "service",
        "updated": now,
        **nulls("default_price package_dimensions shippable statement_descriptor tax_code unit_label url"),
    }
    await books.put(product)
    await books.emit("product.created", product)
    return product


async def update_product(books: Books, params: Thing, identity: str) -> Thing:
    """A product's name, description, metadata, and whether it is for sale."""
    product = await books.get("product", identity)
    return await _update(books, product, params, ("name", "description"), "product.updated")


async def delete_product(books: Books, params: Thing, identity: str) -> Thing:
    """Only one that has no prices."""
    product = await books.get("product", identity)
    if await books.all("price", product=identity):
        raise Refused("This product cannot be deleted because it has one or more user-created prices.")
    return await _delete(books, product, "product.deleted")


async def create_price(books: Books, params: Thing) -> Thing:
    """A price of a product; with `transfer_lookup_key` it takes the key from the one that has it."""
    product = await books.get("product", params.get("product"), "product")
    amount = whole(params, "unit_amount")
    if amount is None or not params.get("currency"):
        raise required("currency" if amount is not None else "unit_amount")
    key = params.get("lookup_key")
    await _free_key(books, key, params)
    recurring = _recurring(params.get("recurring"))
    price: Thing = {
        "id": new_id("price"),
        "object": "price",
        "active": flag(params, "active", True),
        "billing_scheme": "per_unit",
        "created": await books.now(),
        "currency": params["currency"].lower(),
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": key,
        "metadata": params.get("metadata") or {},
        "nickname": params.get("nickname"),
        "product": product["id"],
        "recurring": recurring,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    await books.put(price)
    await books.emit("price.created", price)
    return price


async def update_price(books: Books, params: Thing, identity: str) -> Thing:
    """Whether a price is for sale, its nickname, lookup key and metadata; what it costs never changes."""
    price = await books.get("price", identity)
    if params.get("lookup_key") != price["lookup_key"]:
        await _free_key(books, params.get("lookup_key"), params)
    return await _update(books, price, params, ("nickname", "lookup_key"), "price.updated")


async def list_prices(books: Books, params: Thing, url: str) -> Thing:
    """Prices by product, by lookup key, by whether they are for sale."""
    keys = params.get("lookup_keys")
    where = {"product": params["product"]} if params.get("product") else {}
    if params.get("type"):
        where["type"] = params["type"]
    active = flag(params, "active") if "active" in params else None

    def wanted(price: Thing) -> bool:
        return (not keys or price["lookup_key"] in keys) and (active is None or price["active"] is active)

    return await books.page("price", params, url, where, wanted)


async def _free_key(books: Books, key: str | None, params: Thing) -> None:
    """Take a lookup key from the price that has it, where that is wanted."""
    for holder in await books.all("price", lookup_key=key) if key else []:
        if not flag(params, "transfer_lookup_key"):
            message = f"A price (`{holder['id']}`) already uses that lookup key."
            raise Refused(message, code="resource_already_exists", param="lookup_key")
        holder["lookup_key"] = None
        await books.put(holder)
        await books.emit("price.updated", holder, {"lookup_key": key})


async def _update(books: Books, thing: Thing, params: Thing, texts: tuple[str, ...], event: str) -> Thing:
    before: dict[str, Any] = {}
    wanted: dict[str, Any] = {name: params[name] for name in texts if name in params}
    if "active" in params:
        wanted["active"] = flag(params, "active")
    if "metadata" in params:
        wanted["metadata"] = merged(thing["metadata"], params)
    for name, value in wanted.items():
        if thing[name] != value:
            before[name], thing[name] = thing[name], value
    if before:
        if "updated" in thing:
            before["updated"], thing["updated"] = thing["updated"], await books.now()
        await books.put(thing)
        await books.emit(event, thing, before)
    return thing


async def _delete(books: Books, thing: Thing, event: str) -> Thing:
    await books.remove(thing)
    await books.emit(event, thing)
    return {"id": thing["id"], "object": thing["object"], "deleted": True}


def _recurring(given: Any) -> Thing | None:
    if not given:
        return None
    if given.get("interval") not in _EVERY:
        raise invalid("recurring[interval]", "Invalid recurring[interval]: must be one of day, month, week, or year")
    return {
        "interval": given["interval"],
        "interval_count": whole(given, "interval_count", 1),
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
