"""Money, as far as there is any: payment intents, charges, refunds, disputes (https://docs.stripe.com/api)."""

from __future__ import annotations

from typing import Literal

from sigma_app.embedded.stripe.books import Books, Thing, new_id, nulls
from sigma_app.embedded.stripe.errors import Refused, invalid, required
from sigma_app.embedded.stripe.form import whole

Card = Literal["pays", "declines", "asks"]
"""How a customer's card behaves, "_card" of a customer; "asks" is 3-D Secure."""

_DETAILS: Thing = {
    "card": {"brand": "visa", "country": "DE", "exp_month": 12, "exp_year": 2034, "funding": "credit", "last4": "4242"},
    "sepa_debit": {"country": "DE", "last4": "3000"},
}
CLOSED = ("won", "lost", "warning_closed")
"""Of a dispute that is decided."""


async def new_intent(books: Books, customer: str, amount: int, currency: str, metadata: Thing, kind: str) -> Thing:
    """A payment that waits for a way to pay; `kind` is "card" or "sepa_debit"."""
    identity = new_id("pi")
    intent: Thing = {
        "id": identity,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": "automatic",
        "client_secret": f"{identity}_secret_{new_id('')[1:]}",
        "confirmation_method": "automatic",
        "created": await books.now(customer),
        "currency": currency,
        "customer": customer,
        "livemode": False,
        "metadata": metadata,
        "payment_method_types": [kind],
        "status": "requires_payment_method",
        **nulls(
            "application canceled_at cancellation_reason description last_payment_error latest_charge "
            "next_action payment_method processing receipt_email setup_future_usage shipping"
        ),
    }
    await books.put(intent)
    await books.emit("payment_intent.created", intent)
    return intent


async def succeed(books: Books, intent: Thing) -> None:
    """The payment goes through."""
    charge = await _charge(books, intent, "succeeded")
    intent.update(status="succeeded", amount_received=intent["amount"], processing=None, next_action=None)
    await books.put(intent)
    await books.emit("charge.succeeded", charge)
    await books.emit("payment_intent.succeeded", intent)


async def fail(books: Books, intent: Thing, code: str = "card_declined") -> None:
    """The payment is declined."""
    charge = await _charge(books, intent, "failed", code)
    error = {"type": "card_error", "code": code, "message": charge["failure_message"], "charge": charge["id"]}
    intent.update(status="requires_payment_method", last_payment_error=error, processing=None, next_action=None)
    await books.put(intent)
    await books.emit("charge.failed", charge)
    await books.emit("payment_intent.payment_failed", intent)


async def begin(books: Books, intent: Thing) -> None:
    """The payment is on its way, and takes days: a bank debit."""
    charge = await _charge(books, intent, "pending")
    intent.update(status="processing")
    await books.put(intent)
    await books.emit("charge.pending", charge)
    await books.emit("payment_intent.processing", intent)


async def ask(books: Books, intent: Thing) -> None:
    """The bank wants the customer to confirm: 3-D Secure."""
    intent.update(status="requires_action", next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}})
    await books.put(intent)
    await books.emit("payment_intent.requires_action", intent)


async def refuse_confirmation(books: Books, intent: Thing) -> None:
    """The customer did not confirm; nothing was tried at their bank."""
    message = "The payment method could not be authenticated. Please choose another one and try again."
    error = {"type": "invalid_request_error", "code": "payment_intent_authentication_failure", "message": message}
    intent.update(status="requires_payment_method", last_payment_error=error, next_action=None)
    await books.put(intent)
    await books.emit("payment_intent.payment_failed", intent)


async def cancel(books: Books, intent: Thing) -> None:
    """The payment will not be made."""
    intent.update(
        status="canceled", canceled_at=await books.now(intent["customer"]), cancellation_reason="void_invoice"
    )
    await books.put(intent)
    await books.emit("payment_intent.canceled", intent)


async def create_refund(books: Books, params: Thing) -> Thing:
    """Give back a payment, all of it that is left or `amount`."""
    charge = await _charge_named(books, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = whole(params, "amount", left) or 0
    if not charge["paid"] or charge["status"] != "succeeded":
        raise Refused(f"Charge {charge['id']} has not been paid.", code="charge_not_refundable")
    if charge["disputed"]:
        raise Refused(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left == 0:
        raise Refused(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if not 1 <= amount <= left:
        raise invalid("amount", f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})")
    refund: Thing = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": charge["id"],
        "created": await books.now(charge["customer"]),
        "currency": charge["currency"],
        "destination_details": {"type": "card"},
        "metadata": params.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "status": "succeeded",
        **nulls("balance_transaction failure_reason receipt_number source_transfer_reversal transfer_reversal"),
    }
    await books.put(refund)
    await _count_refund(books, charge, amount)
    await books.emit("refund.created", refund)
    await books.emit("charge.refunded", charge)
    return refund


async def fail_refund(books: Books, refund: Thing) -> None:
    """A refund comes back: the customer's account is closed, say. The money is with us again."""
    if refund["status"] != "succeeded":
        raise Refused(f"Refund {refund['id']} is {refund['status']}.")
    charge = await books.get("charge", refund["charge"])
    refund.update(status="failed", failure_reason="lost_or_stolen_card")
    await books.put(refund)
    await _count_refund(books, charge, -refund["amount"])
    for event in ("refund.updated", "refund.failed", "charge.refund.updated"):
        await books.emit(event, refund)


async def open_dispute(books: Books, charge: Thing, status: str = "needs_response") -> Thing:
    """The customer asks their bank for the money back, or, with a warning status, only why it was taken."""
    if charge["disputed"] or charge["status"] != "succeeded":
        raise Refused(f"Charge {charge['id']} cannot be disputed.")
    dispute: Thing = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": charge["amount"] - charge["amount_refunded"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": await books.now(charge["customer"]),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": None,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "network_reason_code": None,
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": status,
    }
    charge["disputed"] = True
    await books.put(dispute)
    await books.put(charge)
    await books.emit("charge.dispute.created", dispute)
    if not status.startswith("warning"):
        await books.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


async def close_dispute(books: Books, dispute: Thing, outcome: Literal["won", "lost", "warning_closed"]) -> Thing:
    """The bank has decided, or an inquiry came to nothing."""
    if dispute["status"] in CLOSED:
        raise Refused(f"Dispute {dispute['id']} is closed.")
    dispute["status"] = outcome
    await books.put(dispute)
    await books.emit("charge.dispute.closed", dispute)
    if outcome == "won":
        await books.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


async def accept_dispute(books: Books, params: Thing, identity: str) -> Thing:
    """Give a dispute up: it is lost."""
    return await close_dispute(books, await books.get("dispute", identity), "lost")


async def _charge_named(books: Books, params: Thing) -> Thing:
    if params.get("charge"):
        return await books.get("charge", params["charge"], "charge")
    if not params.get("payment_intent"):
        raise required("charge")
    intent = await books.get("payment_intent", params["payment_intent"], "payment_intent")
    if intent["latest_charge"] is None:
        raise Refused("This PaymentIntent does not have a successful charge to refund.")
    return await books.get("charge", intent["latest_charge"])


async def _count_refund(books: Books, charge: Thing, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    await books.put(charge)


async def _charge(books: Books, intent: Thing, status: str, code: str | None = None) -> Thing:
    """The charge of a try, or the one that is pending, with how it stands now."""
    pending = await books.find("charge", intent["latest_charge"])
    charge = pending if pending and pending["status"] == "pending" else await _new_charge(books, intent)
    paid = status == "succeeded"
    charge.update(
        status=status,
        paid=paid or status == "pending",
        captured=paid,
        amount_captured=intent["amount"] if paid else 0,
        failure_code=code,
        failure_message="Your card was declined." if code else None,
    )
    intent["latest_charge"] = charge["id"]
    return await books.put(charge)


async def _new_charge(books: Books, intent: Thing) -> Thing:
    kind = intent["payment_method_types"][0]
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": nulls("address email name phone tax_id"),
        "captured": False,
        "created": await books.now(intent["customer"]),
        "currency": intent["currency"],
        "customer": intent["customer"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method_details": {"type": kind, kind: _DETAILS[kind]},
        "refunded": False,
        "status": "pending",
        **nulls(
            "application application_fee_amount balance_transaction description failure_code "
            "failure_message outcome payment_method receipt_email receipt_number receipt_url review "
            "shipping statement_descriptor transfer_data transfer_group"
        ),
    }
