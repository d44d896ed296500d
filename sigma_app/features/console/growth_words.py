"""How the numbers of growth are named and written."""

from __future__ import annotations

from collections.abc import Mapping

STEPS: Mapping[str, str] = {
    "visits": "Visits",
    "joined": "Joined",
    "confirmed": "Confirmed",
    "invited": "Invited",
    "signed_up": "Signed up",
    "paid": "Paid",
}
"""What people call each of `growth.service.Counts`, from the first to the last."""

_NONE = {"": "(none)"}
VALUES: Mapping[str, Mapping[str, str]] = {
    "source": _NONE,
    "medium": _NONE,
    "campaign": _NONE,
    "referrer": {"": "(direct)"},
    "referral": {"yes": "by a friend's link", "": "on their own"},
    "page": {"": "(unknown)"},
}
"""Of each dimension the values that are no words of anybody's."""


def percent(part: int, whole: int) -> str:
    """How much of `whole` a part is, such as "12.5%"; a dash of nothing."""
    return f"{100 * part / whole:,.1f}".removesuffix(".0") + "%" if whole else "–"


def change(now: int, before: int) -> tuple[str, str]:
    """By how much it is more or less than before: as a number, and in percent, a dash where that was nothing."""
    difference = now - before
    sign = "+" if difference > 0 else "−" if difference else "±"
    return f"{sign}{abs(difference):,}", f"{sign}{percent(abs(difference), before)}" if before else "–"
