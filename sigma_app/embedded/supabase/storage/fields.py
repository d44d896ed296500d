"""What a request says in JSON or in its query, read as the real server's schemas do.

They take a value of another type where it can be understood (a number in quotes, as supabase-py sends `expiresIn`), and
say what is wrong in the words of their library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from starlette.requests import Request

from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.embedded.supabase import plain_json
from sigma_app.embedded.supabase.storage import errors

LARGEST_BODY = 1024 * 1024  # bytes of JSON; fastify's
_INTEGER = re.compile(r"-?\d{1,18}(\.0*)?")
_ABSENT = object()


class Fields:
    """The values of one request, and how to ask for them."""

    def __init__(self, values: Mapping[str, Any], where: str):
        """Read from `values`, which are the request's `where`: "body" or "querystring"."""
        self._values = values
        self._where = where

    def has(self, name: str) -> bool:
        """Whether it is there, be it null."""
        return name in self._values

    def text(self, name: str, default: str | None = None, *, among: Sequence[str] = ()) -> str:
        """A string; without a default it has to be there."""
        value = self._get(name, default)
        if value is None:
            value = ""
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, int | float):
            value = str(value)
        if not isinstance(value, str) or "\0" in value:
            self._refuse(name, "must be string")
        if among and value not in among:
            self._refuse(name, "must be equal to one of the allowed values")
        return value

    def integer(self, name: str, default: int | None = None, *, least: int) -> int:
        """A whole number of at least `least`; without a default it has to be there."""
        value = self._get(name, default)
        if value is None:
            value = 0
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value.partition(".")[0])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int):
            self._refuse(name, "must be integer")
        if value < least:
            self._refuse(name, f"must be >= {least}")
        return int(value)

    def boolean(self, name: str, default: bool) -> bool:
        """Yes or no."""
        value = self._get(name, default)
        if value not in (True, "true", False, "false", None):  # 1 and 0 are True and False
            self._refuse(name, "must be boolean")
        return value in (True, "true")

    def texts(self, name: str, *, most: int | None = None) -> list[str]:
        """At least one string, which have to be there."""
        value = self._get(name, None)
        values = value if isinstance(value, list) else [value]
        if not values:
            self._refuse(name, "must NOT have fewer than 1 items")
        if most and len(values) > most:
            self._refuse(name, f"must NOT have more than {most} items")
        named = {f"{name}/{number}": value for number, value in enumerate(values)}
        return [Fields(named, self._where).text(key) for key in named]

    def inner(self, name: str) -> Fields:
        """An object inside; an empty one where there is none."""
        value = self._get(name, {})
        if not isinstance(value, dict):
            self._refuse(name, "must be object")
        return Fields(value, f"{self._where}/{name}")

    def raw(self, name: str) -> Any:
        """As it came; None where it did not."""
        return self._values.get(name)

    def _get(self, name: str, default: Any) -> Any:
        value = self._values.get(name, _ABSENT)
        if value is not _ABSENT:
            return value
        if default is None:
            raise errors.invalid_request(f"{self._where} must have required property '{name}'", error="Error")
        return default

    def _refuse(self, name: str, wrong: str) -> NoReturn:
        raise errors.invalid_request(f"{self._where}/{name} {wrong}", error="Error")


def query_of(request: Request) -> Fields:
    """The query of a request."""
    return Fields(dict(request.query_params), "querystring")


async def body_of(request: Request) -> Fields:
    """The JSON object that a request brings.

    Raises:
        StorageError: it brings something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise errors.invalid_request("body must be object", error="Error")
    try:
        body = await read_body(request, LARGEST_BODY)
    except BodyTooLarge:
        raise errors.StorageError(
            413, "EntityTooLarge", "Request body is too large", error="FastifyError", http=413
        ) from None
    if not body:
        message = "Body cannot be empty when content-type is set to 'application/json'"
        raise errors.invalid_request(message, error="FastifyError")
    try:
        values = parse_json(body)
    except ValueError:
        message = "Body is not valid JSON but content-type is set to 'application/json'"
        raise errors.invalid_request(message, error="FastifyError") from None
    if not isinstance(values, dict):
        raise errors.invalid_request("body must be object", error="Error")
    return Fields(values, "body")


def parse_json(text: bytes) -> Any:
    """A value that Postgres can keep as well.

    Raises:
        ValueError: it is no JSON, is nested too deep, or holds what `jsonb` cannot: NUL, half a surrogate pair, a
            number beyond all bounds.
    """
    value = plain_json.parse(text.decode())
    _check_storable(value)
    return value


def _check_storable(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("NUL")
        value.encode()  # UnicodeEncodeError is a ValueError
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("beyond all bounds")
    elif isinstance(value, list):
        for item in value:
            _check_storable(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_storable(key)
            _check_storable(item)
