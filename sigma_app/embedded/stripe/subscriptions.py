"""Subscriptions (https://docs.stripe.com/api/subscriptions): begun and changed; renewals.py is what time does to them.

One whose first payment is a bank debit is active while that is under way, and past due if it comes back, as Stripe has
it for methods that notify later. One without a way to pay is refused, unless it begins with a trial.
"""

from __future__ import annotations

from typing import Any

from sigma_app.embedded.stripe import blanks, invoices, payments
from sigma_app.embedded.stripe.books import Books, Thing, new_id
from sigma_app.embedded.stripe.errors import Declined, Refused, invalid, required
from sigma_app.embedded.stripe.form import flag, merged, whole
from sigma_app.embedded.stripe.periods import end_of_period

OVER = ("canceled", "incomplete_expired")
ENDLESS = 10 * 365 * 86400  # seconds: a trial is at most so long, two years at Stripe
DAY = 86400  # seconds


async def create(books: Books, params: Thing) -> Thing:
    """A subscription, paid at once with the customer's card unless it begins with a trial or is to be paid later."""
    customer = await books.customer(params.get("customer"))
    wanted = params.get("items")
    if not isinstance(wanted, list) or len(wanted) != 1:
        raise required("items") if not wanted else invalid("items", "The sandbox takes one item.")
    price = await books.get("price", wanted[0].get("price"), "items[0][price]")
    trial_end, card = await _trial_end(books, params, customer["id"]), customer.get("_card")
    behaviour = params.get("payment_behavior", "allow_incomplete")
    if trial_end is None and price["unit_amount"] and behaviour != "default_incomplete":
        _check_card(card, behaviour)
    subscription, invoice = await begin(
        books,
        customer,
        price,
        quantity=whole(wanted[0], "quantity", 1) or 1,
        metadata=params.get("metadata") or {},
        trial_end=trial_end,
        when_no_card=_when_no_card(params),
    )
    await collect_first(books, subscription, invoice, None if behaviour == "default_incomplete" else card)
    if flag(params, "cancel_at_period_end"):
        await update(books, {"cancel_at_period_end": "true"}, subscription["id"])
    return subscription


async def begin(
    books: Books,
    customer: Thing,
    price: Thing,
    *,
    quantity: int = 1,
    metadata: Thing | None = None,
    trial_end: int | None = None,
    when_no_card: str = "create_invoice",
    discount: Thing | None = None,
) -> tuple[Thing, Thing]:
    """A new subscription, incomplete or trialing, and its first invoice, a draft."""
    if price["type"] != "recurring":
        message = f"The price {price['id']} is `one_time`, and a subscription takes `recurring` ones only."
        raise Refused(message, param="items[0][price]")
    now, identity = await books.now(customer["id"]), new_id("sub")
    end = trial_end or end_of_period(now, now, price["recurring"])
    item = blanks.subscription_item(identity, price, quantity, now, end)
    subscription = blanks.subscription(identity, customer, item, now, metadata or {}, trial_end)
    subscription["trial_settings"]["end_behavior"]["missing_payment_method"] = when_no_card
    if discount:
        subscription["discounts"] = [discount["id"]]
    amount = 0 if trial_end else price["unit_amount"] * quantity
    words = f"Trial period for {await name_of(books, price)}" if trial_end else await words_of(books, price, quantity)
    first = blanks.invoice_line(price, amount, words, (now, end), item)
    invoice = await invoices.draft(
        books, customer, [first], "subscription_create", (now, now), subscription=subscription, discount=discount
    )
    subscription["latest_invoice"] = invoice["id"]
    await books.put(subscription)
    await books.emit("customer.subscription.created", subscription)
    await books.emit("invoice.created", invoice)
    return subscription, invoice


async def collect_first(
    books: Books,
    subscription: Thing,
    invoice: Thing,
    card: payments.Card | None,
    intent: Thing | None = None,
) -> None:
    """Finalize and collect the first invoice; paid, the subscription is active."""
    await invoices.finalize(books, invoice, intent)
    if invoice["amount_due"] and card is None:
        return
    if await invoices.collect(books, invoice, card) and subscription["status"] == "incomplete":
        await change(books, subscription, status="active")


async def change(books: Books, subscription: Thing, **values: Any) -> None:
    """Give it other values, and tell of it where any is another one."""
    before = {name: subscription[name] for name, value in values.items() if subscription[name] != value}
    subscription.update(values)
    await books.put(subscription)
    if before:
        await books.emit("customer.subscription.updated", subscription, before)


async def update(books: Books, params: Thing, identity: str) -> Thing:
    """Another price, its end at the period's end or not, a trial's end, whether it collects, metadata."""
    subscription = await living(books, identity)
    values: Thing = {"metadata": merged(subscription["metadata"], params)}
    if "cancel_at_period_end" in params:
        values |= await _ending(books, subscription, flag(params, "cancel_at_period_end"))
    elif "cancel_at" in params:
        at = whole(params, "cancel_at")
        values |= {"cancel_at": at, "canceled_at": await books.now(subscription["customer"]) if at else None}
    if "pause_collection" in params:
        values["pause_collection"] = _pause(params["pause_collection"])
    if trial_end := await _trial_end(books, params, subscription["customer"]):
        if subscription["status"] != "trialing":
            raise invalid("trial_end", "The sandbox moves the end of a trial only while it runs.")
        values["trial_end"] = subscription["items"]["data"][0]["current_period_end"] = trial_end
    await change(books, subscription, **values)
    if "items" in params:
        from sigma_app.embedded.stripe.switching import switch  # which changes subscriptions by what is here

        await switch(books, subscription, params)
    return subscription


async def cancel(books: Books, params: Thing, identity: str) -> Thing:
    """It ends now."""
    subscription = await living(books, identity)
    await end(books, subscription, "cancellation_requested")
    return subscription


async def end(books: Books, subscription: Thing, reason: str = "cancellation_requested") -> None:
    """It is over; what is owed stays owed, and nobody tries to collect it any more."""
    now = await books.now(subscription["customer"])
    subscription.update(status="canceled", ended_at=now, canceled_at=subscription["canceled_at"] or now)
    subscription["cancellation_details"]["reason"] = reason
    await books.put(subscription)
    for invoice in await invoices.of_subscription(books, subscription["id"]):
        if invoice["status"] in ("open", "draft"):
            invoice.update(auto_advance=False, next_payment_attempt=None, automatically_finalizes_at=None)
            await books.put(invoice)
    await books.emit("customer.subscription.deleted", subscription)


async def resume(books: Books, params: Thing, identity: str) -> Thing:
    """A paused one goes on, with a period that begins now and is paid now."""
    subscription = await living(books, identity)
    if subscription["status"] != "paused":
        raise Refused("The subscription is not paused.", param="subscription")
    customer = await books.get("customer", subscription["customer"])
    now = await books.now(customer["id"])
    (item,) = subscription["items"]["data"]
    period = (now, end_of_period(now, now, item["price"]["recurring"]))
    item.update(current_period_start=period[0], current_period_end=period[1])
    subscription.update(billing_cycle_anchor=now, _told=[], status_details=None)
    invoice = await invoice_period(books, subscription, "subscription_update", (now, now))
    await invoices.finalize(books, invoice)
    if invoice["amount_due"] and customer.get("_card") is None:
        return subscription
    if await invoices.collect(books, invoice, customer.get("_card")):
        await change(books, subscription, status="active", latest_invoice=invoice["id"])
        await books.emit("customer.subscription.resumed", subscription)
    return subscription


async def invoice_period(books: Books, subscription: Thing, reason: str, period: tuple[int, int]) -> Thing:
    """A draft for the item's current period, with what is pending from switches of plan, told of."""
    customer = await books.get("customer", subscription["customer"])
    (item,) = subscription["items"]["data"]
    ahead = (item["current_period_start"], item["current_period_end"])
    price, quantity = item["price"], item["quantity"]
    amount = price["unit_amount"] * quantity
    regular = blanks.invoice_line(price, amount, await words_of(books, price, quantity), ahead, item)
    lines = [*subscription["_pending"], regular]
    subscription["_pending"] = []
    invoice = await invoices.draft(
        books, customer, lines, reason, period, subscription=subscription, discount=await lasting(books, subscription)
    )
    subscription["latest_invoice"] = invoice["id"]
    await books.put(subscription)
    await books.emit("invoice.created", invoice)
    return invoice


async def lasting(books: Books, subscription: Thing) -> Thing | None:
    """Its discount, where the coupon is for every payment and not for the first one alone."""
    for identity in subscription["discounts"]:
        discount = await books.get("discount", identity)
        coupon = await books.get("coupon", discount["source"]["coupon"])
        return discount if coupon["duration"] == "forever" else None
    return None


async def living(books: Books, identity: str) -> Thing:
    """A subscription that is not over.

    Raises:
        Refused: there is none, or it is.
    """
    subscription = await books.get("subscription", identity, "subscription")
    if subscription["status"] in OVER:
        raise Refused(f"No such subscription: '{identity}'", status=404, code="resource_missing", param="id")
    return subscription


async def list_all(books: Books, params: Thing, url: str) -> Thing:
    """Subscriptions by customer, price and status; without a status those that are not canceled."""
    status = params.get("status")
    where: Thing = {"customer": params["customer"]} if params.get("customer") else {}
    if status and status not in ("all", "ended"):
        where["status"] = status

    def wanted(one: Thing) -> bool:
        price = one["items"]["data"][0]["price"]["id"]
        over = one["status"] in OVER
        kept = (not over) if status is None else over if status == "ended" else True
        return kept and params.get("price", price) == price

    return await books.page("subscription", params, url, where, wanted)


async def words_of(books: Books, price: Thing, quantity: int) -> str:
    """A line's description."""
    amount = f"{price['unit_amount'] / 100:.2f} {price['currency'].upper()}"
    return f"{quantity} × {await name_of(books, price)} (at {amount} / {price['recurring']['interval']})"


async def name_of(books: Books, price: Thing) -> str:
    """The name of what a price is of."""
    return (await books.get("product", price["product"]))["name"]


async def _ending(books: Books, subscription: Thing, ends: bool) -> Thing:
    """What says that it ends with its period, or not."""
    (item,) = subscription["items"]["data"]
    now = await books.now(subscription["customer"])
    details = {**subscription["cancellation_details"], "reason": "cancellation_requested" if ends else None}
    return {
        "cancel_at_period_end": ends,
        "cancel_at": item["current_period_end"] if ends else None,
        "canceled_at": now if ends else None,
        "cancellation_details": details,
    }


async def _trial_end(books: Books, params: Thing, customer: str) -> int | None:
    now = await books.now(customer)
    if days := whole(params, "trial_period_days"):
        return now + days * DAY
    until = whole(params, "trial_end")
    if until is not None and not now < until < now + ENDLESS:
        raise invalid("trial_end", "Invalid timestamp: must be an integer Unix timestamp in the future.")
    return until


def _check_card(card: payments.Card | None, behaviour: str) -> None:
    """Refuse a first payment that cannot be tried, or would leave what is not wanted incomplete."""
    if card is None:
        message = "This customer has no attached payment source or default payment method."
        raise Refused(message, code="resource_missing")
    if card != "pays" and behaviour == "error_if_incomplete":
        raise Declined


def _when_no_card(params: Thing) -> str:
    behaviour = (params.get("trial_settings") or {}).get("end_behavior") or {}
    return behaviour.get("missing_payment_method", "create_invoice")


def _pause(given: Any) -> Thing | None:
    if not given:
        return None
    if given.get("behavior") != "keep_as_draft" or given.get("resumes_at"):
        raise invalid("pause_collection", "The sandbox pauses with behavior=keep_as_draft, until told otherwise.")
    return {"behavior": "keep_as_draft", "resumes_at": None}
