"""Coupons, promotion codes, and what they take off (https://docs.stripe.com/api/coupons, /promotion_codes)."""

from __future__ import annotations

from sigma_app.embedded.stripe.books import Books, Thing, new_id, nulls
from sigma_app.embedded.stripe.errors import Refused, invalid, required
from sigma_app.embedded.stripe.form import whole


async def create_coupon(books: Books, params: Thing) -> Thing:
    """A share or an amount off; for the first payment or for all."""
    percent, amount = params.get("percent_off"), whole(params, "amount_off")
    if (percent is None) is (amount is None):
        raise required("percent_off")
    if amount is not None and not params.get("currency"):
        raise required("currency")
    duration = params.get("duration", "once")
    if duration not in ("once", "forever"):
        raise invalid("duration", "The sandbox knows only coupons that last once or forever.")
    identity = params.get("id") or new_id("")[1:9]
    if await books.find("coupon", identity):
        raise Refused("Coupon already exists.", code="resource_already_exists", param="id")
    coupon: Thing = {
        "id": identity,
        "object": "coupon",
        "amount_off": amount,
        "created": await books.now(),
        "currency": params.get("currency"),
        "duration": duration,
        "duration_in_months": None,
        "livemode": False,
        "max_redemptions": None,
        "metadata": params.get("metadata") or {},
        "name": params.get("name"),
        "percent_off": _percent(percent),
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    }
    await books.put(coupon)
    await books.emit("coupon.created", coupon)
    return coupon


async def create_code(books: Books, params: Thing) -> Thing:
    """A code that people type for a coupon."""
    promotion = params.get("promotion")
    if not isinstance(promotion, dict) or promotion.get("type") != "coupon":
        raise required("promotion")
    coupon = await books.get("coupon", promotion.get("coupon"), "promotion[coupon]")
    text = params.get("code") or new_id("")[1:9].upper()
    if await find_code(books, text):
        raise Refused("An active promotion code with that code already exists.", param="code")
    code: Thing = {
        "id": new_id("promo"),
        "object": "promotion_code",
        "active": True,
        "code": text,
        "created": await books.now(),
        "livemode": False,
        "metadata": params.get("metadata") or {},
        "promotion": {"type": "coupon", "coupon": coupon["id"]},
        "times_redeemed": 0,
        "restrictions": {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        **nulls("customer customer_account expires_at max_redemptions"),
    }
    await books.put(code)
    await books.emit("promotion_code.created", code)
    return code


async def find_code(books: Books, text: str) -> Thing | None:
    """The active promotion code that people type so, in any case."""
    codes = await books.all("promotion_code", active=True)
    return next((code for code in codes if code["code"].lower() == text.strip().lower()), None)


async def new_discount(books: Books, coupon: Thing, code: Thing | None, **where: str | None) -> Thing:
    """A coupon as it is applied; `where` says to which customer, subscription and checkout."""
    for used in filter(None, (coupon, code)):
        used["times_redeemed"] += 1
        await books.put(used)
    discount: Thing = {
        "id": new_id("di"),
        "object": "discount",
        "promotion_code": code["id"] if code else None,
        "source": {"type": "coupon", "coupon": coupon["id"]},
        "start": await books.now(where.get("customer")),
        **where,
        **nulls("checkout_session customer customer_account end invoice invoice_item subscription subscription_item"),
    }
    return await books.put(discount)


async def discount_of(books: Books, discount: Thing | None, amount: int) -> int:
    """What a discount takes off an amount."""
    if discount is None:
        return 0
    return off(await books.get("coupon", discount["source"]["coupon"]), amount)


def off(coupon: Thing, amount: int) -> int:
    """What a coupon takes off an amount."""
    amount = max(0, amount)
    if coupon["percent_off"] is not None:
        return round(amount * coupon["percent_off"] / 100)
    return min(amount, coupon["amount_off"])


def _percent(given: object) -> float | None:
    if given is None:
        return None
    try:
        percent = float(str(given))
    except ValueError:
        percent = 0
    if not 0 < percent <= 100:
        raise invalid("percent_off", "Invalid percent_off: must be greater than 0 and at most 100")
    return percent
