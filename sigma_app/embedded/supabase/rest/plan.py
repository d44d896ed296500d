"""What a request comes to: one statement, whether it may write, what may undo it, and the answer made of its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sigma_app.core.exchange import Bound
from sigma_app.embedded.supabase.rest.answer import Answer, Result
from sigma_app.embedded.supabase.rest.catalog import Catalog, Rows
from sigma_app.embedded.supabase.rest.errors import (
    Refusal,
    no_relationship,
    not_embedded,
    not_single,
    too_many_affected,
)
from sigma_app.embedded.supabase.rest.grammar import Embed, Selected
from sigma_app.embedded.supabase.rest.media import Form
from sigma_app.embedded.supabase.rest.preferences import Preferences
from sigma_app.embedded.supabase.rest.query import Query
from sigma_app.embedded.supabase.rest.sql import Values

Check = Callable[[Result], None]


@dataclass(frozen=True)
class Plan:
    """One request, ready to run."""

    statement: Bound
    writes: bool
    answer: Callable[[Result], Answer]
    checks: Sequence[Check] = ()
    """Each raises a Refusal where nothing may be saved."""
    commits_apart: bool = False
    """Whether the commit is a message of its own even if nothing may undo it."""
    estimate: Bound | None = None
    """An EXPLAIN of all the rows, where their number is to be estimated."""
    most_counted: int | None = None
    """The number beyond which an estimate takes the place of the count; None: always."""


def statement(catalog: Catalog, text: str, values: Values) -> Bound:
    """A statement that is prepared anew when tables change: a plan of before may expect other types."""
    return Bound(f"/*{catalog.number}*/ {text}", values.given)


def refuse_what_is_not_served(rows: Rows, query: Query) -> None:
    """Related tables and aggregates.

    Raises:
        Refusal: PGRST108, PGRST200, PGRST123.
    """
    embeds = [item for item in query.select if isinstance(item, Embed)]
    names = {embed.alias or embed.name for embed in embeds}
    for name in query.elsewhere:
        if name not in names:
            raise not_embedded(name)
    if embeds:
        raise no_relationship(rows.name, embeds[0].name, embeds[0].hint)
    if any(isinstance(item, Selected) and item.aggregated for item in query.select):
        raise Refusal("PGRST123", 400, "Use of aggregate functions is not allowed")


def refuse_unknown_preferences(preferences: Preferences) -> None:
    """Where they are to be taken strictly.

    Raises:
        Refusal: PGRST122.
    """
    if preferences.strict and preferences.unknown:
        details = f"Invalid preferences: {', '.join(preferences.unknown)}"
        raise Refusal("PGRST122", 400, "Invalid preferences given with handling=strict", details=details)


def checks(form: Form, most_affected: int | None = None) -> Sequence[Check]:
    """That one object is one, and that no more rows are touched than may be."""

    def one(result: Result) -> None:
        if result.rows != 1:
            raise not_single(result.rows)

    def few(result: Result) -> None:
        if most_affected is not None and result.rows > most_affected:
            raise too_many_affected(result.rows)

    wanted: list[Check] = [one] if form.kind == "object" else []
    return wanted if most_affected is None else [*wanted, few]
