"""Invoices and the payments of them (https://docs.stripe.com/api/invoices): made, finalized, collected.

What a paid or a failed invoice means for its subscription is said in renewals.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sigma_app.embedded.stripe import blanks, payments
from sigma_app.embedded.stripe.books import Books, Thing, new_id
from sigma_app.embedded.stripe.discounts import discount_of
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.settings import get_settings

DRAFT_FOR = 3600  # seconds between a renewal's invoice and the first try to collect it
HOSTED = "/sandbox/invoice"


async def draft(
    books: Books,
    customer: Thing,
    lines: Sequence[Thing],
    reason: str,
    period: tuple[int, int],
    subscription: Thing | None = None,
    discount: Thing | None = None,
) -> Thing:
    """A new invoice, which is told of by the caller.

    Args:
        books: as everywhere.
        customer: whose.
        lines: made by `blanks.invoice_line`, all in one currency.
        reason: Stripe's `billing_reason`.
        period: of the invoice; the lines have their own.
        subscription: which it is of.
        discount: what is off.
    """
    now, identity = await books.now(customer["id"]), new_id("in")
    subtotal = sum(one["amount"] for one in lines)
    off = await discount_of(books, discount, subtotal)
    _spread(lines, identity, off, discount)
    total = subtotal - off
    due = max(0, total + customer["balance"])
    invoice = blanks.invoice(identity, customer, list(lines), now)
    invoice.update(billing_reason=reason, period_start=period[0], period_end=period[1], subtotal=subtotal, total=total)
    invoice.update(amount_due=due, amount_remaining=due, subtotal_excluding_tax=subtotal, total_excluding_tax=total)
    if off and discount:
        invoice["discounts"] = [discount["id"]]
        invoice["total_discount_amounts"] = [{"amount": off, "discount": discount["id"]}]
    if subscription:
        details = {"subscription": subscription["id"], "metadata": subscription["metadata"]}
        invoice["parent"] = {"type": "subscription_details", "quote_details": None, "subscription_details": details}
    return await books.put(invoice)


async def finalize(books: Books, invoice: Thing, intent: Thing | None = None) -> None:
    """Give the invoice its number, take the customer's credit into account, and lay a payment where one is due.

    Args:
        books: as everywhere.
        invoice: a draft.
        intent: the payment that it is paid with, where there is one already; one by card is made otherwise.
    """
    customer = await books.get("customer", invoice["customer"])
    now = await books.now(customer["id"])
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    left = invoice["total"] + invoice["starting_balance"]
    customer["next_invoice_sequence"] += 1
    customer["balance"] = min(0, left)
    await books.put(customer)
    invoice.update(status="open", number=number, effective_at=now, ending_balance=min(0, left))
    invoice.update(automatically_finalizes_at=None, webhooks_delivered_at=now)
    invoice["hosted_invoice_url"] = f"{get_settings().base_url}{HOSTED}/{invoice['id']}"
    invoice["status_transitions"]["finalized_at"] = now
    await books.put(invoice)
    await books.emit("invoice.finalized", invoice)
    if invoice["amount_due"]:
        intent = intent or await payments.new_intent(
            books, customer["id"], invoice["amount_due"], invoice["currency"], {}, "card"
        )
        await _lay_payment(books, invoice, intent)


async def collect(books: Books, invoice: Thing, card: payments.Card | None) -> bool:
    """Try to collect what is due, as the card behaves, None being no card; whether it is paid now."""
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    intent = await intent_of(books, invoice)
    if intent is None or card == "pays":
        if intent:
            await payments.succeed(books, intent)
        await mark_paid(books, invoice)
        return True
    if card != "asks":
        await payments.fail(books, intent)
        await fail(books, invoice)
        return False
    await payments.ask(books, intent)
    await fail(books, invoice)  # for an invoice a try that the bank asks about is one that failed; both are told
    await books.emit("invoice.payment_action_required", invoice)
    return False


async def mark_paid(books: Books, invoice: Thing) -> None:
    """Its payment went through, or none was due."""
    now = await books.now(invoice["customer"])
    invoice.update(status="paid", amount_paid=invoice["amount_due"], amount_remaining=0, next_payment_attempt=None)
    invoice.update(attempted=True, auto_advance=False)
    invoice["status_transitions"]["paid_at"] = now
    await books.put(invoice)
    for payment in await books.all("invoice_payment", invoice=invoice["id"], status="open"):
        payment.update(status="paid", amount_paid=payment["amount_requested"])
        payment["status_transitions"]["paid_at"] = now
        await books.put(payment)
        await books.emit("invoice_payment.paid", payment)
    await books.emit("invoice.paid", invoice)
    await books.emit("invoice.payment_succeeded", invoice)


async def fail(books: Books, invoice: Thing) -> None:
    """A try to collect it failed; when the next one is stays as it is."""
    await books.put(invoice)
    await books.emit("invoice.payment_failed", invoice)


async def void(books: Books, params: Thing, identity: str) -> Thing:
    """An open invoice is owed no more, and its payment is not made."""
    invoice = await books.get("invoice", identity, "invoice")
    if invoice["status"] not in ("open", "uncollectible"):
        raise Refused("You can only pass in open or uncollectible invoices. This invoice isn't open.", param="invoice")
    now = await books.now(invoice["customer"])
    intent = await intent_of(books, invoice)
    for payment in await books.all("invoice_payment", invoice=identity, status="open"):
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = now
        await books.put(payment)
    invoice.update(status="void", next_payment_attempt=None, auto_advance=False, amount_remaining=0)
    invoice["status_transitions"]["voided_at"] = now
    await books.put(invoice)
    if intent:
        await payments.cancel(books, intent)
    await books.emit("invoice.voided", invoice)
    return invoice


async def intent_of(books: Books, invoice: Thing) -> Thing | None:
    """The payment that it waits for, or was paid with."""
    for payment in await books.all("invoice_payment", invoice=invoice["id"]):
        return await books.get("payment_intent", payment["payment"]["payment_intent"])
    return None


async def settled_outside(
    books: Books, customer: Thing, lines: Sequence[Thing], intent: Thing | None, discount: Thing | None
) -> Thing:
    """An invoice for what was just paid without one: of a single payment's checkout."""
    now = await books.now(customer["id"])
    invoice = await draft(books, customer, lines, "manual", (now, now), discount=discount)
    await books.emit("invoice.created", invoice)
    await finalize(books, invoice, intent)
    await mark_paid(books, invoice)
    return invoice


def subscription_of(invoice: Thing) -> str | None:
    """The subscription that it is of."""
    return invoice["parent"]["subscription_details"]["subscription"] if invoice["parent"] else None


async def of_subscription(books: Books, subscription: str, **where: Any) -> list[Thing]:
    """A subscription's invoices, newest first."""
    return await books.all("invoice", parent={"subscription_details": {"subscription": subscription}}, **where)


async def _lay_payment(books: Books, invoice: Thing, intent: Thing) -> None:
    payment: Thing = {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": await books.now(invoice["customer"]),
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    await books.put(payment)


def _spread(lines: Sequence[Thing], invoice: str, off: int, discount: Thing | None) -> None:
    """Say on the lines which invoice they are of, and which share of what is off is theirs."""
    for one in lines:
        one["invoice"] = invoice
        share = min(off, one["amount"]) if one["amount"] > 0 else 0
        off -= share
        if share and discount:
            one["discount_amounts"] = [{"amount": share, "discount": discount["id"]}]
            one["discounts"] = [discount["id"]]
