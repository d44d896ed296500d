"""What people, banks and time do, for the pages, the tests and the operator: each a transaction of its own.

All raise Refused for what cannot be done (any more), and change nothing then.
"""

from __future__ import annotations

from typing import Literal

from sigma_app.embedded.stripe import checkout, clocks, payments, renewals
from sigma_app.embedded.stripe.books import Thing, opened
from sigma_app.embedded.stripe.clocks import advance_all
from sigma_app.embedded.stripe.events import deliver
from sigma_app.embedded.stripe.payments import Card

__all__ = ["advance_all"]

_HOUR = 3600  # seconds


async def pay(session: str) -> None:
    """The customer pays a checkout by card."""
    async with opened() as books:
        await checkout.pay(books, await books.get("checkout.session", session))


async def decline(session: str) -> None:
    """The customer tries a card that is declined."""
    async with opened() as books:
        await checkout.decline(books, await books.get("checkout.session", session))


async def pay_later(session: str) -> None:
    """The customer pays by bank debit; `settle_later` says what becomes of it."""
    async with opened() as books:
        await checkout.pay_later(books, await books.get("checkout.session", session))


async def settle_later(session: str, succeeds: bool) -> None:
    """A bank debit comes in, or comes back."""
    async with opened() as books:
        await checkout.settle_later(books, await books.get("checkout.session", session), succeeds)


async def ask(session: str) -> None:
    """The customer pays with a card whose bank wants them to confirm; `authenticate` is what they do then."""
    async with opened() as books:
        await checkout.ask(books, await books.get("checkout.session", session))


async def authenticate(session: str, succeeds: bool) -> None:
    """The customer confirms, or does not."""
    async with opened() as books:
        await checkout.authenticate(books, await books.get("checkout.session", session), succeeds)


async def promote(session: str, code: str) -> None:
    """The customer types a promotion code."""
    async with opened() as books:
        await checkout.promote(books, await books.get("checkout.session", session), code)


async def set_card(customer: str, card: Card | None) -> None:
    """Have a customer's card behave so from now on; None takes it away."""
    async with opened() as books:
        found = await books.get("customer", customer)
        found["_card"] = card
        await books.put(found)


async def pay_invoice(invoice: str, card: Card | None = None) -> Thing:
    """The customer pays an open invoice on its page, with a card that behaves so; with the one they have if None."""
    async with opened() as books:
        found = await books.get("invoice", invoice)
        if card:
            customer = await books.get("customer", found["customer"])
            customer["_card"] = card
            await books.put(customer)
        return await renewals.pay_invoice(books, invoice)


async def refund(charge: str, amount: int | None = None) -> Thing:
    """The merchant gives back a charge, or a part of it."""
    async with opened() as books:
        return await payments.create_refund(books, {"charge": charge} | ({"amount": amount} if amount else {}))


async def fail_refund(refund: str) -> None:
    """A refund comes back."""
    async with opened() as books:
        await payments.fail_refund(books, await books.get("refund", refund))


async def open_dispute(
    charge: str, status: Literal["needs_response", "warning_needs_response"] = "needs_response"
) -> Thing:
    """The customer asks their bank for the money back; with a warning it is an inquiry, and no money moves yet."""
    async with opened() as books:
        return await payments.open_dispute(books, await books.get("charge", charge), status)


async def close_dispute(dispute: str, outcome: Literal["won", "lost", "warning_closed"]) -> None:
    """The bank has decided."""
    async with opened() as books:
        await payments.close_dispute(books, await books.get("dispute", dispute), outcome)


async def after_last_try(then: Literal["cancel", "unpaid", "past_due"]) -> None:
    """What becomes of subscriptions from now on whose last try to collect fails."""
    async with opened() as books:
        await books.set(renewals.AFTER_LAST_TRY, then)


async def let_a_period_pass(subscription: str) -> None:
    """Turn the customer's time to an hour after the period's end, on a clock of their own if they have none."""
    async with opened() as books:
        found = await books.get("subscription", subscription)
        customer = await books.get("customer", found["customer"])
        clock = customer["test_clock"] or await clocks.put_on_clock(books, customer)
        until = found["items"]["data"][0]["current_period_end"] + _HOUR + 1
        await clocks.advance(books, {"frozen_time": until}, clock)


async def advance(clock: str, until: int) -> None:
    """Turn a test clock forward, in seconds since 1970."""
    async with opened() as books:
        await clocks.advance(books, {"frozen_time": until}, clock)


async def resend(event: str) -> None:
    """Deliver an event once more to whoever gets such."""
    async with opened() as books:
        await deliver(books, [await books.get("event", event)])
