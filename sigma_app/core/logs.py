"""Logs: a line for each thing, in development for people to read, in production one JSON object each.

Each line names the request that it is of, also where that request's job or mail is worked on later, in whichever
process: `core/requests.py` gives the id, a transaction takes it along (`core/database.py`), and the queue keeps it.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from pythonjsonlogger.json import JsonFormatter

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that this task works for, "" for none."""

_QUIET = ("httpx", "httpcore", "procrastinate.worker", "stripe", "multipart", "alembic")
"""They say at INFO what we say ourselves, or what nobody asks for; some of it names people."""


def configure(*, as_json: bool) -> None:
    """Log to standard error from now on, in this shape."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if as_json else _Readable())
    handler.addFilter(_note_request)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _note_request(record: logging.LogRecord) -> bool:
    record.request = request_id.get()
    return True


class _Json(JsonFormatter):
    """`{"time": …, "level": …, "logger": …, "message": …, "request": …}`, and `exc_info` where there is a traceback."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s %(request)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
        )


class _Readable(logging.Formatter):
    """`12:34:56 WARNING sigma_app.core.jobs: Job waitlist:send_link failed … [3f2a…]`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = f"{at:%H:%M:%S} {record.levelname} {record.name}: {super().format(record)}"
        known = getattr(record, "request", "")
        first, newline, rest = line.partition("\n")
        return f"{first} [{known}]{newline}{rest}" if known else line
