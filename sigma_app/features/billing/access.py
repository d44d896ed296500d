"""Who has access: one pure function of what was bought and subscribed, and the words for each of its rules.

Nothing else decides it. Its result is written by `sigma.set_access`, with a line of why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sigma_app.models import Purchase, Subscription

GRACE = timedelta(days=7)
"""How long a subscription that is past due still opens everything: a card expires while its owner is on holiday."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether somebody has access, by which rule, and what that is about."""

    access: bool
    rule: str
    subject: str | None = None
    """The id of the purchase or the subscription that decides."""
    price: str | None = None
    until: datetime | None = None
    """When it will be decided anew without anything happening: the end of a grace."""


NOTHING = Decision(False, "nothing")

RULES = {
    "subscribed": "Your subscription is paid.",
    "trial": "Your trial is running.",
    "collecting": "Your payment is on its way, and everything is open meanwhile.",
    "bought": "You bought it, for good.",
    "disputed": "You bought it. Your bank asks for the payment back, and has not decided yet.",
    "grace": "Your last payment failed. Access stays for seven days while we try again.",
    "overdue": "Your last payment failed, and seven days have passed.",
    "unpaid": "Your subscription was not paid.",
    "paused": "Your subscription is paused, and opens nothing until it goes on.",
    "bounced": "Your bank sent the first payment of your subscription back.",
    "incomplete": "The first payment of your subscription has not gone through.",
    "expired": "The first payment of your subscription never went through.",
    "ended": "Your subscription has ended.",
    "lapsed": "Your subscription has ended, because its payment never came.",
    "processing": "Your payment is on its way; a bank debit takes a few days.",
    "failed": "Your payment failed.",
    "refunded": "You got your money back.",
    "charged back": "Your bank took the payment back.",
    "gone": "Stripe knows this payment no more.",
    "other": "Your subscription is to something else now, which opens nothing here.",
    "profile deleted": "Your profile was deleted, and access went with it.",
    "by hand": "We changed it by hand.",
    "nothing": "Nothing bought yet.",
}
"""Each rule in words, to the one whom it is about."""

_OPEN = ("subscribed", "trial", "bought", "collecting", "disputed", "grace")
"""The rules that give access, the one that counts first in front."""

_SUBSCRIPTION_RULES = {
    "active": "subscribed",
    "trialing": "trial",
    "unpaid": "unpaid",
    "paused": "paused",
    "incomplete": "incomplete",
    "incomplete_expired": "expired",
    "canceled": "ended",
    "gone": "gone",
    "other": "other",
}


def decide(
    purchases: Iterable[Purchase], subscriptions: Iterable[Subscription], now: datetime, held: str | None = None
) -> Decision:
    """Whether whoever bought and subscribed to these has access at `now`.

    Several grounds for access: the first of `_OPEN` counts, so that `price` is that of what runs. None: what gave it
    last, `held`, says why, unless something was begun since it ended; else the youngest does.

    Args:
        purchases: theirs.
        subscriptions: theirs.
        now: the time.
        held: the id of the purchase or the subscription that gave access last.
    """
    grounds = [
        *((_of_purchase(one), one.created_at, one.created_at) for one in purchases),
        *((_of_subscription(one, now), one.created_at, one.ended_at or one.created_at) for one in subscriptions),
    ]
    youngest_first = sorted(grounds, key=lambda ground: (ground[1], ground[0].subject or ""), reverse=True)
    giving = [decision for decision, *_ in youngest_first if decision.access]
    if giving:
        return min(giving, key=lambda decision: _OPEN.index(decision.rule))
    for decision, _, ended in youngest_first:
        if decision.subject == held and all(begun <= ended for _, begun, _ in youngest_first):
            return decision
    return next((decision for decision, *_ in youngest_first), NOTHING)


def is_under_way(purchases: Iterable[Purchase], subscriptions: Iterable[Subscription]) -> bool:
    """Whether a bank debit is being collected, for something bought once or for a subscription.

    A subscription that is over or past due may have an open invoice for ever: what is collected for one of those by
    a debit, Stripe's dashboard alone knows.
    """
    return any(one.status == "processing" for one in purchases) or any(
        one.status == "active" and one.collecting for one in subscriptions
    )


def _of_purchase(one: Purchase) -> Decision:
    if one.status != "paid":
        rule = one.status
    elif one.amount > 0 and one.refunded >= one.amount:
        rule = "refunded"
    else:
        rule = {"open": "disputed", "lost": "charged back"}.get(one.dispute or "", "bought")
    return Decision(rule in _OPEN, rule, one.id, one.price_id)


def _of_subscription(one: Subscription, now: datetime) -> Decision:
    until = None
    if one.status == "past_due" and not one.paid_once:
        rule = "bounced"  # a bank debit that came back: nobody has a week for nothing
    elif one.status == "canceled" and one.end_reason == "payment_failed":
        rule = "lapsed"
    elif one.status == "active" and one.collecting:
        rule = "collecting"
    elif one.status == "past_due":
        end = (one.past_due_since or one.current_period_end) + GRACE
        rule, until = ("grace", end) if now < end else ("overdue", None)
    else:
        rule = _SUBSCRIPTION_RULES.get(one.status, "ended")  # a word that Stripe adds later opens nothing
    return Decision(rule in _OPEN, rule, one.id, one.price_id, until)
