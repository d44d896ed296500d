"""Checkout sessions (https://docs.stripe.com/api/checkout/sessions): opened by the application, gone through by people.

A subscription that is paid by bank debit is active while the debit is under way, as at Stripe.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sigma_app.embedded.stripe import blanks, customers, invoices, payments, renewals, subscriptions
from sigma_app.embedded.stripe.books import Books, Thing, listed, new_id
from sigma_app.embedded.stripe.discounts import find_code, new_discount, off
from sigma_app.embedded.stripe.errors import Refused, invalid, required
from sigma_app.embedded.stripe.form import whole
from sigma_app.settings import get_settings

PAGE = "/sandbox/checkout"
_DAY, _LEAST = 86400, 1800  # seconds that a session is open: if nothing is said, and at least
CARD, DEBIT = "card", "sepa_debit"


async def create(books: Books, params: Thing) -> Thing:
    """A session, open for a day."""
    mode = params.get("mode")
    if mode not in ("payment", "subscription"):
        raise required("mode") if not mode else invalid("mode", "The sandbox knows the modes payment and subscription.")
    if not params.get("success_url"):
        raise required("success_url")
    customer = await books.customer(params["customer"]) if params.get("customer") else None
    now = await books.now(params.get("customer"))
    expires = whole(params, "expires_at", now + _DAY) or 0
    if not now + _LEAST <= expires <= now + _DAY + 60:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise invalid("expires_at", message)
    identity = f"{new_id('cs_test')}{new_id('')[1:]}"
    lines = await _lines(books, params, mode)
    session = blanks.checkout_session(params, identity, customer, lines, now)
    session.update(expires_at=expires, url=f"{get_settings().base_url}{PAGE}/{identity}")
    await books.put(session)
    for given in params.get("discounts") or []:
        await _discount(books, session, given)
    return session


async def expire(books: Books, params: Thing, identity: str) -> Thing:
    """Nobody can pay it any more."""
    session = await books.get("checkout.session", identity, "session")
    if session["status"] != "open":
        message = f"Only Checkout Sessions with a status of open can be expired. This one is {session['status']}."
        raise Refused(message, param="session")
    await run_out(books, session)
    return session


async def run_out(books: Books, session: Thing) -> None:
    """Its time is over."""
    session.update(status="expired", url=None)
    await books.put(session)
    await books.emit("checkout.session.expired", session)


async def line_items(books: Books, params: Thing, url: str, identity: str) -> Thing:
    """What is bought."""
    session = await books.get("checkout.session", identity, "session")
    return listed(session["_lines"], url)


async def promote(books: Books, session: Thing, text: str) -> None:
    """Take off what a promotion code says, as somebody types it.

    Raises:
        Refused: there is no such code, or none is wanted.
    """
    if not session["allow_promotion_codes"] or session["discounts"] or session["status"] != "open":
        raise Refused("This checkout takes no code.", code="promotion_code_not_applicable")
    code = await find_code(books, text)
    if code is None:
        raise Refused("This code is invalid.", code="promotion_code_invalid")
    await _discount(books, session, {"promotion_code": code["id"]})


async def pay(books: Books, session: Thing) -> None:
    """The customer pays by card, or confirms where nothing is due."""
    _must_be_open(session)
    customer = await _customer(books, session)
    customer["_card"] = "pays"
    await books.put(customer)
    if session["mode"] == "subscription":
        subscription, invoice = await _begin(books, session, customer)
        tried = await _intent(books, session, CARD, is_made=False)
        await subscriptions.collect_first(books, subscription, invoice, "pays", tried)
        trial = subscription["status"] == "trialing"
        status = "no_payment_required" if trial or not session["amount_total"] else "paid"
    elif session["amount_total"]:
        intent = await _intent(books, session, CARD)
        await payments.succeed(books, intent)
        await _invoice(books, session, customer, intent)
        status = "paid"
    else:
        await _invoice(books, session, customer, None)
        status = "no_payment_required"
    await _complete(books, session, customer, status)


async def decline(books: Books, session: Thing) -> None:
    """The customer tries a card that is declined; the session stays open for another try."""
    _must_be_open(session)
    await payments.fail(books, await _intent(books, session, CARD))
    await books.put(session)


async def pay_later(books: Books, session: Thing) -> None:
    """The customer pays by bank debit, which takes days."""
    _must_be_open(session)
    if not session["amount_total"] or session["_trial_days"]:
        return await pay(books, session)
    customer = await _customer(books, session)
    intent = await _intent(books, session, DEBIT)
    intent["payment_method_types"] = [DEBIT]
    if session["mode"] == "subscription":
        subscription, invoice = await _begin(books, session, customer)
        customer["_card"] = "pays"  # renewals are debited, too
        await books.put(customer)
        await invoices.finalize(books, invoice, intent)
        await payments.begin(books, intent)
        await subscriptions.change(books, subscription, status="active")
    else:
        await payments.begin(books, intent)
    return await _complete(books, session, customer, "unpaid")


async def settle_later(books: Books, session: Thing, succeeds: bool) -> None:
    """A bank debit comes in, or comes back.

    Raises:
        Refused: none is under way.
    """
    intent = await books.find("payment_intent", session["_intent"])
    if session["status"] != "complete" or intent is None or intent["status"] != "processing":
        raise Refused("No bank debit of this checkout is under way.")
    invoice = await books.find("invoice", session["invoice"])
    if succeeds:
        await payments.succeed(books, intent)
        if invoice:
            await invoices.mark_paid(books, invoice)
            await renewals.invoice_paid(books, invoice)
        elif customer := await books.find("customer", session["customer"]):
            await _invoice(books, session, customer, intent)
        session["payment_status"] = "paid"
    else:
        await payments.fail(books, intent, "debit_not_authorized")
        if invoice:
            invoice.update(attempt_count=1, attempted=True)
            invoice["next_payment_attempt"] = await books.now(session["customer"]) + renewals.RETRIES[0]
            await invoices.fail(books, invoice)
            await renewals.invoice_failed(books, invoice)
    await books.put(session)
    await books.emit(f"checkout.session.async_payment_{'succeeded' if succeeds else 'failed'}", session)


async def ask(books: Books, session: Thing) -> None:
    """The customer pays with a card whose bank wants them to confirm: 3-D Secure."""
    _must_be_open(session)
    if session["amount_total"]:
        await payments.ask(books, await _intent(books, session, CARD))
        await books.put(session)


async def authenticate(books: Books, session: Thing, succeeds: bool) -> None:
    """The customer confirms at their bank, or does not."""
    _must_be_open(session)
    if succeeds:
        await pay(books, session)
    elif session["amount_total"]:
        await payments.refuse_confirmation(books, await _intent(books, session, CARD))
        await books.put(session)


def return_url(session: Thing) -> str:
    """Where the customer goes on once they have paid."""
    return session["success_url"].replace("{CHECKOUT_SESSION_ID}", quote(session["id"]))


def _must_be_open(session: Thing) -> None:
    if session["status"] != "open":
        raise Refused(f"This checkout is {session['status']}.", code="checkout_session_not_open")


async def _lines(books: Books, params: Thing, mode: str) -> list[Thing]:
    given = params.get("line_items")
    if not isinstance(given, list) or not given:
        raise required("line_items")
    if mode == "subscription" and len(given) > 1:
        raise invalid("line_items", "The sandbox takes one line for a subscription.")
    lines = []
    for place, wanted in enumerate(given):
        price = await books.get("price", wanted.get("price"), f"line_items[{place}][price]")
        if not price["active"]:
            raise Refused(f"The price specified is inactive: {price['id']}", param=f"line_items[{place}][price]")
        if (price["type"] == "recurring") is not (mode == "subscription"):
            message = f"The price {price['id']} is {price['type']}, which does not go with mode `{mode}`."
            raise Refused(message, param=f"line_items[{place}]")
        amount = price["unit_amount"] * (whole(wanted, "quantity", 1) or 1)
        if mode == "subscription" and (params.get("subscription_data") or {}).get("trial_period_days"):
            amount = 0
        product = await books.get("product", price["product"])
        lines.append(blanks.checkout_line(price, product["name"], amount, whole(wanted, "quantity", 1) or 1))
    return lines


async def _discount(books: Books, session: Thing, given: Thing) -> None:
    """Take a coupon off each line; what is applied becomes a discount when the session completes."""
    code = await books.get("promotion_code", given["promotion_code"]) if given.get("promotion_code") else None
    coupon = await books.get("coupon", code["promotion"]["coupon"] if code else given.get("coupon"), "discounts")
    left = off(coupon, session["amount_subtotal"])
    session["total_details"]["amount_discount"] = left
    session["amount_total"] = session["amount_subtotal"] - left
    for one in session["_lines"]:
        share = min(left, one["amount_subtotal"])
        one.update(amount_discount=share, amount_total=one["amount_subtotal"] - share)
        left -= share
    session["discounts"] = [{"coupon": coupon["id"], "promotion_code": code["id"] if code else None}]
    await books.put(session)


async def _applied(books: Books, session: Thing, customer: Thing) -> Thing | None:
    """The discount of a session that completes."""
    for given in session["discounts"] or []:
        code = await books.find("promotion_code", given["promotion_code"])
        coupon = await books.get("coupon", given["coupon"])
        return await new_discount(books, coupon, code, customer=customer["id"], checkout_session=session["id"])
    return None


async def _customer(books: Books, session: Thing) -> Thing:
    if session["customer"]:
        return await books.customer(session["customer"])
    customer = await customers.create(books, {"email": session["customer_email"] or "customer@example.com"})
    session["customer"] = customer["id"]
    return customer


async def _intent(books: Books, session: Thing, kind: str, is_made: bool = True) -> Any:
    """The session's payment, made at the first try; one for a subscription is its first invoice's."""
    intent = await books.find("payment_intent", session["_intent"])
    if intent is None and is_made and session["amount_total"]:
        customer = await _customer(books, session)
        is_single = session["mode"] == "payment"
        metadata = session["_data"] if is_single else {}
        intent = await payments.new_intent(
            books, customer["id"], session["amount_total"], session["currency"], metadata, kind
        )
        session["_intent"] = intent["id"]
        session["payment_intent"] = intent["id"] if is_single else None
    return intent


async def _begin(books: Books, session: Thing, customer: Thing) -> tuple[Thing, Thing]:
    (line,) = session["_lines"]
    trial = session["_trial_days"] * subscriptions.DAY
    subscription, invoice = await subscriptions.begin(
        books,
        customer,
        line["price"],
        quantity=line["quantity"],
        metadata=session["_data"],
        trial_end=await books.now(customer["id"]) + trial if trial else None,
        discount=await _applied(books, session, customer),
    )
    session.update(subscription=subscription["id"], invoice=invoice["id"])
    return subscription, invoice


async def _invoice(books: Books, session: Thing, customer: Thing, intent: Thing | None) -> None:
    """The invoice of a single payment, where one is wanted."""
    if not session["invoice_creation"]["enabled"]:
        return
    now = await books.now(customer["id"])
    lines = [
        blanks.invoice_line(one["price"], one["amount_subtotal"], one["description"], (now, now), None)
        for one in session["_lines"]
    ]
    discount = await _applied(books, session, customer)
    invoice = await invoices.settled_outside(books, customer, lines, intent, discount)
    session["invoice"] = invoice["id"]


async def _complete(books: Books, session: Thing, customer: Thing, payment_status: str) -> None:
    session.update(status="complete", payment_status=payment_status, url=None)
    session["customer_details"] = {
        "address": customer["address"],
        "business_name": None,
        "email": customer["email"],
        "individual_name": None,
        "name": customer["name"],
        "phone": customer["phone"],
        "tax_exempt": "none",
        "tax_ids": [],
    }
    await books.put(session)
    await books.emit("checkout.session.completed", session)
