"""Bodies: what a request sends, as one JSON text for Postgres, and the keys that it has."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sigma_app.embedded.supabase import plain_json
from sigma_app.embedded.supabase.rest import query
from sigma_app.embedded.supabase.rest.errors import bad_body

RAW = {"text/plain": "text", "text/xml": "xml", "application/octet-stream": "bytea"}
"""Types of bodies that a function takes as they are, and of its parameter."""


@dataclass(frozen=True)
class Payload:
    """A body that was read."""

    text: str
    """JSON, or for a function what came."""
    keys: Sequence[str] = ()
    """Of the objects in it: each has them all."""
    arguments: Sequence[tuple[str, str]] | None = None
    """Of a form that was sent to a function."""

    @property
    def is_object(self) -> bool:
        """Whether it is one row, rather than a list of them."""
        return self.text.lstrip(" \t\r\n").startswith("{")


def rows(body: bytes, media_type: str, columns: Sequence[str] | None) -> Payload:
    """What is to be written.

    Args:
        body: as it came.
        media_type: from `media.sent`.
        columns: the only keys that count, if the request names them; then Postgres reads the JSON, and nobody else.

    Raises:
        Refusal: PGRST102.
    """
    if media_type == "application/json":
        return Payload(_text(body), columns) if columns is not None else _json(_text(body))
    if media_type == "text/csv":
        return _csv(_text(body))
    if media_type == "application/x-www-form-urlencoded":
        fields = {name: value or "" for name, value in query.pairs(body)}
        return Payload(_written(fields), list(fields))
    raise bad_body(f"Content-Type not acceptable: {media_type}")


def arguments(body: bytes, media_type: str, columns: Sequence[str] | None) -> Payload:
    """What a function is called with.

    Raises:
        Refusal: PGRST102.
    """
    if media_type == "application/x-www-form-urlencoded":
        given = [(name, value or "") for name, value in query.pairs(body)]
        return Payload("", list(dict.fromkeys(name for name, _ in given)), given)
    if media_type == "application/octet-stream":
        return Payload("\\x" + body.hex())
    if media_type in RAW:
        return Payload(_text(body))
    return rows(body or b"{}", media_type, columns)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise bad_body("Empty or invalid json") from None


def _json(text: str) -> Payload:
    try:
        value = json.loads(text, parse_constant=plain_json.refuse_constant)
    except (ValueError, RecursionError):
        raise bad_body("Empty or invalid json") from None
    if isinstance(value, dict):
        return Payload(text, list(value))
    if isinstance(value, list) and value:
        if not isinstance(value[0], dict):
            raise bad_body("All object keys must match")
        keys = value[0].keys()
        if any(not isinstance(item, dict) or item.keys() != keys for item in value):
            raise bad_body("All object keys must match")
        return Payload(text, list(keys))
    return Payload("[]")  # a number or a text is no row


def _csv(text: str) -> Payload:
    """Rows below a line of names; NULL is null."""
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error:
        raise bad_body("The CSV cannot be read") from None
    if not lines:
        raise bad_body("not enough input")
    names, *values = lines
    if any(len(line) != len(names) for line in values):
        raise bad_body("All lines must have same number of fields")
    made = [
        {name: None if field == "NULL" else field for name, field in zip(names, line, strict=True)} for line in values
    ]
    return Payload(_written(made), list(dict.fromkeys(names)) if values else [])


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
