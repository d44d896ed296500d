"""What each kind of mail is, in words that go on in a sentence; a new kind needs its own here, or a test says so."""

from __future__ import annotations

from collections.abc import Mapping

KINDS: Mapping[str, str] = {
    "accounts:signup": "the question to confirm the address of a new account",
    "accounts:recovery": "the way to a new password",
    "accounts:magiclink": "the way in without a password",
    "accounts:invite": "the way into an account that was made for them",
    "accounts:email_change_current": "the question whether the account may leave this address",
    "accounts:email_change_new": "the question whether the account may move to this address",
    "accounts:reauthentication": "a code, before something that matters changes",
    "accounts:known_address": "the news that they have an account already",
    "accounts:password_changed": "the news that their password was changed",
    "accounts:data_downloaded": "the news that their data was downloaded",
    "billing:access_opened": "the news that they have access",
    "billing:access_closed": "the news that they have access no more",
    "billing:bought": "the news of a purchase that opened nothing more",
    "billing:payment_failed": "the news that a payment failed",
    "billing:action_required": "the question to approve a payment at their bank",
    "billing:canceled": "the news of when a subscription ends",
    "billing:trial_ends": "the news that a trial is about to end",
    "billing:renewal": "the news that a subscription is about to renew",
    "billing:debit_failed": "the news that a bank debit failed",
    "waitlist:confirm": "the question to confirm",
    "waitlist:place": "the way to their place",
    "waitlist:invite": "the invitation",
    "waitlist:remind": "the reminder of the invitation",
    "waitlist:erase": "the question whether to erase",
}
"""By the name in the record, `sigma.messages.kind`."""


def named(kind: str) -> str:
    """What a kind is; its bare name where this version does not know it."""
    return KINDS.get(kind, kind)
