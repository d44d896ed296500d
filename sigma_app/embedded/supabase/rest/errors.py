"""The errors of PostgREST, each with its code, its words and its HTTP status (its source, Error.hs).

A body says the same text as `message` and as `error`: the first is what PostgREST's clients read, the second what
Sigma's own documentation shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import psycopg

JSON_TYPE = "application/json; charset=utf-8"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")  # no control characters but tabs


class Refusal(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        *,
        details: Any = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        """`headers` are further ones of the answer."""
        super().__init__(code)
        self.code = code
        self.status = status
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = {**(headers or {}), "content-type": JSON_TYPE, "proxy-status": f"PostgREST; error={code}"}

    def body(self) -> bytes:
        """The JSON of the answer."""
        said = {
            "code": self.code,
            "message": self.message,
            "error": self.message,
            "details": self.details,
            "hint": self.hint,
        }
        # What was sent comes back in some messages, and half a surrogate pair is no UTF-8: JSON writes it as an escape.
        return json.dumps(said, ensure_ascii=False).encode("utf-8", "backslashreplace")


def unparsable(what: str, text: str, column: int, details: str) -> Refusal:
    """A part of the query string that does not parse, at the 1-based `column` of `text`."""
    return Refusal("PGRST100", 400, f'"failed to parse {what} ({text})" (line 1, column {column})', details=details)


def bad_body(message: str) -> Refusal:
    """A body that cannot be used."""
    return Refusal("PGRST102", 400, message)


def bad_range(details: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """A page that there is not."""
    return Refusal("PGRST103", 416, "Requested range not satisfiable", details=details, headers=headers)


def not_acceptable(accepted: Sequence[str]) -> Refusal:
    """None of the media types is one of ours."""
    return Refusal("PGRST107", 406, f"None of these media types are available: {', '.join(accepted)}")


def not_embedded(name: str) -> Refusal:
    """A filter or an order names a resource that is not part of the answer."""
    hint = f"Verify that '{name}' is included in the 'select' query parameter."
    return Refusal("PGRST108", 400, f"'{name}' is not an embedded resource in this request", hint=hint)


def not_single(rows: int) -> Refusal:
    """One object was asked for, and there is none, or more than one."""
    details = f"The result contains {rows} rows"
    return Refusal("PGRST116", 406, "Cannot coerce the result to a single JSON object", details=details)


def too_many_affected(rows: int) -> Refusal:
    """More rows than `Prefer: max-affected` lets it be."""
    message = "Query result exceeds max-affected preference constraint"
    return Refusal("PGRST124", 400, message, details=f"The query affects {rows} rows")


def no_relationship(parent: str, child: str, hint: str | None) -> Refusal:
    """Related tables are not embedded here, so that this is so for any two."""
    by_hint = f" using the hint '{hint}'" if hint else ""
    return Refusal(
        "PGRST200",
        400,
        f"Could not find a relationship between '{parent}' and '{child}' in the schema cache",
        details=f"Searched for a foreign key relationship between '{parent}' and '{child}'{by_hint}"
        " in the schema 'public', but no matches were found.",
    )


def unknown_column(table: str, name: str) -> Refusal:
    """A payload, or `columns`, names a column that there is not."""
    return Refusal("PGRST204", 400, f"Could not find the '{name}' column of '{table}' in the schema cache")


def no_such_column(table: str, name: str) -> Refusal:
    """The same in `select`, a filter or `order`, where PostgREST leaves it to Postgres to say so."""
    return Refusal("42703", 400, f"column {table}.{name} does not exist")


def unknown_table(name: str, alike: str | None) -> Refusal:
    """No such table or view."""
    hint = f"Perhaps you meant the table 'public.{alike}'" if alike else None
    return Refusal("PGRST205", 404, f"Could not find the table 'public.{name}' in the schema cache", hint=hint)


def bad_token(message: str, *, claims: bool = False, details: str | None = None) -> Refusal:
    """A token that cannot be read, or (`claims`) whose claims cannot be accepted."""
    challenge = {"www-authenticate": f'Bearer error="invalid_token", error_description="{message}"'}
    return Refusal("PGRST303" if claims else "PGRST301", 401, message, details=details, headers=challenge)


def database_away() -> Refusal:
    """No connection to the database, or one that broke."""
    return Refusal("PGRST000", 503, "Database connection error.", headers={"retry-after": "1"})


def database_busy() -> Refusal:
    """All connections are in use, and none came free in time."""
    message = "Timed out acquiring connection from connection pool."
    return Refusal("PGRST003", 504, message, headers={"retry-after": "1"})


def no_catalog() -> Refusal:
    """The database was away since this process started."""
    message = "Could not query the database for the schema cache. Retrying."
    return Refusal("PGRST002", 503, message, headers={"retry-after": "1"})


def unsendable() -> Refusal:
    """A value that is no UTF-8 for Postgres, and so never got there: with a NUL, or half of a surrogate pair."""
    return Refusal("22021", 400, 'invalid byte sequence for encoding "UTF8"')


def from_postgres(error: psycopg.Error, anonymous: bool) -> Refusal:
    """What Postgres said, with the status that PostgREST gives it.

    Args:
        error: of a statement.
        anonymous: whether the role is that of visitors, who may be let in once they have signed in.
    """
    diagnosis = error.diag
    code = diagnosis.sqlstate or "XX000"
    message = diagnosis.message_primary or ""
    if diagnosis.sqlstate is None and isinstance(error, psycopg.DataError):
        return unsendable()
    if code == "PGRST":
        return _written_by_hand(message, diagnosis.message_detail)
    status = _status(code, message, anonymous)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {"retry-after": "1"} if status == 503 else None
    return Refusal(
        code, status, message, details=diagnosis.message_detail, hint=diagnosis.message_hint, headers=headers
    )


# By SQLSTATE, then by its class; everything else is the request's fault (400)
# fmt: off
_STATUSES = {
    "23503": 409, "23505": 409, "25006": 405, "42883": 404, "42P01": 404, "42P17": 500, "53400": 500, "57P01": 503,
    "P0001": 400,
}
_CLASSES = {
    "08": 503, "09": 500, "0L": 403, "0P": 403, "25": 500, "28": 403, "2D": 500, "38": 500, "39": 500, "3B": 500,
    "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "F0": 500, "HV": 500, "P0": 500, "XX": 500,
}
# fmt: on


def _status(code: str, message: str, anonymous: bool) -> int:
    if code == "42501":
        return 401 if anonymous else 403
    if code == "21000":
        return 400 if message.endswith("requires a WHERE clause") else 500
    if code == "22023":
        return 401 if message.startswith("role") and message.endswith("does not exist") else 400
    if code.startswith("PT"):
        return _http_status(code[2:])
    return _STATUSES.get(code) or _CLASSES.get(code[:2], 400)


def _http_status(text: str) -> int:
    """A status that somebody raised; 500 where there is no such one."""
    return int(text) if text.isdecimal() and 200 <= int(text) <= 599 else HTTPStatus.INTERNAL_SERVER_ERROR


def _written_by_hand(message: str, detail: str | None) -> Refusal:
    """`raise sqlstate 'PGRST'`: the body in MESSAGE and the status and headers in DETAIL, both as JSON."""
    said, answer = _object(message), _object(detail or "")
    if said is None or not {"code", "message"} <= said.keys():
        return _unreadable(
            f"Invalid JSON value for MESSAGE: '{message}'",
            "MESSAGE must be a JSON object with obligatory keys: 'code', 'message'"
            " and optional keys: 'details', 'hint'.",
        )
    if answer is None or not {"status", "headers"} <= answer.keys() or not isinstance(answer["headers"], dict):
        return _unreadable(
            f"Invalid JSON value for DETAIL: '{detail}'" if detail else "DETAIL is missing in the RAISE statement",
            "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'.",
        )
    headers = {str(name).lower(): str(value) for name, value in answer["headers"].items()}
    if not all(is_header(name, value) for name, value in headers.items()):
        return _unreadable(f"Invalid JSON value for DETAIL: '{detail}'", "'headers' has what no header can have.")
    return Refusal(
        str(said["code"]),
        _http_status(str(answer["status"])),
        str(said["message"]),
        details=said.get("details"),
        hint=said.get("hint"),
        headers=headers,
    )


def is_header(name: str, value: str) -> bool:
    """Whether a field of a name and a value may go out (RFC 9110, 5.1 and 5.5)."""
    return bool(_TOKEN.fullmatch(name) and _FIELD_VALUE.fullmatch(value))


def _unreadable(details: str, hint: str) -> Refusal:
    message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
    return Refusal("PGRST121", 500, message, details=details, hint=hint)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
