"""The plans: what Sigma sells, by the lookup keys of Stripe's prices.

Names, prices and whether a plan can be had come from Stripe (`billing.products`, `billing.prices`). What stands here is
what `python -m sigma_app stripe-setup` lays there the first time, and the only lookup keys that checkout takes.
"""

from __future__ import annotations

from dataclasses import dataclass

TODAY = (
    "Sigma is still being built: none of its six parts works today. Paying opens the page where each of them starts "
    "once it is built."
)
"""What is there already, said before anybody pays."""
OPEN_TODAY = "None of the six parts works yet. Each opens on your page once it is built, and a mail tells you."
"""The same, to whoever has paid."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A product."""

    id: str
    """At Stripe, too: products may be given an id, so that laying them twice makes one."""
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A price of a product, by its lookup key."""

    key: str
    offer: Offer
    amount: int
    """In the smallest unit of `CURRENCY`."""
    every: str | None
    """"month" or "year"; None where it is paid once."""


CURRENCY = "usd"
_SIGMA = Offer("sigma", "Sigma", "Everything Sigma does, for as long as you pay.")
_FOR_GOOD = Offer("sigma_for_good", "Sigma, for good", "Everything Sigma does. Paid once.")

MONTHLY = Plan("sigma_monthly", _SIGMA, 29_00, "month")
YEARLY = Plan("sigma_yearly", _SIGMA, 290_00, "year")
FOR_GOOD = Plan("sigma_for_good", _FOR_GOOD, 690_00, None)
PLANS = (MONTHLY, YEARLY, FOR_GOOD)
OFFERS = (_SIGMA, _FOR_GOOD)
