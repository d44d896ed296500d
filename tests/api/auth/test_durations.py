"""Durations as Go writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sigma_app.embedded.supabase.auth.durations import parse


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(
            ("0", 0),
            ("24h", 86400),
            ("1h30m", 5400),
            ("-1.5s", -1.5),
            ("+2m", 120),
            ("100ms", 0.1),
            ("1h1m1s1ms", 3661.001),
        ),
        *(
            (".5h", 1800),
            ("1.h", 3600),
            ("1us", 1e-6),
            ("1µs", 1e-6),
            ("1μs", 1e-6),
            ("999ns", 0),
            ("-0", 0),
            ("2562047h", 2562047 * 3600),
        ),
    ],
)
def test_a_duration_is_read(text: str, seconds: float):
    assert parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "1", "h", "24", "1d", "1 h", "1h ", "--1h", ".h", "1H", "١h", "2562048h", "9" * 300 + "h", "none", "1e3s"],
)
def test_what_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="time: invalid duration"):
        parse(text)
