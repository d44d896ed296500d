"""Billing periods: when one ends, by the calendar (https://docs.stripe.com/billing/subscriptions/billing-cycle)."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}


def end_of_period(anchor: int, after: int, recurring: Mapping[str, Any]) -> int:
    """The first end of a period that is after a moment, in seconds since 1970.

    A month that has no such day ends on its last one; the next one has the anchor's again.

    Args:
        anchor: where the first period begins.
        after: the moment.
        recurring: a price's, with `interval` and `interval_count`.
    """
    count, number = recurring["interval_count"], 1
    while (end := _moved(anchor, recurring["interval"], number * count)) <= after:
        number += 1
    return end


def _moved(anchor: int, interval: str, count: int) -> int:
    start = datetime.fromtimestamp(anchor, UTC)
    if interval in _DAYS:
        return int((start + timedelta(days=_DAYS[interval] * count)).timestamp())
    year, month = divmod(start.year * 12 + start.month - 1 + _MONTHS[interval] * count, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())
