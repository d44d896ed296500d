"""Everything that a test logged, for fixtures that look once it is over: `caplog.text` is of one phase alone."""

from __future__ import annotations

import logging

import pytest

_FORMATTER = logging.Formatter("%(name)s %(message)s")


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Messages and tracebacks of the fixtures' and the test's own records."""
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    return "\n".join(_FORMATTER.format(record) for record in records)
