"""Why somebody cannot pay right now, or need not; each message goes to them."""

from __future__ import annotations

from sigma_app.core.errors import SigmaError


class NotForSale(SigmaError):
    """This plan is not for sale right now. Please choose another one."""

    status = 422


class SubscribedAlready(SigmaError):
    """You have a subscription already. To change the plan, the card, or your mind, manage it there."""

    status = 409


class BoughtAlready(SigmaError):
    """You have Sigma for good already. There is nothing left to pay."""

    status = 409


class OnItsWay(SigmaError):
    """Your payment is on its way. A bank debit takes a few days; you need not pay again."""

    status = 409


class NothingToManage(SigmaError):
    """There is nothing to manage yet: you have not paid for anything."""

    status = 409
