"""Devices, in words: what a browser calls itself, and when it was last here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from sigma_app.core.clock import day
from sigma_app.features.accounts.devices import Device, ago, describe, devices
from sigma_app.session.store import Session

NOBODY_KNOWS = "A browser that does not say which"
CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
    " Mobile/15E148 Safari/604.1"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
    " Edg/131.0.0.0"
)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (CHROME, "Chrome on Android"),
        (SAFARI, "Safari on iOS"),
        (FIREFOX, "Firefox on Linux"),
        (EDGE, "Edge on Windows"),
        ("curl/8.5.0", "curl"),
        ("Windows NT 10.0", "A browser on Windows"),
        ("", NOBODY_KNOWS),
        ("x" * 400, NOBODY_KNOWS),
        (f"{'<script>alert(1)</script>' * 15}/1.0{' ' * 21}", NOBODY_KNOWS),
        (f"Mozilla/5.0 ({'a;' * 193})", NOBODY_KNOWS),
        ("Mozilla/5.0 (\x00\x1b[2J\ud800" * 22, NOBODY_KNOWS),
    ],
)
def test_a_browser_is_named_as_far_as_it_says(user_agent: str, name: str):
    assert describe(user_agent) == name


SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (timedelta(), "a moment ago"),
        (MINUTE - SECOND, "a moment ago"),
        (-2 * MINUTE, "a moment ago"),
        (MINUTE, "1 minute ago"),
        (2 * MINUTE - SECOND, "1 minute ago"),
        (2 * MINUTE, "2 minutes ago"),
        (HOUR - SECOND, "59 minutes ago"),
        (HOUR, "1 hour ago"),
        (2 * HOUR, "2 hours ago"),
        (DAY - SECOND, "23 hours ago"),
        (DAY, "1 day ago"),
        (2 * DAY, "2 days ago"),
        (7 * DAY - SECOND, "6 days ago"),
        (7 * DAY, "1 March 2026"),
        (4000 * DAY, "1 March 2026"),
    ],
    ids=str,
)
def test_how_long_ago_is_told_in_its_largest_unit(past: timedelta, words: str):
    assert ago(past, datetime(2026, 3, 1, tzinfo=UTC)) == words


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (datetime(2026, 11, 12, 23, 59, tzinfo=UTC), "12 November 2026"),
        (datetime(2027, 1, 1, tzinfo=UTC), "1 January 2027"),
        (datetime(2028, 2, 29, tzinfo=UTC), "29 February 2028"),
    ],
)
def test_a_day_has_its_month_in_letters(when: datetime, words: str):
    assert day(when) == words


def session(user_agent: str, seen: timedelta) -> Session:
    now = datetime.now(UTC)
    alice = UUID(int=1)
    return Session(uuid4(), alice, "alice@example.com", False, user_agent, datetime(2026, 2, 3, tzinfo=UTC), now - seen)


def test_the_browser_that_asks_comes_first_and_is_here_now():
    newest, mine, older = session(FIREFOX, timedelta()), session("curl/8", 3 * MINUTE), session(SAFARI, 2 * HOUR)
    assert devices([newest, mine, older], mine) == [
        Device(str(mine.id), "curl", "3 February 2026", "now", is_this=True),
        Device(str(newest.id), "Firefox on Linux", "3 February 2026", "a moment ago", is_this=False),
        Device(str(older.id), "Safari on iOS", "3 February 2026", "2 hours ago", is_this=False),
    ]
