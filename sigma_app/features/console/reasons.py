"""Why something is not done to a lead: counted before an operator is asked, and told where it was not done.

The conditions are those of `sigma.invite` and of the flags, and one more: whoever gets no mail is not invited, since
the invitation would be withheld.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg.sql import SQL

from sigma_app.core.addresses import digest_of

PASSED = "passed_over_so_far"
"""In the record of a run's step: how many the run has passed over up to then, by reason."""
GONE = "gone"
MEANWHILE = "meanwhile"
WORDS: Mapping[str, str] = {
    "account": "have an account already",
    "left": "have unsubscribed",
    "unconfirmed": "have not confirmed their address",
    "suppressed": "get no mail: one came back, or was called spam",
    "invited": "have an invitation that is still good",
    "flagged": "have this flag already",
    "unflagged": "have no flag",
    GONE: "are not on the list any more",
    MEANWHILE: "changed at that moment",
}
"""Each reason, in words that go on after a number of leads."""

_OPEN_INVITATION = (
    "from sigma.lead_links as link where link.lead_id = lead.id and link.purpose in ('invite', 'remind')"
    " and link.used_at is null and (link.expires_at is null or link.expires_at > now())"
)
_SUPPRESSION = f"from sigma.suppressions where digest = {digest_of('lead.email')}"
_REASONS: Mapping[str, LiteralString] = {
    "invite": f"""case
      when lead.signed_up_at is not null then 'account'
      when lead.unsubscribed_at is not null then 'left'
      when lead.confirmed_at is null then 'unconfirmed'
      when exists (select {_SUPPRESSION}) then 'suppressed'
      when exists (select {_OPEN_INVITATION}) then 'invited'
    end""",
    "flag": "case when lead.flag = %(reason)s then 'flagged' end",
    "unflag": "case when lead.flag is null then 'unflagged' end",
    "erase": "null::text",
}


def reason(action: str) -> SQL:
    """An expression over a row `lead`: why `action` is not done to it, one of `WORDS`; null where it is.

    A flag's reason is its value %(reason)s.
    """
    return SQL(_REASONS[action])


KNOWN_OF_ONE = SQL(f"""
{_REASONS["invite"]} as not_invited,
exists (select {_OPEN_INVITATION} and link.expires_at is null) as invitation_waits,
(select max(link.expires_at) {_OPEN_INVITATION}) as invitation_ends,
(select suppressed_at {_SUPPRESSION}) as suppressed_at,
(select reason {_SUPPRESSION}) as suppressed_why
""")
"""Of a row `lead`, what `why_not_invited` reads."""


def why_not_invited(lead: Mapping[str, Any]) -> str:
    """Why a lead is not invited, with the dates, for whoever looks at it alone; "" where it can be.

    Args:
        lead: the lead's columns and those of `KNOWN_OF_ONE`.
    """
    match lead["not_invited"]:
        case "account":
            return f"They have an account: they signed up on {_day(lead['signed_up_at'])}."
        case "left":
            return f"They unsubscribed on {_day(lead['unsubscribed_at'])}, and are invited again once they join again."
        case "unconfirmed":
            return "They have not confirmed their address yet."
        case "suppressed":
            return f"Their address gets no mail since {_day(lead['suppressed_at'])} ({lead['suppressed_why']})."
        case "invited":
            invited = f"Invited on {_day(lead['invited_at'])}"
            if lead["invitation_waits"]:
                return f"{invited}; the mail is on its way."
            return f"{invited}, and the invitation is good until {_day(lead['invitation_ends'])}."
        case _:
            return ""


def told(counts: Mapping[str, int]) -> str:
    """How many are passed over and why, such as "3 have unsubscribed, 1 has …"; the most first, "" for none."""
    most_first = sorted(((many, code) for code, many in counts.items() if many), key=lambda one: (-one[0], one[1]))
    return ", ".join(f"{many:,} {WORDS.get(code, code) if many != 1 else of_one(code)}" for many, code in most_first)


def of_one(code: str) -> str:
    """A reason in words that go on after one lead, such as "has unsubscribed"."""
    words = WORDS.get(code, code)
    for plural, singular in (("have ", "has "), ("are ", "is "), ("get ", "gets ")):
        if words.startswith(plural):
            return (singular + words.removeprefix(plural)).replace("their ", "its ")
    return words


def _day(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d}" if at else "an unknown day"
