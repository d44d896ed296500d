"""The honest reference of the REST stand-in: a bare ASGI handler that runs the same SQL under the same role.

It knows its three requests by their method, checks no token, and reads nothing of the query string. `BENCH_PIPELINE=1`
sends the whole transaction at once, in psycopg's pipeline mode; otherwise each statement awaits its answer.
"""

from __future__ import annotations

import os

from psycopg import AsyncConnection, AsyncCursor
from psycopg_pool import AsyncConnectionPool

from tests.bench.contenders import POOL_SIZE, serve

PIPELINE = os.environ.get("BENCH_PIPELINE") == "1"
CLAIMS = os.environ.get("BENCH_CLAIMS", "")
PROFILE = os.environ.get("BENCH_PROFILE", "")

BECOME = "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)"
GET = """
    with answer as (select profiles.* from public.profiles where profiles.id = %s limit %s offset %s)
    select count(t), coalesce(json_agg(t), '[]')::text from answer as t
"""
PATCH = """
    with source as (
      update public.profiles set name = body.name
      from (select %s::json as data) as payload,
        lateral (select name from json_to_record(payload.data) as _ (name text)) as body
      where profiles.id = %s returning 1
    )
    select count(t) from (select * from source) as t
"""
POST = """
    with source as (
      insert into public.leads (email)
      select body.email from (select %s::json as data) as payload,
        lateral (select email from json_to_record(payload.data) as _ (email text)) as body
      returning 1
    )
    select count(t) from (select * from source) as t
"""

_pool = AsyncConnectionPool(
    os.environ.get("DATABASE_URL", ""),
    min_size=POOL_SIZE,
    max_size=POOL_SIZE,
    kwargs={"autocommit": PIPELINE},
    open=False,
)


async def app(scope, receive, send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["method"] == "GET":
        row = await _run("authenticated", CLAIMS, GET, (PROFILE, "1000", "0"))
        await _answer(send, 200, row[1].encode())
    elif scope["method"] == "PATCH":
        await _run("authenticated", CLAIMS, PATCH, (body.decode(), PROFILE))
        await _answer(send, 204)
    else:
        await _run("anon", '{"role":"anon"}', POST, (body.decode(),))
        await _answer(send, 201)


async def _run(role: str, claims: str, statement: str, values: tuple[str, ...]) -> tuple:
    async with _pool.connection() as connection:
        cursor = await (_at_once if PIPELINE else _one_by_one)(connection, (role, claims), statement, values)
        return await cursor.fetchone() or ()


async def _one_by_one(connection: AsyncConnection, who: tuple, statement: str, values: tuple) -> AsyncCursor:
    await connection.execute(BECOME, who)  # begins, and the pool commits
    return await connection.execute(statement.encode(), values)


async def _at_once(connection: AsyncConnection, who: tuple, statement: str, values: tuple) -> AsyncCursor:
    async with connection.pipeline():
        await connection.execute("begin")
        await connection.execute(BECOME, who)
        cursor = await connection.execute(statement.encode(), values)
        await connection.execute("commit")
    return cursor


async def _answer(send, status: int, body: bytes = b"") -> None:
    headers = [(b"content-length", str(len(body)).encode())] if status != 204 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive, send) -> None:
    await receive()
    await _pool.open(wait=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _pool.close()
    await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    serve(app)
