"""Another price for a subscription, and what is owed for it (https://docs.stripe.com/billing/subscriptions/change-price).

Where the interval stays, the difference for the rest of the period is on the next invoice; where it is another one, a
new period begins now, and is paid now, less what is left of the old one. Customers are credited what is more than that.
"""

from __future__ import annotations

from sigma_app.embedded.stripe import blanks, invoices
from sigma_app.embedded.stripe.blanks import plan_of
from sigma_app.embedded.stripe.books import Books, Thing
from sigma_app.embedded.stripe.errors import Refused, invalid
from sigma_app.embedded.stripe.form import whole
from sigma_app.embedded.stripe.periods import end_of_period
from sigma_app.embedded.stripe.subscriptions import change, invoice_period, name_of

_PRORATIONS = ("create_prorations", "always_invoice", "none")


async def switch(books: Books, subscription: Thing, params: Thing) -> None:
    """Do what `items` of an update says."""
    (item,) = subscription["items"]["data"]
    wanted = params["items"]
    if not isinstance(wanted, list) or len(wanted) != 1 or wanted[0].get("id") not in (None, item["id"]):
        raise invalid("items", f"Invalid items: the sandbox changes the one item, {item['id']}.")
    how = params.get("proration_behavior", "create_prorations")
    if how not in _PRORATIONS:
        raise invalid("proration_behavior", f"Invalid proration_behavior: must be one of {', '.join(_PRORATIONS)}")
    price = await books.get("price", wanted[0].get("price") or item["price"]["id"], "items[0][price]")
    if price["type"] != "recurring" or not price["active"]:
        raise Refused(f"The price {price['id']} cannot be subscribed to.", param="items[0][price]")
    await switch_to(books, subscription, price, whole(wanted[0], "quantity", item["quantity"]) or 1, how)


async def switch_to(
    books: Books, subscription: Thing, price: Thing, quantity: int = 1, how: str = "create_prorations"
) -> None:
    """Change the price.

    Args:
        books: as everywhere.
        subscription: one that is not over.
        price: the new one.
        quantity: how many.
        how: Stripe's `proration_behavior`.
    """
    (item,) = subscription["items"]["data"]
    old, before = item["price"], item["quantity"]
    if (old["id"], before) == (price["id"], quantity):
        return
    now = await books.now(subscription["customer"])
    previous = {"items": {"data": [{"price": old, "quantity": before}]}}
    runs = subscription["status"] not in ("trialing", "paused", "incomplete")
    if runs and how != "none":
        subscription["_pending"] = await _difference(books, item, price, quantity, now)
    item.update(price=price, plan=plan_of(price), quantity=quantity)
    is_other_cycle = any(old["recurring"][name] != price["recurring"][name] for name in ("interval", "interval_count"))
    if runs and is_other_cycle:
        item.update(current_period_start=now, current_period_end=end_of_period(now, now, price["recurring"]))
        subscription.update(billing_cycle_anchor=now, _told=[])
    await books.put(subscription)
    await books.emit("customer.subscription.updated", subscription, previous)
    if runs and is_other_cycle:
        await _collect_now(books, subscription, now)


async def _collect_now(books: Books, subscription: Thing, now: int) -> None:
    invoice = await invoice_period(books, subscription, "subscription_update", (now, now))
    customer = await books.get("customer", subscription["customer"])
    await invoices.finalize(books, invoice)
    if not await invoices.collect(books, invoice, customer.get("_card")):
        await change(books, subscription, status="past_due")


async def _difference(books: Books, item: Thing, price: Thing, quantity: int, now: int) -> list[Thing]:
    """Lines for the rest of the period: the old price back, and the new one where the interval stays."""
    start, end = item["current_period_start"], item["current_period_end"]
    share = max(0, end - now) / (end - start)
    old = item["price"]
    words = f"Unused time on {await name_of(books, old)}"
    back = -round(old["unit_amount"] * item["quantity"] * share)
    lines = [blanks.invoice_line(old, back, words, (now, end), item, proration=True)]
    if old["recurring"]["interval"] == price["recurring"]["interval"]:
        words = f"Remaining time on {await name_of(books, price)}"
        owed = round(price["unit_amount"] * quantity * share)
        lines.append(blanks.invoice_line(price, owed, words, (now, end), item, proration=True))
    return lines
