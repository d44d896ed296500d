"""Reading a query string: pure functions from its text to small values (PostgREST's ApiRequest/QueryParams.hs).

Nothing here knows the database. The grammar has no end-of-text after most of its parts, as PostgREST's has none, and
errors name the place where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlencode

from sigma_app.embedded.supabase.rest.grammar import (
    Embed,
    Filter,
    Order,
    Selected,
    Tree,
    columns,
    condition,
    field_path,
    forest,
    has_operator,
    logic_path,
    logic_tree,
    ordering,
)
from sigma_app.embedded.supabase.rest.scanner import Scanner

_RESERVED = ("select", "columns", "on_conflict")
_LAST_WORDS = ("order", "limit", "offset", "and", "or")
_KEY = "apikey"  # the gate's, not a filter


@dataclass(frozen=True)
class Query:
    """What a query string asks for."""

    pairs: Sequence[tuple[str, str | None]]
    """All names and values, as they came."""
    select: Sequence[Selected | Embed]
    filters: Sequence[Filter] = ()
    """All must hold."""
    logic: Sequence[Tree] = ()
    """So must these."""
    order: Sequence[Order] = ()
    limit: int | None = None
    offset: int | None = None
    columns: Sequence[str] | None = None
    on_conflict: Sequence[str] | None = None
    arguments: Sequence[tuple[str, str]] = ()
    """What has no operator, where that is allowed: a function's arguments."""
    elsewhere: Sequence[str] = ()
    """The embedded resources that filters, orders or limits are for."""

    def canonical(self) -> str:
        """The query string, sorted."""
        return urlencode(sorted((name, value or "") for name, value in self.pairs), quote_via=quote, errors="replace")


def pairs(text: bytes) -> list[tuple[str, str | None]]:
    """The names and values of a query string, or of a form; None where there is no "="."""
    found = []
    for part in text.split(b"&"):
        if part:
            name, equals, value = part.replace(b"+", b" ").partition(b"=")
            found.append((_decoded(name), _decoded(value) if equals else None))
    return found


def read(text: bytes, *, with_arguments: bool = False) -> Query:
    """Parse a query string.

    Args:
        text: what follows the "?".
        with_arguments: whether a parameter without an operator is an argument, rather than an error.

    Raises:
        Refusal: PGRST100, with the place.
    """
    found = [(name, value) for name, value in pairs(text) if name != _KEY]
    given: dict[str, str] = {}
    for name, value in found:
        if value is not None:
            given.setdefault(name, value)
    parts = _Parts()
    for name, value in found:
        if value is not None and name not in _RESERVED:
            parts.add(name, value, with_arguments)
    select, chosen, conflict = given.get("select", "*"), given.get("columns"), given.get("on_conflict")
    return Query(
        pairs=found,
        select=forest(Scanner(select, "select parameter")),
        filters=parts.filters,
        logic=parts.logic,
        order=parts.order,
        limit=parts.limit,
        offset=parts.offset,
        columns=None if chosen is None else columns(Scanner(chosen, "columns parameter")),
        on_conflict=None if conflict is None else columns(Scanner(conflict, "on_conflict parameter")),
        arguments=parts.arguments,
        elsewhere=parts.elsewhere,
    )


class _Parts:
    """Everything but the parameters with a name of their own, in the order in which it comes."""

    def __init__(self) -> None:
        self.filters: list[Filter] = []
        self.logic: list[Tree] = []
        self.order: list[Order] = []
        self.limit: int | None = None
        self.offset: int | None = None
        self.arguments: list[tuple[str, str]] = []
        self.elsewhere: list[str] = []

    def add(self, name: str, value: str, with_arguments: bool) -> None:
        last = name.rpartition(".")[2]
        if last not in _LAST_WORDS:
            self._add_filter(name, value, with_arguments)
        elif last in ("and", "or"):
            path, operator = logic_path(Scanner(name, "logic path"))
            tree = logic_tree(Scanner(value, "logic tree", before=operator))
            self._keep(path, self.logic, [tree])
        elif last == "order":
            path, _ = field_path(Scanner(name, "tree path"))
            terms = ordering(Scanner(value, "order"))
            self.elsewhere += [term.relation for term in terms if term.relation]
            self._keep(path[:-1], self.order, terms)
        else:
            self._add_range(name.rpartition(".")[0], last, value)

    def _add_filter(self, name: str, value: str, with_arguments: bool) -> None:
        path, json_path = field_path(Scanner(name, "tree path"))
        if with_arguments and not has_operator(value):
            self.arguments.append((path[-1], value))
        else:
            operation = condition(Scanner(value, "filter"))
            self._keep(path[:-1], self.filters, [Filter(path[-1], json_path, operation)])

    def _add_range(self, path: str, which: str, value: str) -> None:
        number = _whole(value)
        if path:
            self.elsewhere.append(path.partition(".")[0])
        elif number is not None and which == "limit":
            self.limit = number
        elif number is not None and number >= 0:
            self.offset = number

    def _keep(self, path: Sequence[str], where: list, what: Sequence) -> None:
        if path:
            self.elsewhere.append(path[0])
        else:
            where.extend(what)


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace") if b"%" in text else text.decode("utf-8", "replace")


def _whole(text: str) -> int | None:
    """A number of rows; None, which counts as not given, for anything else."""
    text = text.strip()
    if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 40:
        return int(text)
    return None
