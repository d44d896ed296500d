"""The browsers that somebody is signed in with, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from ua_parser import parse

from sigma_app.core import clock
from sigma_app.session.store import Session

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Device:
    """One browser, as a page lists it."""

    id: str
    name: str
    """Such as "Chrome on Android"."""
    since: str
    """When it signed in, such as "12 November 2026"."""
    seen: str
    """When it was last here, such as "5 minutes ago"."""
    is_this: bool
    """Whether it is the one that asks."""


def devices(sessions: Sequence[Session], mine: Session) -> list[Device]:
    """What there is to tell of each session, the asking one first."""
    now = datetime.now(UTC)
    ordered = sorted(sessions, key=lambda session: session.id != mine.id)
    return [
        Device(
            str(session.id),
            describe(session.user_agent),
            clock.day(session.created_at),
            "now" if session.id == mine.id else ago(now - session.seen_at, session.seen_at),
            session.id == mine.id,
        )
        for session in ordered
    ]


@lru_cache(maxsize=1024)
def describe(user_agent: str) -> str:
    """The browser and the system that a User-Agent header names, as far as it does."""
    found = parse(user_agent)
    family = found.user_agent.family if found.user_agent else ""
    browser = " ".join(word for word in family.split() if word not in {"Mobile", "iOS"})  # the system says as much
    system = found.os.family if found.os else ""
    if browser and system:
        return f"{browser} on {system}"
    return browser or (f"A browser on {system}" if system else "A browser that does not say which")


def ago(past: timedelta, when: datetime) -> str:
    """How long ago something was, in words; a date from a week on. The database's clock may be ahead of ours."""
    past = max(past, timedelta())
    for unit, size, most in (("minute", _MINUTE, _HOUR), ("hour", _HOUR, _DAY), ("day", _DAY, 7 * _DAY)):
        if past < most:
            count = past // size
            if count == 0:
                return "a moment ago"
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return clock.day(when)
