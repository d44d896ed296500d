"""JSON as rows: one parameter, which Postgres takes apart by the columns' types."""

# ruff: noqa: S608 (identifiers come from the catalog, values are bound)
from __future__ import annotations

from collections.abc import Sequence

from sigma_app.embedded.supabase.rest.catalog import Column, Parameter, quoted
from sigma_app.embedded.supabase.rest.payload import Payload
from sigma_app.embedded.supabase.rest.sql import Values


def rows(payload: Payload, columns: Sequence[Column], values: Values, *, defaults: bool = False) -> str:
    """A SELECT of the payload's rows, which are called pgrst_body."""
    names = ", ".join(f"pgrst_body.{column.quoted}" for column in columns)
    return f"SELECT {names} FROM {source(payload, columns, values, defaults=defaults)}"


def source(payload: Payload, columns: Sequence[Column], values: Values, *, defaults: bool = False) -> str:
    """The payload's rows, to stand behind FROM.

    Args:
        payload: an object or a list of them.
        columns: what is taken of each.
        values: of the statement.
        defaults: whether a column that an object does not have gets its default, rather than null.
    """
    types = {column.name: column.type for column in columns}
    if not defaults:
        return _taken_apart(payload, types, values)
    given = f"(SELECT {values.bind(payload.text)}::jsonb AS json_data) AS pgrst_payload"
    presets = ", ".join(
        f"{values.bind(column.name)}::text, {column.default}" for column in columns if column.default is not None
    )
    preset = f"jsonb_build_object({presets})"
    if payload.is_object:
        filled = f"SELECT {preset} || json_data AS val"
    else:
        filled = f"SELECT jsonb_agg({preset} || elem) AS val FROM jsonb_array_elements(json_data) AS elem"
    body = _records(payload, types, "jsonb", "pgrst_defaults.val")
    return f"{given}, LATERAL ({filled}) AS pgrst_defaults, LATERAL ({body}) AS pgrst_body"


def arguments(payload: Payload, parameters: Sequence[Parameter], values: Values) -> str:
    """A function's arguments as the one row that is called pgrst_body, to stand behind FROM."""
    return _taken_apart(payload, {each.name: each.bound_type for each in parameters}, values, " LIMIT 1")


def _taken_apart(payload: Payload, types: dict[str, str], values: Values, limit: str = "") -> str:
    given = f"(SELECT {values.bind(payload.text)}::json AS json_data) AS pgrst_payload"
    body = _records(payload, types, "json", "pgrst_payload.json_data")
    return f"{given}, LATERAL ({body}{limit}) AS pgrst_body"


def _records(payload: Payload, types: dict[str, str], kind: str, value: str) -> str:
    if not types:  # of empty objects there is nothing but their number
        return (
            "SELECT FROM (VALUES (1)) AS _" if payload.is_object else f"SELECT FROM {kind}_array_elements({value}) AS _"
        )
    names = ", ".join(quoted(name) for name in types)
    typed = ", ".join(f"{quoted(name)} {type_}" for name, type_ in types.items())
    read = f"{kind}_to_record" if payload.is_object else f"{kind}_to_recordset"
    return f"SELECT {names} FROM {read}({value}) AS _ ({typed})"
