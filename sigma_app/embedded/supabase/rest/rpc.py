"""Functions: which one is meant, and what calling it comes to."""

# ruff: noqa: S608 (identifiers come from the catalog, values are bound)
from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from sigma_app.embedded.supabase.rest import media, payload, ranges, records, sql
from sigma_app.embedded.supabase.rest.answer import Answer, Result
from sigma_app.embedded.supabase.rest.catalog import Catalog, Function, Parameter, quoted
from sigma_app.embedded.supabase.rest.errors import Refusal
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

_UNNAMED = {"application/json": ("json", "jsonb")} | {name: (type_,) for name, type_ in payload.RAW.items()}
_SLIGHTLY_ALIKE = 0.33  # of parameters, to be worth a hint; PostgREST's


def find(catalog: Catalog, name: str, keys: Collection[str], media_type: str | None) -> Function:
    """The function of that name that takes these arguments.

    Args:
        catalog: where it is.
        name: which others may have, too.
        keys: the arguments' names.
        media_type: of the body, where there is one: a function with one nameless parameter takes it whole.

    Raises:
        Refusal: PGRST202, there is none; PGRST203, there are several.
    """
    candidates = catalog.functions.get(name, ())
    raw = media_type in payload.RAW
    found = [each for each in candidates if _takes(each, keys) and not (raw and not each.parameters)]
    found = found or [each for each in candidates if _takes_whole(each, media_type)]
    if not found:
        raise _unknown(catalog, name, sorted(keys), media_type, candidates)
    if len(found) > 1:
        raise _ambiguous(found)
    return found[0]


def _takes(function: Function, keys: Collection[str]) -> bool:
    required = {each.name for each in function.parameters if each.required}
    optional = {each.name for each in function.parameters if not each.required}
    return required <= set(keys) and set(keys) <= required | optional


def _takes_whole(function: Function, media_type: str | None) -> bool:
    if media_type is None or len(function.parameters) != 1:
        return False
    (only,) = function.parameters
    return not only.name and only.type in _UNNAMED.get(media_type, ())


def _unknown(
    catalog: Catalog, name: str, keys: Sequence[str], media_type: str | None, candidates: Sequence[Function]
) -> Refusal:
    raw = payload.RAW.get(media_type or "")
    shown = f"({', '.join(keys)})" if keys else " without parameters"
    searched = f" with parameter{'s' if len(keys) > 1 else ''} {', '.join(keys)}" if keys else " without parameters"
    if raw:
        shown, searched = "", f" with a single unnamed {raw} parameter"
    elif media_type == "application/json":
        searched += " or with a single unnamed json/jsonb parameter"
    return Refusal(
        "PGRST202",
        404,
        f"Could not find the function public.{name}{shown} in the schema cache",
        details=f"Searched for the function public.{name}{searched}, but no matches were found in the schema cache.",
        hint=None if raw else _hint(catalog, name, keys, candidates),
    )


def _hint(catalog: Catalog, name: str, keys: Sequence[str], candidates: Sequence[Function]) -> str | None:
    if candidates:
        known = [f"({', '.join(sorted(each.name for each in function.parameters))})" for function in candidates]
        alike = get_close_matches(f"({', '.join(keys)})", known, 1, _SLIGHTLY_ALIKE)
        found = name + alike[0] if alike else None
    else:
        found = catalog.function_like(name)
    return f"Perhaps you meant to call the function public.{found}" if found else None


def _ambiguous(functions: Sequence[Function]) -> Refusal:
    shown = ", ".join(
        f"public.{function.name}({', '.join(f'{each.name} => {each.type}' for each in function.parameters)})"
        for function in functions
    )
    return Refusal(
        "PGRST203",
        300,
        f"Could not choose the best candidate function between: {shown}",
        hint="Try renaming the parameters or the function itself in the database"
        " so function overloading can be resolved",
    )


def plan(
    request: Request, catalog: Catalog, name: str, query: Query, sent: Payload | None, most_rows: int | None
) -> Plan:
    """Call a function: with a body of `sent`, or with what the query string says.

    Raises:
        Refusal: what PostgREST says of it.
    """
    asked = ranges.page(query, request.range_header)
    keys = sent.keys if sent else [key for key, _ in query.arguments]
    function = find(catalog, name, keys, request.media_type if sent else None)
    refuse_what_is_not_served(function.rows, query)
    form = media.form(request.accepted)
    refuse_unknown_preferences(request.preferences)
    if request.preferences.most_affected is not None and not function.many:
        message = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
        raise Refusal("PGRST128", 400, message)
    values = sql.Values()
    text = _statement(request, catalog, function, query, _call(function, query, sent, values), values, asked, most_rows)

    def answer(result: Result) -> Answer:
        last = asked.offset + result.rows - 1
        headers = {
            "content-range": ranges.content_range(asked.offset, last, result.total),
            "preference-applied": request.preferences.applied("rpc"),
        }
        if function.void:
            return Answer(204, headers)
        headers |= {"content-type": form.header, "content-profile": request.profile}
        return Answer(ranges.status(asked, result.rows, result.total), headers, result.body)

    writes = function.volatile and sent is not None
    return Plan(statement(catalog, text, values), writes, answer, checks(form, request.preferences.most_affected))


def _statement(
    request: Request,
    catalog: Catalog,
    function: Function,
    query: Query,
    call: str,
    values: sql.Values,
    asked: ranges.Page,
    most_rows: int | None,
) -> str:
    source = sql.Source(function.rows, "pgrst_source", quoted(function.rows.name))
    form = media.form(request.accepted)
    selection = sql.selection(source, catalog, query, values)
    conditions = sql.where(source, query, values)
    page = sql.order(source, query.order, values) + sql.limit(asked.bounded(most_rows), values)
    counting, total = "", "NULL::bigint"
    if request.preferences.count in ("exact", "estimated"):
        counting = f", pgrst_source_count AS (SELECT 1 FROM pgrst_source AS {source.alias}{conditions})"
        total = "(SELECT count(*) FROM pgrst_source_count)"
    row = "_postgrest_t.pgrst_scalar" if function.scalar else "_postgrest_t"
    body = "''" if request.method == "HEAD" else sql.body(form, row, one=not function.many)
    rows = "count(_postgrest_t)" if function.many else "1"
    return (
        f"WITH pgrst_source AS ({call}){counting},"
        f" pgrst_answer AS (SELECT {selection} FROM pgrst_source AS {source.alias}{conditions}{page})"
        f" SELECT {sql.result(total, rows, body)} FROM pgrst_answer AS _postgrest_t"
    )


def _call(function: Function, query: Query, sent: Payload | None, values: sql.Values) -> str:
    """A SELECT of what the function returns."""
    before, arguments = _arguments(function, query, sent, values)
    if function.scalar:
        call = f"(SELECT {function.full}({arguments}) AS pgrst_scalar) AS pgrst_call"
        return f"SELECT pgrst_call.pgrst_scalar FROM {before}{call}"
    needed = {item.column for item in (*query.filters, *query.order)} | sql.selected_columns(query.select)
    computed = "".join(f", pgrst_call.{quoted(name)}" for name in sorted(needed & function.rows.computed))
    return f"SELECT pgrst_call.*{computed} FROM {before}{function.full}({arguments}) AS pgrst_call"


def _arguments(function: Function, query: Query, sent: Payload | None, values: sql.Values) -> tuple[str, str]:
    """What must stand before the call behind FROM, and what stands in its parentheses."""
    parameters = function.parameters
    if sent and len(parameters) == 1 and not parameters[0].name:
        return "", f"{values.bind(sent.text)}::{parameters[0].type}"
    if sent and sent.arguments is None:
        given = [each for each in parameters if each.name in sent.keys]
        if not given:
            return "", ""
        named = ", ".join(f"{_named(each)}pgrst_body.{quoted(each.name)}" for each in given)
        return f"{records.arguments(sent, given, values)}, LATERAL ", named
    texts = _texts(sent.arguments if sent and sent.arguments else query.arguments, parameters)
    written = (
        f"{_named(each)}{values.bind(texts[each.name])}::{each.bound_type}" for each in parameters if each.name in texts
    )
    return "", ", ".join(written)


def _named(parameter: Parameter) -> str:
    return f"{'VARIADIC ' if parameter.variadic else ''}{quoted(parameter.name)} := "


def _texts(given: Sequence[tuple[str, str]], parameters: Sequence[Parameter]) -> Mapping[str, str]:
    """Each argument's text: of one that is given twice the last, and all of a variadic one, as an array's literal."""
    texts = dict(given)
    for each in parameters:
        if each.variadic and each.name in texts:
            texts[each.name] = sql.array([value for name, value in given if name == each.name])
    return texts
