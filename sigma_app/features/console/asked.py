"""What the address of a page asks for: anybody may have written it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from sigma_app.core.errors import NotLikeThat

_LONGEST = 320  # characters: the longest address of an inbox
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_HIGHEST = "\U0010ffff"


def words(asked: Mapping[str, str], name: str) -> str:
    """What was typed, as far as a database can compare it; "" for nothing."""
    return _UNSTORABLE.sub("", asked.get(name, ""))[:_LONGEST].strip()


def one_of(asked: Mapping[str, str], name: str, known: Mapping[str, object]) -> str:
    """One of the known choices; "" for none of them."""
    return asked[name] if asked.get(name) in known else ""


def identity(asked: Mapping[str, str], name: str = "id") -> UUID | None:
    """An id; None for what is none."""
    try:
        return UUID(asked.get(name, ""))
    except ValueError:
        return None


def number(asked: Mapping[str, str], name: str = "id") -> int | None:
    """The number of a row; None for what is none."""
    text = asked.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def day(asked: Mapping[str, str], name: str) -> datetime | None:
    """The beginning of a day in UTC, written as YYYY-MM-DD; None where none is asked for.

    Raises:
        NotLikeThat: it is no day.
    """
    if not (text := words(asked, name)):
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise NotLikeThat(f"“{text}” is no day; write it as 2026-11-28.", name) from None


def between(beginning: str) -> Mapping[str, str]:
    """The edges, `beginning` and `beyond`, of all texts in lower case that begin like this, byte by byte."""
    return {"beginning": beginning.lower(), "beyond": beginning.lower() + _HIGHEST}
