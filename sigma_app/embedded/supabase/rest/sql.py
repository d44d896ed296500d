"""Pieces of statements: fields, conditions, orders, selections and the form in which rows go out.

Identifiers come from the catalog, quoted; values are bound. The one text of a request that stands in a statement is an
alias, quoted: it is the name of a column that goes out.
"""

# ruff: noqa: S608 (identifiers come from the catalog, values are bound)
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sigma_app.embedded.supabase.rest.catalog import Catalog, Rows, quoted
from sigma_app.embedded.supabase.rest.errors import Refusal, no_such_column
from sigma_app.embedded.supabase.rest.grammar import Embed, Filter, Operation, Order, Selected, Tree
from sigma_app.embedded.supabase.rest.media import Form
from sigma_app.embedded.supabase.rest.query import Query
from sigma_app.embedded.supabase.rest.ranges import Page
from sigma_app.embedded.supabase.rest.scanner import Step

# fmt: off
_OPERATORS = {
    "eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "like": "like", "ilike": "ilike",
    "match": "~", "imatch": "~*", "cs": "@>", "cd": "<@", "ov": "&&", "sl": "<<", "sr": ">>", "nxr": "&<",
    "nxl": "&>", "adj": "-|-",
}
# fmt: on
_TRILEANS = {"null": "NULL", "not_null": "NOT NULL", "true": "TRUE", "false": "FALSE", "unknown": "UNKNOWN"}
_SETTINGS = (  # a function may set the answer's headers and status (PostgREST's documentation, "Transactions")
    "nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '')"
)


@dataclass
class Values:
    """What is bound to a statement."""

    given: list[str] = field(default_factory=list)

    def bind(self, value: str) -> str:
        """The place of `value`; Postgres finds its type where it stands."""
        self.given.append(value)
        return f"${len(self.given)}"


@dataclass(frozen=True)
class Source:
    """Where rows come from, as a statement names it."""

    rows: Rows
    text: str
    """What stands behind FROM."""
    alias: str
    """What stands before a column."""

    def column(self, name: str) -> str:
        """A column, or a function of a row that is written like one.

        Raises:
            Refusal: 42703, there is none of that name.
        """
        if not self.rows.has(name):
            raise no_such_column(self.rows.name, name)
        return f"{self.alias}.{quoted(name)}"

    def field(self, name: str, path: Sequence[Step], values: Values) -> str:
        """A column, or what is in it at a JSON path."""
        text = self.column(name)
        if not path:
            return text
        column = self.rows.columns.get(name)
        if column is None or not column.is_json:
            text = f"to_jsonb({text})"
        for step in path:
            key = values.bind(step.key)
            text += ("->>" if step.as_text else "->") + (f"{key}::int" if step.is_index else key)
        return text


def where(source: Source, query: Query, values: Values) -> str:
    """The WHERE clause, or nothing."""
    trees: list[Tree] = [*query.filters, *query.logic]
    return f" WHERE {' AND '.join(_tree(source, tree, values) for tree in trees)}" if trees else ""


def _tree(source: Source, tree: Tree, values: Values) -> str:
    if isinstance(tree, Filter):
        return condition(source.field(tree.column, tree.path, values), tree.operation, values)
    members = f" {tree.operator.upper()} ".join(_tree(source, member, values) for member in tree.members)
    return f"{'NOT ' if tree.negated else ''}({members})"


def condition(subject: str, operation: Operation, values: Values) -> str:
    """One condition on `subject`."""
    negation = "NOT " if operation.negated else ""
    return f"{negation}{subject} {_predicate(operation, values)}"


def _predicate(operation: Operation, values: Values) -> str:
    name = operation.name
    if name == "is":
        return f"IS {_TRILEANS[operation.value]}"
    if name == "isdistinct":
        return f"IS DISTINCT FROM {values.bind(operation.value)}"
    if name == "in":
        return f"= ANY ({values.bind(array(operation.values))})"
    value = operation.value.replace("*", "%") if name in ("like", "ilike") else operation.value
    place = values.bind(value)
    return (
        f"{_OPERATORS[name]} {operation.quantifier.upper()}({place})"
        if operation.quantifier
        else (f"{_OPERATORS[name]} {place}")
    )


def array(items: Sequence[str]) -> str:
    """An array's literal, every element in quotes; `in.()` is the empty one."""
    if list(items) == [""]:
        return "{}"
    escaped = (item.replace("\\", "\\\\").replace('"', '\\"') for item in items)
    return "{" + ",".join(f'"{item}"' for item in escaped) + "}"


def order(source: Source, terms: Iterable[Order], values: Values) -> str:
    """The ORDER BY clause, or nothing."""
    written = []
    for term in terms:
        text = source.field(term.column, term.path, values)
        text += f" {term.direction.upper()}" if term.direction else ""
        text += {"nullsfirst": " NULLS FIRST", "nullslast": " NULLS LAST"}.get(term.nulls or "", "")
        written.append(text)
    return f" ORDER BY {', '.join(written)}" if written else ""


def limit(page: Page, values: Values) -> str:
    """The LIMIT and OFFSET clauses, or nothing."""
    if page.is_everything:
        return ""
    most = "ALL" if page.limit is None else values.bind(str(page.limit))
    return f" LIMIT {most} OFFSET {values.bind(str(page.offset))}"


def selection(source: Source, catalog: Catalog, query: Query, values: Values) -> str:
    """What stands behind SELECT; all columns where nothing is named."""
    items = [_item(source, catalog, item, values) for item in query.select if isinstance(item, Selected)]
    return ", ".join(items) or f"{source.alias}.*"


def _item(source: Source, catalog: Catalog, item: Selected, values: Values) -> str:
    if item.column == "*":
        return f"{source.alias}.*"
    text = source.field(item.column, item.path, values)
    if item.cast is not None:
        written = catalog.type(item.cast)
        if written is None:
            raise Refusal("42704", 400, f'type "{item.cast}" does not exist')
        text = f"CAST({text} AS {written})"
    alias = item.alias if item.alias is not None else _implied_alias(item)
    return text if alias is None else f"{text} AS {quoted(alias)}"


def _implied_alias(item: Selected) -> str | None:
    """What goes out from inside JSON is called by the last key on the way to it."""
    if not item.path:
        return None
    return next((step.key for step in reversed(item.path) if not step.is_index), item.column)


def selected_columns(items: Iterable[Selected | Embed]) -> set[str]:
    """The columns that a selection needs; "*" among them stands for all."""
    return {item.column for item in items if isinstance(item, Selected)} or {"*"}


def body(form: Form, row: str = "_postgrest_t", *, one: bool = False) -> str:
    """All rows of pgrst_answer, which is called _postgrest_t as well, in one value as they go out.

    Args:
        form: the media type.
        row: what one row is: the whole of it, or the one value in it.
        one: whether there is only one, which goes out without a list around it.
    """
    if form.kind == "csv":
        names = "SELECT string_agg(k, ',') FROM (SELECT json_object_keys(row_to_json(r)) AS k FROM"
        line = "substring(_postgrest_t::text, 2, length(_postgrest_t::text) - 2)"
        return (
            f"coalesce(({names} (SELECT * FROM pgrst_answer LIMIT 1) AS r) AS names), '') || E'\\n'"
            f" || coalesce(string_agg({line}, E'\\n'), '')"
        )
    rows = f"json_agg({row})"
    if form.stripped:
        rows = f"json_strip_nulls({rows})"
    return f"coalesce({rows}->0, 'null')" if one or form.kind == "object" else f"coalesce({rows}, '[]')"


def result(total: str, rows: str, body: str, *more: str) -> str:
    """The columns of every statement's one row, as `answer.Result` reads them."""
    return ", ".join((total, rows, body, _SETTINGS, *more))
