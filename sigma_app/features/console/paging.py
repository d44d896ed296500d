"""Pages of a list by key: any depth costs the same, and a row that comes or goes moves nobody's page.

The address of a page names the row at which it begins or ends, `?after=` or `?before=`, so that the browser's own ways
back and forth are the list's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from urllib.parse import urlencode
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

LENGTH = 50  # rows of a page
_BETWEEN = "~"  # the parts of a key in an address; in no number, time or uuid
_OPPOSITE: Mapping[LiteralString, LiteralString] = {"<": ">", ">": "<", "~<~": "~>~", "~>~": "~<~"}
_READ: Mapping[str, Callable[[str], object]] = {
    "timestamptz": datetime.fromisoformat,
    "uuid": UUID,
    "bigint": lambda part: int(part).to_bytes(8, signed=True),
    "text": str.encode,  # which halves of surrogate pairs are refused by
}
"""What a part of a key is to be read as, by its type in the database."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a list is in order of."""

    columns: Mapping[str, LiteralString]
    """Its columns, as the rows name them, and the type of each. Together they are unique."""
    further: LiteralString = "<"
    """How the next page's keys compare to this one's: "<" for the newest first; "~>~" for the order of texts that an
    index with text_pattern_ops has."""


NEWEST_FIRST = Key({"created_at": "timestamptz", "id": "uuid"})


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    rows: Sequence[dict[str, Any]]
    after: str
    """What the address of the next page says; "" for the last."""
    before: str
    """What that of the page before says; "" for the first."""


async def read(
    cursor: AsyncCursor[dict[str, Any]],
    source: Composable,
    key: Key,
    asked: Mapping[str, str],
    values: Mapping[str, Any] | None = None,
) -> Page:
    """The page of `source` that an address asks for; the first for one that is none of ours.

    Args:
        cursor: to read with.
        source: a whole SELECT with the key's columns among its own.
        key: the order.
        asked: the address's query.
        values: those of `source`.

    Raises:
        psycopg.Error, DatabaseUnavailable: it could not be read.
    """
    back = bool(asked.get("before"))
    edge = _edge(asked.get("before" if back else "after", ""), key)
    back = back and edge is not None
    built, named = statement(source, key, edge, back=back)
    await cursor.execute(built, {**(values or {}), **named})
    rows = await cursor.fetchall()
    more, rows = len(rows) > LENGTH, rows[:LENGTH]
    if back:
        rows = rows[::-1]
    further, nearer = (True, more) if back else (more, edge is not None)
    return Page(rows, _name(rows, -1, key) if further else "", _name(rows, 0, key) if nearer else "")


def address(route: str, asked: Mapping[str, str], **edge: str) -> str:
    """The address of another page of the same list, of the first without `edge`; "" where that says there is none."""
    if edge and not any(edge.values()):
        return ""
    kept = {key: said for key, said in asked.items() if key not in ("after", "before") and said}
    query = urlencode(kept | edge)
    return f"{route}?{query}" if query else route


def ways(route: str, asked: Mapping[str, str], page: Page) -> tuple[str, str]:
    """The addresses of the pages before and after `page`; "" where there is none."""
    return address(route, asked, before=page.before), address(route, asked, after=page.after)


def statement(
    source: Composable, key: Key, edge: Sequence[str] | None = None, *, back: bool = False
) -> tuple[Composed, dict[str, Any]]:
    """The SELECT of a page's rows, and of one more, with the values of its edge.

    Args:
        source: as `read` takes it.
        key: the order.
        edge: the key of the row beyond which the page lies; None for the first page.
        back: whether it lies before that row; then its rows come in the opposite order.
    """
    beyond = _OPPOSITE[key.further] if back else key.further
    columns = [Identifier(name) for name in key.columns]
    order = SQL(", ").join(SQL("{} using {}").format(column, SQL(_OPPOSITE[beyond])) for column in columns)
    built: Composed = SQL("select * from ({}) as listed").format(source)
    named: dict[str, Any] = {}
    if edge:
        marks = [SQL("{}::{}").format(Placeholder(f"edge_{name}"), SQL(kind)) for name, kind in key.columns.items()]
        named = {f"edge_{name}": part for name, part in zip(key.columns, edge, strict=True)}
        built += SQL(" where ({}) {} ({})").format(SQL(", ").join(columns), SQL(beyond), SQL(", ").join(marks))
    return built + SQL(" order by {} limit {}").format(order, LENGTH + 1), named


def _edge(text: str, key: Key) -> Sequence[str] | None:
    """The key that an address names; None for none, and for one that somebody made up."""
    parts = text.split(_BETWEEN) if len(key.columns) > 1 else [text]
    if not text or "\0" in text or len(parts) != len(key.columns):
        return None
    try:
        for part, kind in zip(parts, key.columns.values(), strict=True):
            _READ[kind](part)
    except (ValueError, OverflowError):
        return None
    return parts


def _name(rows: Sequence[Mapping[str, Any]], index: int, key: Key) -> str:
    return _BETWEEN.join(str(rows[index][name]) for name in key.columns) if rows else ""
