"""The mails about money and access, in words. Receipts are Stripe's."""

from __future__ import annotations

from datetime import datetime

from sigma_app.core import clock
from sigma_app.features.billing.access import RULES
from sigma_app.features.billing.catalogue import OPEN_TODAY
from sigma_app.ui.mail import Letter

_OPENS_AGAIN = "Paying what is open opens the door again."
_NOTES = ("Questions? Reply to this mail.",)


_OPENED = {
    "trial": "Your trial has begun, and your access is open from now on.",
    "collecting": "Your payment is on its way, which may take days. Your access is open meanwhile.",
}


def access_opened(base_url: str, plan: str, rule: str) -> Letter:
    """To somebody who has just got access by a plan, such as "Sigma, $29.00 a month", and by a rule of access.py."""
    paid = "Your payment went through, and your access is open from now on."
    return Letter(
        subject="You are in",
        preheader="Your access to Sigma is open.",
        heading="The door is open.",
        paragraphs=[
            _OPENED.get(rule, paid),
            *([f"What you pay for: {plan}."] if plan else []),
            OPEN_TODAY,
        ],
        action=("Go in", f"{base_url}/app"),
        notes=[f"What you pay, and why you have access: {base_url}/billing", *_NOTES],
    )


def bought_besides(base_url: str, amount: str, *, runs_on: bool) -> Letter:
    """To somebody who bought Sigma for good while everything was open to them already, perhaps by a subscription that
    runs on."""
    return Letter(
        subject="Sigma is yours for good",
        preheader=f"{amount}, paid once.",
        heading="Yours, for good.",
        paragraphs=[
            f"Your payment of {amount} went through, and nothing is left to pay.",
            *(["Your subscription runs on until you cancel it. You need only one of the two."] if runs_on else []),
        ],
        action=("Cancel the subscription", f"{base_url}/billing") if runs_on else ("Go in", f"{base_url}/app"),
        notes=_NOTES,
    )


def access_closed(base_url: str, rule: str) -> Letter:
    """To somebody who has just lost access, by a rule of access.py."""
    return Letter(
        subject="Your access to Sigma has ended",
        preheader=RULES[rule],
        heading="The door is closed.",
        paragraphs=[
            RULES[rule],
            "Your account, and what is in it, stays. Come back whenever you like, and go on where you were.",
        ],
        action=("See why", f"{base_url}/billing"),
        notes=_NOTES,
    )


def payment_failed(base_url: str, amount: str, next_attempt: datetime | None, until: datetime | None) -> Letter:
    """To somebody whose subscription could not be collected; `until` is how long access stays, if it does."""
    stays = (
        f"Your access stays until {clock.day(until)} at the latest. Paying it keeps it open." if until else _OPENS_AGAIN
    )
    again = f" We try again on {clock.day(next_attempt)}." if next_attempt else ""
    return Letter(
        subject="Your payment did not go through",
        preheader=f"{amount} could not be collected.",
        heading="The card said no.",
        paragraphs=[
            f"We could not collect {amount} for your subscription.{again}",
            stays,
        ],
        action=("Change the card", f"{base_url}/billing"),
        notes=_NOTES,
    )


def debit_failed(base_url: str, amount: str) -> Letter:
    """To somebody whose bank sent the debit of a single payment back."""
    return Letter(
        subject="Your bank sent the payment back",
        preheader=f"{amount} could not be collected.",
        heading="The bank said no.",
        paragraphs=[f"Your bank did not let the debit of {amount} through. Nothing was charged for it."],
        action=("Try another way", f"{base_url}/billing"),
        notes=_NOTES,
    )


def action_required(amount: str, invoice_url: str, until: datetime | None) -> Letter:
    """To somebody whose bank wants them to confirm a payment; `until` is how long access stays, if it does."""
    return Letter(
        subject="Your bank wants to hear from you",
        preheader=f"Confirm the payment of {amount}.",
        heading="One word from you.",
        paragraphs=[
            f"Your bank asks you to confirm the payment of {amount} for your subscription to Sigma.",
            *([f"Access stays until {clock.day(until)} at the latest. Confirming keeps it open."] if until else []),
        ],
        action=("Confirm it", invoice_url),
        notes=_NOTES,
    )


def canceled(base_url: str, day: datetime) -> Letter:
    """To somebody whose subscription will not renew."""
    return Letter(
        subject="Your subscription is canceled",
        preheader=f"It runs until {clock.day(day)}.",
        heading="As you wish.",
        paragraphs=[f"Your subscription runs until {clock.day(day)}, and nothing more is charged."],
        action=("See it, or go on with it", f"{base_url}/billing"),
        notes=_NOTES,
    )


def trial_ends(base_url: str, day: datetime, price: str) -> Letter:
    """To somebody whose trial is about to end."""
    return Letter(
        subject=f"Your trial ends on {clock.day(day)}",
        preheader=f"From then on it is {price}.",
        heading="The free part is nearly over.",
        paragraphs=[f"Your trial ends on {clock.day(day)}. From then on Sigma is {price}, until you cancel."],
        action=("See it, or cancel", f"{base_url}/billing"),
        notes=_NOTES,
    )


def renewal(base_url: str, day: datetime, price: str) -> Letter:
    """To somebody whose subscription renews for a long time."""
    return Letter(
        subject=f"Your subscription renews on {clock.day(day)}",
        preheader=f"{price}. Nothing to do, unless you want to cancel.",
        heading="Another year?",
        paragraphs=[f"Your subscription to Sigma renews on {clock.day(day)}: {price}. You need do nothing for that."],
        action=("See it, or cancel", f"{base_url}/billing"),
        notes=_NOTES,
    )
