"""What time does to a subscription: reminders, trials that end, renewals, retries, ends.

A renewal's invoice is a draft for an hour, then it is collected. A payment that fails is tried again three, five and
seven days after the try before; after the last one the subscription is canceled, or what the setting `AFTER_LAST_TRY`
says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sigma_app.embedded.stripe import blanks, invoices
from sigma_app.embedded.stripe.books import Books, Thing
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.embedded.stripe.periods import end_of_period
from sigma_app.embedded.stripe.subscriptions import DAY, OVER, change, end, invoice_period, words_of

AFTER_LAST_TRY = "after the last try"  # a setting: "cancel", "unpaid" or "past_due"
RETRIES = (3 * DAY, 5 * DAY, 7 * DAY)  # seconds after the try before
_UPCOMING = 7 * DAY  # seconds before a renewal
_TRIAL_WARNING = 3 * DAY  # seconds before a trial's end
_INCOMPLETE_FOR = 23 * 3600  # seconds

Step = Callable[[Books, Thing], Awaitable[None]]


async def next_step(books: Books, subscription: Thing) -> tuple[int, Step] | None:
    """What time does next to a subscription, and when, in seconds since 1970."""
    status = subscription["status"]
    if status in OVER or status == "paused":
        return None
    if status == "incomplete":
        return subscription["created"] + _INCOMPLETE_FOR, _expire
    steps = _of_period(subscription)
    for invoice in await invoices.of_subscription(books, subscription["id"]):
        if invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            steps.append((invoice["automatically_finalizes_at"], _collector(invoice)))
        if invoice["status"] == "open" and invoice["next_payment_attempt"]:
            steps.append((invoice["next_payment_attempt"], _collector(invoice)))
    return min(steps, key=lambda step: step[0])


async def invoice_paid(books: Books, invoice: Thing) -> None:
    """A subscription's invoice was paid: it is active, as far as no other is owed."""
    subscription = await books.find("subscription", invoices.subscription_of(invoice))
    if subscription is None or subscription["status"] not in ("past_due", "unpaid", "incomplete"):
        return
    if not await invoices.of_subscription(books, subscription["id"], status="open"):
        await change(books, subscription, status="active")


async def invoice_failed(books: Books, invoice: Thing) -> None:
    """A try to collect a subscription's invoice failed: when the next one is, or what the last one means."""
    subscription = await books.find("subscription", invoices.subscription_of(invoice))
    if subscription is None or subscription["status"] in (*OVER, "incomplete"):
        return
    if invoice["next_payment_attempt"]:
        await change(books, subscription, status="past_due")
        return
    after = await books.setting(AFTER_LAST_TRY, "cancel")
    if after == "cancel":
        await end(books, subscription, "payment_failed")
    else:
        await change(books, subscription, status=after)


async def try_to_collect(books: Books, invoice: Thing) -> None:
    """Try to collect an open invoice with the customer's card, and say what it means for the subscription."""
    customer = await books.get("customer", invoice["customer"])
    tries = invoice["attempt_count"]
    now = await books.now(customer["id"])
    invoice["next_payment_attempt"] = now + RETRIES[tries] if tries < len(RETRIES) else None
    if await invoices.collect(books, invoice, customer.get("_card")):
        await invoice_paid(books, invoice)
    else:
        await invoice_failed(books, invoice)


async def pay_invoice(books: Books, identity: str) -> Thing:
    """Try to pay an open invoice with the customer's card, now.

    Raises:
        Refused: it is not open.
    """
    invoice = await books.get("invoice", identity, "invoice")
    if invoice["status"] == "paid":
        raise Refused("Invoice is already paid", code="invoice_already_paid")
    if invoice["status"] == "draft":
        await invoices.finalize(books, invoice)
    if invoice["status"] != "open":
        raise Refused(f"Invoice is {invoice['status']}; it cannot be paid.", code="invoice_not_payable")
    customer, later = await books.get("customer", invoice["customer"]), invoice["next_payment_attempt"]
    is_paid = await invoices.collect(books, invoice, customer.get("_card"))
    invoice["next_payment_attempt"] = None if is_paid else later
    await books.put(invoice)
    if is_paid:
        await invoice_paid(books, invoice)
    return invoice


def _of_period(subscription: Thing) -> list[tuple[int, Step]]:
    (item,) = subscription["items"]["data"]
    over, told = item["current_period_end"], subscription["_told"]
    steps: list[tuple[int, Step]] = []
    if subscription["cancel_at"] and subscription["cancel_at"] <= over:
        steps.append((subscription["cancel_at"], _end))
    if subscription["status"] == "trialing":
        if "trial" not in told:
            warned = max(subscription["trial_start"], subscription["trial_end"] - _TRIAL_WARNING)
            steps.append((warned, _warn_of_trials_end))
        return [*steps, (subscription["trial_end"], _end_trial)]
    if "upcoming" not in told and not subscription["cancel_at"]:
        steps.append((max(item["current_period_start"], over - _UPCOMING), _announce))
    return [*steps, (over, _renew)]


async def _expire(books: Books, subscription: Thing) -> None:
    """Its first invoice was not paid within a day."""
    for invoice in await invoices.of_subscription(books, subscription["id"], status="open"):
        await invoices.void(books, {}, invoice["id"])
    subscription["ended_at"] = await books.now(subscription["customer"])
    await change(books, subscription, status="incomplete_expired")


async def _end(books: Books, subscription: Thing) -> None:
    await end(books, subscription)


async def _warn_of_trials_end(books: Books, subscription: Thing) -> None:
    subscription["_told"].append("trial")
    await books.put(subscription)
    await books.emit("customer.subscription.trial_will_end", subscription)


async def _announce(books: Books, subscription: Thing) -> None:
    """The next invoice, as it will be: it has no id yet, and is kept nowhere."""
    subscription["_told"].append("upcoming")
    await books.put(subscription)
    customer = await books.get("customer", subscription["customer"])
    (item,) = subscription["items"]["data"]
    period = (item["current_period_start"], item["current_period_end"])
    amount = item["price"]["unit_amount"] * item["quantity"]
    words = await words_of(books, item["price"], item["quantity"])
    regular = blanks.invoice_line(item["price"], amount, words, period, item)
    invoice = await invoices.draft(books, customer, [regular], "upcoming", period, subscription=subscription)
    await books.remove(invoice)
    shape = {**invoice, "next_payment_attempt": item["current_period_end"] + invoices.DRAFT_FOR}
    await books.emit("invoice.upcoming", {**shape, "id": f"upcoming_{invoice['id']}"})


async def _end_trial(books: Books, subscription: Thing) -> None:
    customer = await books.get("customer", subscription["customer"])
    behaviour = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if customer.get("_card") is None and behaviour == "cancel":
        await end(books, subscription)
    elif customer.get("_card") is None and behaviour == "pause":
        now = await books.now(customer["id"])
        paused = {"subscription": {"type": "trial_end_without_payment_method"}, "transitioned_at": now}
        subscription["status_details"] = {"paused": {**paused, "type": "subscription"}}
        before = {"status": subscription["status"]}
        subscription["status"] = "paused"
        await books.put(subscription)
        await books.emit("customer.subscription.paused", subscription)
        await books.emit("customer.subscription.updated", subscription, before)
    else:
        subscription["billing_cycle_anchor"] = subscription["trial_end"]
        (item,) = subscription["items"]["data"]
        item["current_period_end"] = subscription["trial_end"]
        await _renew(books, subscription, status="active")


async def _renew(books: Books, subscription: Thing, status: str | None = None) -> None:
    """The next period begins, with a draft of its invoice."""
    (item,) = subscription["items"]["data"]
    start, over = item["current_period_start"], item["current_period_end"]
    before = {"items": {"data": [{"current_period_start": start, "current_period_end": over}]}}
    before |= {"latest_invoice": subscription["latest_invoice"]}
    until = end_of_period(subscription["billing_cycle_anchor"], over, item["price"]["recurring"])
    item.update(current_period_start=over, current_period_end=until)
    subscription["_told"] = []
    if status:
        before["status"], subscription["status"] = subscription["status"], status
    invoice = await invoice_period(books, subscription, "subscription_cycle", (start, over))
    held = subscription["pause_collection"] or subscription["status"] == "unpaid"
    invoice.update(auto_advance=not held, automatically_finalizes_at=None if held else over + invoices.DRAFT_FOR)
    await books.put(invoice)
    await books.emit("customer.subscription.updated", subscription, before)


def _collector(invoice: Thing) -> Step:
    async def collect(books: Books, subscription: Thing) -> None:
        if invoice["status"] == "draft":
            await invoices.finalize(books, invoice)
        await try_to_collect(books, invoice)

    return collect
