"""POST, PATCH, PUT and DELETE of a table or view."""

# ruff: noqa: S608 (identifiers come from the catalog, values are bound)
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from sigma_app.embedded.supabase.rest import media, ranges, records, sql
from sigma_app.embedded.supabase.rest.answer import Answer, Result
from sigma_app.embedded.supabase.rest.catalog import Catalog, Column, Table, quoted
from sigma_app.embedded.supabase.rest.errors import Refusal, unknown_column
from sigma_app.embedded.supabase.rest.media import Form
from sigma_app.embedded.supabase.rest.payload import Payload
from sigma_app.embedded.supabase.rest.plan import (
    Plan,
    checks,
    refuse_unknown_preferences,
    refuse_what_is_not_served,
    statement,
)
from sigma_app.embedded.supabase.rest.query import Query
from sigma_app.embedded.supabase.rest.request import Request

_MAY_BE_NEW = "set_config('pgrst.inserted', (coalesce({so_far}, 0) + 1)::text, true) <> '0'"
_IS_OLD = "set_config('pgrst.inserted', (coalesce({so_far}, 0) - 1)::text, true) <> '-1'"
_SO_FAR = "nullif(current_setting('pgrst.inserted', true), '')::int"
_NO_LOCATION = "NULL::json"


@dataclass(frozen=True)
class Write:
    """One request to write, and what it is about."""

    request: Request
    catalog: Catalog
    table: Table
    query: Query
    payload: Payload
    """Empty for a DELETE."""
    safe: bool
    """Whether PATCH and DELETE need a condition."""

    @cached_property
    def columns(self) -> Sequence[Column]:
        """Those that the payload has a value for.

        Raises:
            Refusal: PGRST204, one of them is unknown.
        """
        found = []
        for name in sorted(self.payload.keys):
            column = self.table.columns.get(name)
            if column is None:
                raise unknown_column(self.table.name, name)
            found.append(column)
        return found

    @property
    def target(self) -> sql.Source:
        """The table itself."""
        return sql.Source(self.table, self.table.full, quoted(self.table.name))


def plan(write: Write) -> Plan:
    """Write rows.

    Raises:
        Refusal: what PostgREST says of it.
    """
    request, query = write.request, write.query
    asked = ranges.page(query, None)
    if request.method == "PUT" and not asked.is_everything:
        message = "limit/offset querystring parameters are not allowed for PUT"
        raise Refusal("PGRST114", 400, message)
    refuse_what_is_not_served(write.table, query)
    values = sql.Values()
    changing = {"POST": _insert, "PATCH": _update, "PUT": _put, "DELETE": _delete}[request.method](write, values)
    refuse_unknown_preferences(request.preferences)
    form = media.form(request.accepted)
    text = f"WITH pgrst_source AS ({changing} {_returning(write)}), {_outcome(write, form, values)}"
    held = _one_row_was_put if request.method == "PUT" else None
    most = request.preferences.most_affected if request.method in ("PATCH", "DELETE") else None
    return Plan(
        statement(write.catalog, text, values),
        True,
        lambda result: _answer(write, form, result),
        [held] if held else checks(form, most),
        # A lead queues a job, whose NOTIFY makes commits take turns: sent along they bring every connection into that
        # line (270 leads a second on a busy core; apart 600). A change holds its row's lock till then: it goes along.
        commits_apart=request.method == "POST",
    )


def _insert(write: Write, values: sql.Values) -> str:
    columns, payload = write.columns, write.payload
    preferences = write.request.preferences
    merging = preferences.resolution == "merge-duplicates"
    conflict = write.query.on_conflict or write.table.keys if preferences.resolution else ()
    rows = records.rows(payload, columns, values, defaults=preferences.missing == "default")
    counted = f" WHERE {_MAY_BE_NEW.format(so_far=_SO_FAR)}" if merging else ""
    return _insertion(write, columns, f"{rows}{counted}", conflict, merging=merging)


def _put(write: Write, values: sql.Values) -> str:
    keys = write.table.keys
    exact = all(
        (item.operation.name, item.operation.negated, item.operation.quantifier, len(item.path))
        == ("eq", False, None, 0)
        for item in write.query.filters
    )
    if write.query.logic or not keys or not exact or {item.column for item in write.query.filters} != set(keys):
        raise Refusal("PGRST105", 405, "Filters must include all and only primary key columns with 'eq' operators")
    columns, payload = write.columns, write.payload
    rows = records.rows(payload, columns, values)
    sent = sql.Source(write.table, "pgrst_body", "pgrst_body")
    conditions = sql.where(sent, write.query, values) + f" AND {_MAY_BE_NEW.format(so_far=_SO_FAR)}"
    return _insertion(write, columns, f"{rows}{conditions}", keys, merging=True)


def _insertion(write: Write, columns: Sequence[Column], rows: str, conflict: Sequence[str], *, merging: bool) -> str:
    names = ", ".join(column.quoted for column in columns)
    text = f"INSERT INTO {write.table.full}{f' ({names})' if names else ''} {rows}"
    if not conflict:
        return text
    text += f" ON CONFLICT ({', '.join(_conflicting(write.table, name) for name in conflict)})"
    if not merging or not columns:
        return f"{text} DO NOTHING"
    updates = ", ".join(f"{column.quoted} = EXCLUDED.{column.quoted}" for column in columns)
    return f"{text} DO UPDATE SET {updates} WHERE {_IS_OLD.format(so_far=_SO_FAR)}"


def _conflicting(table: Table, name: str) -> str:
    if name not in table.columns:
        raise Refusal("42703", 400, f'column "{name}" does not exist')
    return quoted(name)


def _update(write: Write, values: sql.Values) -> str:
    columns, payload = write.columns, write.payload
    if not columns:  # nothing changes; the statement only names what it would have returned
        return f"SELECT {_returned(write) or 'NULL'} FROM {write.table.full} WHERE false"
    _hold_safe(write, "UPDATE")
    defaults = write.request.preferences.missing == "default"
    rows = records.source(payload, columns, values, defaults=defaults)
    changes = ", ".join(f"{column.quoted} = pgrst_body.{column.quoted}" for column in columns)
    conditions = sql.where(write.target, write.query, values)
    return f"UPDATE {write.table.full} SET {changes} FROM {rows}{conditions}"


def _delete(write: Write, values: sql.Values) -> str:
    _hold_safe(write, "DELETE")
    return f"DELETE FROM {write.table.full}{sql.where(write.target, write.query, values)}"


def _hold_safe(write: Write, what: str) -> None:
    """What the extension safe-update does on a hosted project."""
    if write.safe and not (write.query.filters or write.query.logic):
        raise Refusal("21000", 400, f"{what} requires a WHERE clause")


def _returning(write: Write) -> str:
    if write.request.method == "PATCH" and not write.columns:
        return ""
    return f"RETURNING {_returned(write) or '1'}"


def _returned(write: Write) -> str:
    """The columns of written rows that are needed: none, and so no right to read, if nothing is wanted back."""
    if not write.request.preferences.returns_something:
        return ""
    names = sql.selected_columns(write.query.select)
    if "*" in names:
        computed = (names | {term.column for term in write.query.order}) & write.table.computed
        return ", ".join([f"{write.target.alias}.*", *(write.target.column(name) for name in sorted(computed))])
    names |= {term.column for term in write.query.order} | set(write.table.keys)
    return ", ".join(write.target.column(name) for name in sorted(names))


def _outcome(write: Write, form: Form, values: sql.Values) -> str:
    """What is told of the rows that were written, and they themselves if they are wanted back."""
    preferences, method = write.request.preferences, write.request.method
    body, rows = "''", "SELECT * FROM pgrst_source"
    if preferences.represents:
        source = sql.Source(write.table, "pgrst_source", quoted(write.table.name))
        selection = sql.selection(source, write.catalog, write.query, values)
        order = sql.order(source, write.query.order, values)
        body, rows = sql.body(form), f"SELECT {selection} FROM pgrst_source AS {source.alias}{order}"
    counts_new = method == "PUT" or (method == "POST" and preferences.resolution == "merge-duplicates")
    more = (_location(write, values), _SO_FAR if counts_new else "NULL::int")
    columns = sql.result("NULL", "count(_postgrest_t)", body, *more)
    return f"pgrst_answer AS ({rows}) SELECT {columns} FROM pgrst_answer AS _postgrest_t"


def _location(write: Write, values: sql.Values) -> str:
    keys = write.table.keys
    if write.request.method != "POST" or write.request.preferences.returning != "headers-only" or not keys:
        return _NO_LOCATION
    names = ", ".join(f"{values.bind(name)}::text" for name in keys)
    return (
        "CASE WHEN count(_postgrest_t) = 1 THEN"
        " (SELECT json_agg(json_build_array(key, coalesce('eq.' || value, 'is.null')))"
        " FROM (SELECT row_to_json(r) AS row FROM pgrst_source AS r LIMIT 1) AS made, json_each_text(made.row)"
        f" WHERE key IN ({names})) END"
    )


def _one_row_was_put(result: Result) -> None:
    if result.rows != 1:
        raise Refusal("PGRST115", 400, "Payload values do not match URL in primary key column(s)")


def _answer(write: Write, form: Form, result: Result) -> Answer:
    preferences, method = write.request.preferences, write.request.method
    counted = result.rows if preferences.count in ("exact", "estimated") else None
    has_target = bool(write.table.keys or write.query.on_conflict)
    last = result.rows - 1 if method == "PATCH" else -1
    headers = {
        "content-range": None if method == "PUT" else ranges.content_range(0, last, counted),
        "location": _written_location(write.table, result),
        "preference-applied": preferences.applied(method, with_resolution=has_target),
    }
    if not preferences.represents:
        return Answer(_status(method, result, preferences.resolution) if method == "POST" else 204, headers)
    headers |= {"content-type": form.header, "content-profile": write.request.profile}
    return Answer(_status(method, result, preferences.resolution), headers, result.body)


def _status(method: str, result: Result, resolution: str | None) -> int:
    """200 where rows were changed and none was made."""
    if method == "POST":
        return 200 if resolution == "merge-duplicates" and (result.inserted or 0) <= 0 else 201
    return 201 if method == "PUT" and (result.inserted or 0) > 0 else 200


def _written_location(table: Table, result: Result) -> str | None:
    if not result.location:
        return None
    keys = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in json.loads(result.location))
    return f"/{quote(table.name)}?{keys}"
