"""GET /admin/users: the administrator's list, page by page."""

from __future__ import annotations

import re
from typing import LiteralString
from urllib.parse import urlencode

from psycopg.sql import SQL
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import users
from sigma_app.embedded.supabase.auth.bodies import asked
from sigma_app.embedded.supabase.auth.callers import require_administrator
from sigma_app.embedded.supabase.auth.errors import invalid
from sigma_app.embedded.supabase.auth.mails import AUTH

_PER_PAGE = 50
_NUMBER = re.compile("[0-9]+")
_MOST = 2**63 - 1  # of Postgres' bigint
_MOST_GIVEN = 2**64 - 1  # of Go's uint64
_DIGITS = 20  # which that has
_ORDERS: dict[str, LiteralString] = {
    "": "created_at desc, id desc",
    "desc": "created_at desc, id desc",
    "asc": "created_at, id",
}


_WANTED = SQL("""
from auth.users
where aud = %(aud)s
  and (%(like)s::text is null or email like %(like)s or raw_user_meta_data ->> 'full_name' ilike %(like)s)
""")


async def list_users(request: Request) -> Response:
    """Answer with a page of users, the newest first; with how many there are, and where the next page is."""
    await require_administrator(request)
    page, per_page = _number(request, "page", 1), _number(request, "per_page", _PER_PAGE)
    order = _order(request)
    wanted = asked(request, "filter").replace("\0", "")
    values = {
        "aud": users.AUDIENCE,
        "like": f"%{wanted}%" if wanted else None,
        "limit": min(per_page, _MOST),
        "offset": min((page - 1) * per_page, _MOST),
    }
    async with get_database().cursor(AUTH) as cursor:
        await cursor.execute(SQL("select count(*) as n {}").format(_WANTED), values)
        counted = await cursor.fetchone()
        query = SQL("select {} {} order by {} limit %(limit)s offset %(offset)s")
        await cursor.execute(query.format(users.COLUMNS, _WANTED, SQL(order)), values)
        found = [users.user_in(row).as_json() for row in await cursor.fetchall()]
    total = counted["n"] if counted else 0
    headers = {"X-Total-Count": str(total), "Link": _links(request, page, -(-total // per_page))}
    return JSONResponse({"users": found, "aud": users.AUDIENCE}, headers=headers)


def _number(request: Request, name: str, default: int) -> int:
    """A whole number of the query; nothing and 0 stand for the default."""
    text = asked(request, name)
    if text and (not _NUMBER.fullmatch(text) or int(text[:_DIGITS]) > _MOST_GIVEN or len(text) > _DIGITS):
        raise invalid(f"Bad Pagination Parameters: {name} is no number of a page")
    return int(text or 0) or default


def _order(request: Request) -> LiteralString:
    field, _, direction = (asked(request, "sort") or "created_at desc").partition(" ")
    if field != "created_at":
        raise invalid(f"Bad Sort Parameters: bad field for sort '{field}'")
    if direction.lower() not in _ORDERS:
        raise invalid(f"Bad Sort Parameters: bad direction for sort '{direction}', only 'asc' and 'desc' allowed")
    return _ORDERS[direction.lower()]


def _links(request: Request, page: int, pages: int) -> str:
    """The Link header. Clients take what follows an address' first "=" for the page, so that comes first."""
    rest = [(name, value) for name in ("per_page", "filter", "sort") if (value := asked(request, name))]
    linked = {"next": page + 1} if pages > page else {}
    return ", ".join(
        f'</admin/users?{urlencode([("page", number), *rest])}>; rel="{name}"'
        for name, number in (linked | {"last": pages}).items()
    )
