"""Checkouts, each way through one, and what is told of it."""

from __future__ import annotations

import pytest

from sigma_app.embedded.stripe import acts

pytestmark = pytest.mark.anyio

INVOICED = ["invoice.created", "invoice.finalized", "invoice_payment.paid", "invoice.paid", "invoice.payment_succeeded"]


async def test_a_single_payment(sdk, checkout, once, told):
    opened = await checkout(once, invoice_creation={"enabled": True}, payment_intent_data={"metadata": {"a": "b"}})
    assert (opened.status, opened.payment_status, opened.amount_total) == ("open", "unpaid", 9900)
    told()
    await acts.pay(opened.id)
    assert told() == [
        "payment_intent.created", "charge.succeeded", "payment_intent.succeeded", *INVOICED,
        "checkout.session.completed",
    ]  # fmt: skip
    paid = await sdk.checkout.sessions.retrieve_async(
        opened.id, {"expand": ["line_items", "payment_intent.latest_charge", "invoice.payments"]}
    )
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert (paid.payment_intent.status, paid.payment_intent.metadata["a"]) == ("succeeded", "b")
    assert paid.payment_intent.latest_charge.paid
    assert paid.line_items.data[0].price.id == once.id
    assert paid.invoice.status == "paid"
    assert paid.invoice.payments.data[0].payment.payment_intent == paid.payment_intent.id
