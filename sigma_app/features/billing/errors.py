"""Why somebody cannot pay right now, or need not; each message goes to them, and `said` stands for it in an address."""

from __future__ import annotations

from sigma_app.core.errors import SigmaError


class NotNow(SigmaError):
    """That cannot be paid for right now."""

    said = ""


class NotForSale(NotNow):
    """This plan is not for sale right now. Please choose another one."""

    status = 422
    said = "not-for-sale"


class SubscribedAlready(NotNow):
    """You have a subscription already. Another plan, another card, or the way out: manage it at Stripe."""

    status = 409
    said = "subscribed"


class BoughtAlready(NotNow):
    """You have Sigma for good already. There is nothing left to pay."""

    status = 409
    said = "bought"


class OnItsWay(NotNow):
    """Your payment is on its way. A bank debit takes a few days; you need not pay again."""

    status = 409
    said = "on-its-way"


class DebitUnderWay(SigmaError):
    """A bank debit is on its way. The account can be deleted once it has come in or come back, which takes days."""

    status = 409


class NothingToManage(NotNow):
    """There is nothing to manage yet: you have not paid for anything."""

    status = 409
    said = "nothing"
