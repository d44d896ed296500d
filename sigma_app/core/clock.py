"""What time it is, in one place, so that a test can let days pass; and how a day is written."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def day(when: datetime) -> str:
    """The day of a moment in UTC, as it is written, such as "4 December 2026"."""
    there = when.astimezone(UTC)
    return f"{there.day} {there:%B %Y}"
