"""What each job of the queue does, and what its arguments are, in words; a new one needs its own, or a test says so.

The console shows these, and the names in the code where an engineer looks for them: on the page of a job, and beside
the kinds that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sigma_app.features.console import mail_words
from sigma_app.features.console.parts import when
from sigma_app.features.operations import service as operations

JOBS: Mapping[str, str] = {
    "accounts:end_sessions": "End the sessions whose time is over",
    "accounts:finish_leaving": "Delete what is left of an account",
    "accounts:send_auth_mail": "Send a mail of sign-up, sign-in or a change",
    "accounts:send_data_downloaded": "Tell somebody that their data was downloaded",
    "accounts:send_farewell": "Tell somebody that their account is gone",
    "accounts:send_known_address": "Tell somebody that they have an account already",
    "accounts:send_password_changed": "Tell somebody that their password was changed",
    "billing:apply_event": "Work an event of Stripe's",
    "billing:close_customer": "Delete a customer at Stripe",
    "billing:forget_events": "Forget Stripe's events about somebody",
    "billing:lay_portal": "Offer today's prices in Stripe's portal",
    "billing:look_again": "Read at Stripe again what somebody pays for",
    "billing:reconcile": "Compare everything with Stripe",
    "billing:send_access_changed": "Tell somebody that their access opened or ended",
    "billing:send_notice": "Tell somebody about a payment or a subscription",
    "billing:tell_address": "Tell Stripe somebody's new address",
    "console:carry_on": "Go on with what was asked for many leads",
    "console:forget_files": "Forget the rows of imported files",
    "console:import": "Import a file of leads",
    "core:retry_stalled_jobs": "Put jobs back whose worker died",
    "growth:roll_up": "Add up the days that are over",
    "mail:apply_event": "Work an event of Resend's",
    "mail:forget": "Forget the mails to somebody",
    "mail:forget_events": "Forget old events and mails",
    "operations:back_up": "Make a backup",
    "stripe:deliver": "Deliver an event of the sandbox",
    "stripe:let_time_pass": "Let time pass in the sandbox",
    "waitlist:forget_links": "Forget links whose time is over",
    "waitlist:remind": "Remind those who were invited",
    "waitlist:send_link": "Send a mail of the waitlist",
}
"""By the name in the code."""

ARGUMENTS: Mapping[str, str] = {
    "about": "Which mail",
    "again": "Once more later",
    "at": "Happened",
    "cause": "Because of",
    "customer": "Customer at Stripe",
    "digest": "Address, as a hash",
    "endpoint": "To the endpoint",
    "event": "Event",
    "event_id": "Event",
    "first": "The account's first password",
    "forged": "Forged as",
    "hour": "In the hour",
    "identity": "Imported file",
    "ids": "Ids at Stripe",
    "kind": "Which mail",
    "link": "Link",
    "opened": "Access opened",
    "redirect_to": "Leads to",
    "run": "Run",
    "sealed": "Address, sealed",
    "source": "Told by",
    "subject": "Id at Stripe",
    "timestamp": "Planned for",
    "token": "Code",
    "user": "Account",
}
"""By the name in the code."""


def named(task: str) -> str:
    """What a job does; its bare name where this version does not know it."""
    return JOBS.get(task, task)


def arguments(args: Mapping[str, Any]) -> dict[str, str]:
    """The arguments of a job by their words, as `operations.shown_arguments` lets them be seen.

    >>> arguments({"user": "5f", "again": True, "timestamp": 1764326400})
    {'Account': '5f', 'Once more later': 'yes', 'Planned for': '2025-11-28 10:40 UTC'}
    """
    said = {name: _said(name, value) for name, value in args.items()}
    return {ARGUMENTS.get(name, name): value for name, value in operations.shown_arguments(said).items()}


def _said(name: str, value: Any) -> Any:
    match name, value:
        case _, bool():
            return "yes" if value else "no"
        case "timestamp", int():  # seconds, of a job that runs by itself
            return f"{when(datetime.fromtimestamp(value, UTC))} UTC"
        case "ids", list():
            return ", ".join(map(str, value))
        case "kind", _:
            return mail_words.named(f"accounts:{value}")
        case "about", _:
            return mail_words.named(f"billing:{value}")
        case _:
            return value
