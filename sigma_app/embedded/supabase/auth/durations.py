"""Durations as Go writes them, which is how long somebody is banned: "24h", "1h30m", "-1.5s"."""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"[+-]?(?:0|(?:{_PART.pattern})+)")
_MOST = 2**63 - 1  # nanoseconds, about 292 years
_LONGEST_TEXT = 200


def parse(text: str) -> timedelta:
    """The duration that `text` says, to the microsecond.

    Raises:
        ValueError: it says none, or one beyond 292 years.
    """
    if len(text) > _LONGEST_TEXT or not _WHOLE.fullmatch(text):
        raise ValueError(f'time: invalid duration "{text[:_LONGEST_TEXT]}"')
    total = sum(Fraction(number) * _NANOSECONDS[unit] for number, unit in _PART.findall(text))
    if total > _MOST:
        raise ValueError(f'time: invalid duration "{text}"')
    return timedelta(microseconds=int(total / 1000)) * (-1 if text.startswith("-") else 1)
