"""A plain model of what somebody pays for: what a person with a pencil would say of it. It shares no code with Sigma.

Time is in seconds. A renewal's invoice is due an hour after the period's end; a payment that failed is tried again
three, five and seven days after the try before, and then the subscription is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

HOUR, DAY = 3600, 86400
RETRIES = (3 * DAY, 5 * DAY, 7 * DAY)
GRACE = 7 * DAY

Card = Literal["pays", "declines", "asks"]


@dataclass
class Bill:
    """An invoice that is not paid yet."""

    due: int
    next_try: int | None
    tries: int = 0
    is_draft: bool = False


@dataclass
class Subscription:
    """One subscription."""

    checkout: str
    period_end: int
    over: bool = False
    ends_with_period: bool = False
    debit: Bill | None = None
    """The first bill, while its bank debit is on its way."""
    owed: list[Bill] = field(default_factory=list)
    paid_once: bool = True
    """Whether anything was ever paid for it."""
    was_late: bool = False
    """Whether a payment failed, and what is owed since was not paid yet."""

    def status(self) -> str:
        """Stripe's word for it."""
        return "canceled" if self.over else "past_due" if self.was_late else "active"

    def opens(self, now: int) -> bool:
        """Whether it gives access."""
        if self.over:
            return False
        if not self.was_late:
            return True
        if not self.paid_once:
            return False
        bills = [bill.due for bill in self.owed if not bill.is_draft] + ([self.debit.due] if self.debit else [])
        return now < min(bills) + GRACE

    def let_pass(self, until: int, card: Card, next_end: int | None) -> None:
        """Let time pass, up to one period's end."""
        while not self.over:
            steps = [(bill.next_try, bill) for bill in self.owed if bill.next_try is not None]
            ends: list[tuple[int, Bill | None]] = [(self.period_end, None)]
            at, bill = min([*steps, *ends], key=lambda step: step[0])
            if at > until:
                return
            if bill is not None:
                self._collect(bill, at, card)
            elif self.ends_with_period:
                self.over = True
            else:
                assert next_end is not None
                self.period_end = next_end
                self.owed.append(Bill(at + HOUR, at + HOUR, is_draft=True))

    def _collect(self, bill: Bill, at: int, card: Card) -> None:
        bill.is_draft = False
        if card == "pays":
            self.paid_once = True
            self.owed.remove(bill)
            self.settle()
            return
        self.was_late = True
        if bill.tries == len(RETRIES):
            self.over = True
            return
        bill.next_try = at + RETRIES[bill.tries]
        bill.tries += 1

    def settle(self) -> None:
        """Not late any more, if nothing is owed."""
        if not self.debit and not [bill for bill in self.owed if not bill.is_draft]:
            self.was_late = False

    def debit_ends(self, succeeds: bool, now: int) -> None:
        """The bank debit of the first bill came in, or came back."""
        assert self.debit
        bill, self.debit = self.debit, None
        if self.over:
            return
        if succeeds:
            self.paid_once = True
            self.settle()
        else:
            bill.tries, bill.next_try = 1, now + RETRIES[0]
            self.owed.append(bill)
            self.was_late = True


@dataclass
class Purchase:
    """Something bought once."""

    checkout: str
    amount: int
    status: Literal["processing", "paid", "failed"]
    refunds: list[int] = field(default_factory=list)
    dispute: Literal["open", "won", "lost"] | None = None

    def opens(self) -> bool:
        """Whether it gives access."""
        return self.status == "paid" and sum(self.refunds) < self.amount and self.dispute != "lost"


@dataclass
class Person:
    """Somebody, and all they pay for."""

    now: int
    card: Card = "pays"
    subscriptions: list[Subscription] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)

    def has_access(self) -> bool:
        """Whether they may come in."""
        return any(one.opens(self.now) for one in self.subscriptions) or any(one.opens() for one in self.purchases)

    def living(self) -> Subscription | None:
        """The subscription that is not over."""
        return next((one for one in self.subscriptions if not one.over), None)
