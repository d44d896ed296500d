"""JSON that every part of us can go through and Postgres can keep: finite numbers, and no nesting without end."""

from __future__ import annotations

import json
from typing import Any, NoReturn

DEEPEST = 400  # levels; what reads or writes JSON below us meets Python's own limit at about 900


def parse(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is none (RFC 8259 knows no NaN and no Infinity), or nested deeper than `DEEPEST`.
    """
    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if is_too_deep(value):
        raise ValueError("nested too deep")
    return value


def is_too_deep(value: Any) -> bool:
    """Whether a value is nested deeper than `DEEPEST`; found level by level, and not by calling oneself."""
    inside = [value]
    for _ in range(DEEPEST):
        nested = [each for each in inside if isinstance(each, dict | list)]
        inside = [inner for each in nested for inner in (each.values() if isinstance(each, dict) else each)]
        if not inside:
            return False
    return True


def refuse_constant(name: str) -> NoReturn:
    """For `json.loads`, which by itself takes NaN and Infinity.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"invalid character {name[0]!r} looking for beginning of value")
