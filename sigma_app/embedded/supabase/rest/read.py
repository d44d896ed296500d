"""GET and HEAD of a table or view."""

# ruff: noqa: S608 (identifiers come from the catalog, values are bound)
from __future__ import annotations

from urllib.parse import quote

from sigma_app.embedded.supabase.rest import media, ranges, sql
from sigma_app.embedded.supabase.rest.answer import Answer, Result
from sigma_app.embedded.supabase.rest.catalog import Catalog, Table, quoted
from sigma_app.embedded.supabase.rest.plan import (
    Plan,
    checks,
    refuse_unknown_preferences,
    refuse_what_is_not_served,
    statement,
)
from sigma_app.embedded.supabase.rest.query import Query
from sigma_app.embedded.supabase.rest.request import Request

_LONGEST_LOCATION = 4096  # bytes of a Content-Location; Node's HTTP client takes 16 KiB of headers in all


def plan(request: Request, catalog: Catalog, table: Table, query: Query, most_rows: int | None) -> Plan:
    """Read rows.

    Raises:
        Refusal: what PostgREST says of it.
    """
    asked = ranges.page(query, request.range_header)
    refuse_what_is_not_served(table, query)
    form = media.form(request.accepted)
    refuse_unknown_preferences(request.preferences)
    source = sql.Source(table, table.full, quoted(table.name))
    values = sql.Values()
    selection = sql.selection(source, catalog, query, values)
    conditions = sql.where(source, query, values)
    page = sql.order(source, query.order, values) + sql.limit(asked.bounded(most_rows), values)
    counting, total = _count(f"SELECT 1 FROM {table.full}{conditions}", request.preferences.count, most_rows)
    body = sql.body(form) if request.method == "GET" else "''"
    text = (
        f"WITH pgrst_answer AS (SELECT {selection} FROM {table.full}{conditions}{page}){counting}"
        f" SELECT {sql.result(total, 'count(_postgrest_t)', body)} FROM pgrst_answer AS _postgrest_t"
    )

    def answer(result: Result) -> Answer:
        last = asked.offset + result.rows - 1
        headers = {
            "content-range": ranges.content_range(asked.offset, last, result.total),
            "content-location": _location(table.name, query),
            "content-type": form.header,
            "content-profile": request.profile,
            "preference-applied": request.preferences.applied(request.method),
        }
        return Answer(ranges.status(asked, result.rows, result.total), headers, result.body)

    estimate, most_counted = None, None
    if request.preferences.count in ("planned", "estimated"):
        counted = sql.Values()
        rows = f"SELECT 1 FROM {table.full}{sql.where(source, query, counted)}"
        estimate = statement(catalog, f"EXPLAIN (FORMAT JSON) {rows}", counted)
        most_counted = most_rows if request.preferences.count == "estimated" else None
    found = statement(catalog, text, values)
    return Plan(found, False, answer, checks(form), estimate=estimate, most_counted=most_counted)


def _count(rows: str, how: str | None, most_rows: int | None) -> tuple[str, str]:
    """What counts all rows: a part of the WITH clause, and the column. An estimate counts only as far as it must."""
    if how == "exact" or (how == "estimated" and most_rows is None):
        limit = ""
    elif how == "estimated":
        limit = f" LIMIT {most_rows + 1}" if most_rows is not None else ""
    else:
        return "", "NULL::bigint"
    return f", pgrst_source_count AS ({rows}{limit})", "(SELECT count(*) FROM pgrst_source_count)"


def _location(name: str, query: Query) -> str | None:
    canonical = query.canonical()
    location = f"/{quote(name)}?{canonical}" if canonical else f"/{quote(name)}"
    return location if len(location) <= _LONGEST_LOCATION else None
