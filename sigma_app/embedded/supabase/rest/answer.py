"""What goes back: the one row that every statement gives, and the HTTP answer that is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.pq.abc import PGresult
from starlette.types import Send

from sigma_app.embedded.supabase.rest.errors import Refusal, is_header

_VARY = "Accept, Prefer, Range"
_EMPTY = (204, 304)  # answers that have no body, whatever is said of them


@dataclass(frozen=True)
class Result:
    """One row, whose columns `sql.result` writes."""

    total: int | None
    """All rows there are, if they were counted."""
    rows: int
    """Those of this page, or those that were written."""
    body: bytes
    headers: bytes | None
    """Further headers, as a function set them: JSON."""
    status: bytes | None
    """The status, as a function set it."""
    location: bytes | None = None
    """The primary key of the one row that was made: JSON pairs."""
    inserted: int | None = None
    """How many of the rows that were written are new, where others were updated."""

    @classmethod
    def of(cls, result: PGresult) -> Result:
        """Read it; a statement that gives no row touched none."""
        if result.ntuples == 0:
            return cls(None, 0, b"", None, None)
        values = [result.get_value(0, column) for column in range(result.nfields)]
        total, rows, body, headers, status, *more = values
        location, inserted = more or (None, None)
        return cls(_number(total), _number(rows) or 0, body or b"", headers, status, location, _number(inserted))


def _number(value: bytes | None) -> int | None:
    return int(value) if value else None


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str | None] = field(default_factory=dict)
    """By name in small letters; None for one that is not there."""
    body: bytes = b""
    further: Sequence[tuple[str, str]] = ()
    """Headers of which there may be several with one name."""

    @classmethod
    def refused(cls, refusal: Refusal) -> Answer:
        """That of an error."""
        return cls(refusal.status, refusal.headers, refusal.body())

    def as_set_by(self, result: Result) -> Answer:
        """The same, with what a function in the database wants otherwise.

        Raises:
            Refusal: PGRST111, PGRST112, it is no list of headers or no status.
        """
        headers = {"vary": _VARY, **self.headers}
        if result.headers is None and result.status is None:
            return Answer(self.status, headers, self.body)
        further = _headers(result.headers)
        kept = {name: value for name, value in headers.items() if name not in dict(further)}
        return Answer(_status(result.status) or self.status, kept, self.body, further)

    async def send(self, send: Send, *, with_body: bool = True) -> None:
        """Send it over ASGI; some, and those to a HEAD, have no body."""
        headers = [
            (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
            for name, value in (*self.headers.items(), *self.further)
            if value is not None
        ]
        with_body = with_body and self.status not in _EMPTY
        body = self.body if with_body else b""
        if with_body:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _headers(text: bytes | None) -> list[tuple[str, str]]:
    found: Any = _json(text) if text else []
    items = found if isinstance(found, list) else [found]
    pairs = [pair for item in items for pair in (item.items() if isinstance(item, dict) else [("", item)])]
    if not all(isinstance(value, str) and is_header(name, value) for name, value in pairs):
        message = "response.headers guc must be a JSON array composed of objects with a single key and a string value"
        raise Refusal("PGRST111", 500, message)
    return [(name.lower(), value) for name, value in pairs]


def _status(text: bytes | None) -> int | None:
    if text is None:
        return None
    if not (text.isdigit() and 200 <= int(text) <= 599):
        raise Refusal("PGRST112", 500, "response.status guc must be a valid status code")
    return int(text)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
