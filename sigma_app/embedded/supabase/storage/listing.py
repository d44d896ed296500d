"""Lists of objects, with the folders that their names make: `/object/list` and `/object/list-v2`."""

from __future__ import annotations

import base64
import json
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composed, Identifier
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigma_app.embedded.supabase.storage import errors
from sigma_app.embedded.supabase.storage.acting import acting
from sigma_app.embedded.supabase.storage.actor import asker
from sigma_app.embedded.supabase.storage.buckets import escape_like
from sigma_app.embedded.supabase.storage.fields import Fields, body_of, parse_json
from sigma_app.embedded.supabase.storage.names import place_in
from sigma_app.embedded.supabase.storage.shown import shown

_MOST = 1500
_MOST_V2 = 1000
_ORDERS = {"asc": SQL("asc"), "desc": SQL("desc")}
_COLUMNS = ("name", "updated_at", "created_at", "last_accessed_at")
_COLUMNS_V2 = ("name", "updated_at", "created_at")

# What lies right below a prefix: files, and for what lies deeper the next part of its name as a folder. `cut` is where
# the name of that part ends. Upper and lower case count as the same in the prefix, as they do there.
_FOLDER = SQL("""
with found as (
  select *, nullif(position('/' in substr(name, length(%(prefix)s) + 1)), 0) + length(%(prefix)s) - 1 as cut
  from storage.objects where bucket_id = %(bucket)s and name ilike %(like)s
), entries as (
  select substr(name, %(start)s) as name, id, updated_at, created_at, last_accessed_at, metadata,
    lower(name) as place, false as is_folder
  from found where cut is null
  union all
  select distinct substr(left(name, cut), %(start)s), null::uuid, null::timestamptz, null::timestamptz,
    null::timestamptz, null::jsonb, lower(left(name, cut)) || '/', true
  from found where cut is not null
)
select name, id, updated_at, created_at, last_accessed_at, metadata from entries
order by {first} {direction}, name {direction} limit %(limit)s offset %(offset)s
""")

# The same for the second list: whole names, folders with their slash at the end, pages that begin after a cursor.
_PAGE = SQL("""
with found as (
  select *, case when %(grouped)s then
    nullif(position('/' in substr(name, length(%(prefix)s) + 1)), 0) + length(%(prefix)s) end as cut
  from storage.objects where bucket_id = %(bucket)s and name like %(like)s
), entries as (
  select name, id, updated_at, created_at, last_accessed_at, metadata, {moment} as moment from found where cut is null
  union all
  select left(name, cut), null, null, null, null, null, min(created_at) from found where cut is not null group by 1
)
select * from entries
where %(after)s::text is null or {position} {beyond} {cursor}
order by {order} limit %(limit)s
""")


class Sorting(NamedTuple):
    """By which column, and in which direction."""

    column: str
    order: str


class Listing:
    """What the two lists serve."""

    def __init__(self, secret: str):
        """Know who asks by `secret`."""
        self._secret = secret

    def routes(self) -> list[Route]:
        """Where."""
        return [
            Route("/object/list/{bucket}", self.folder, methods=["POST"]),
            Route("/object/list-v2/{bucket}", self.page, methods=["POST"]),
        ]

    async def folder(self, request: Request) -> Response:
        """POST /object/list/{bucket}: what lies in one folder. SELECT."""
        who = asker(request, self._secret)
        bucket = place_in(request, 2).bucket
        fields = await body_of(request)
        folder = fields.text("prefix")
        folder = f"{folder}/" if folder and not folder.endswith("/") else folder
        prefix = folder + fields.text("search", "")
        column, order = _sorting(fields, _COLUMNS)
        values = {
            "bucket": bucket,
            "prefix": prefix,
            "like": f"{escape_like(prefix)}%",
            "start": len(folder) + 1,
            "limit": min(fields.integer("limit", 100, least=1), _MOST),
            "offset": fields.integer("offset", 0, least=0),
        }
        by_name, by_time = SQL('place collate "C"'), SQL("is_folder desc, {}").format(Identifier(column))
        first = by_name if column == "name" else by_time
        statement = _FOLDER.format(first=first, direction=_ORDERS[order])
        async with acting(who.actor, "storage.object.list") as cursor:
            await cursor.execute(statement, values)
            return JSONResponse([shown(row) for row in await cursor.fetchall()])

    async def page(self, request: Request) -> Response:
        """POST /object/list-v2/{bucket}: a page of names. SELECT."""
        who = asker(request, self._secret)
        bucket = place_in(request, 2).bucket
        fields = await body_of(request)
        limit = min(fields.integer("limit", _MOST_V2, least=1), _MOST_V2)
        after = _read_cursor(fields.text("cursor")) if fields.has("cursor") else None
        sorting = after.sorting if after else _sorting(fields, _COLUMNS_V2)
        prefix = fields.text("prefix", "")
        values = {
            "bucket": bucket,
            "prefix": prefix,
            "like": f"{escape_like(prefix)}%",
            "grouped": fields.boolean("with_delimiter", False),
            "after": after.name if after else None,
            "moment": after.moment if after else None,
            "limit": limit + 1,
        }
        async with acting(who.actor, "storage.object.list_v2") as cursor:
            await cursor.execute(_page_statement(sorting), values)
            rows = await cursor.fetchall()
        return JSONResponse(_page(rows, limit, sorting, grouped=values["grouped"]))


class Cursor(NamedTuple):
    """Where a page ended."""

    name: str
    moment: str | None
    sorting: Sorting


def _sorting(fields: Fields, columns: tuple[str, ...]) -> Sorting:
    chosen = fields.inner("sortBy")
    if fields.has("sortBy") and not chosen.has("column"):
        chosen.text("column")  # says that it is missing
    return Sorting(chosen.text("column", "name", among=columns), chosen.text("order", "asc", among=tuple(_ORDERS)))


def _page_statement(sorting: Sorting) -> Composed:
    direction = _ORDERS[sorting.order]
    by_name = sorting.column == "name"
    return _PAGE.format(
        moment=SQL("null::timestamptz") if by_name else Identifier(sorting.column),
        position=SQL('name collate "C"') if by_name else SQL('(moment, name collate "C")'),
        beyond=SQL(">") if sorting.order == "asc" else SQL("<"),
        cursor=SQL("%(after)s") if by_name else SQL("(%(moment)s::timestamptz, %(after)s)"),
        order=SQL("" if by_name else "moment {}, ").format(direction) + SQL('name collate "C" {}').format(direction),
    )


def _page(rows: list[dict[str, Any]], limit: int, sorting: Sorting, *, grouped: bool) -> dict[str, Any]:
    page: dict[str, Any] = {"hasNext": len(rows) > limit, "folders": [], "objects": []}
    moment = None
    for row in rows[:limit]:
        moment = row.pop("moment")
        entry = shown(row)
        if grouped:
            entry["key"] = row["name"].rstrip("/").rpartition("/")[2]
        page["objects" if row["id"] else "folders"].append(entry)
    if page["hasNext"]:
        name = rows[limit - 1]["name"]
        page["nextCursor"] = _write_cursor(Cursor(name, moment.isoformat() if moment else None, sorting))
        page["nextCursorKey"] = name
    return page


def _write_cursor(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()


def _read_cursor(text: str) -> Cursor:
    """A cursor that was written here.

    Raises:
        StorageError: it was not.
    """
    try:
        name, moment, (column, order) = parse_json(base64.urlsafe_b64decode(text))
        if not isinstance(name, str) or not isinstance(moment, str | None):
            raise ValueError
        if column not in _COLUMNS_V2 or order not in _ORDERS or (column != "name" and moment is None):
            raise ValueError
    except (ValueError, TypeError):
        raise errors.invalid_parameter("continuation token") from None
    return Cursor(name, moment, Sorting(column, order))
