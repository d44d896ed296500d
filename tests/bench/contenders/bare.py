"""The honest reference: a bare ASGI handler over psycopg, with no framework and hardly a check.

`BENCH_PIPELINE=1` sends the whole transaction at once, in psycopg's pipeline mode; otherwise it is written the usual
way, each statement awaiting its answer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from psycopg_pool import AsyncConnectionPool

from tests.bench.contenders import ANONYMOUS_CLAIMS, BECOME, CONSENT_VERSION, INSERT, POOL_SIZE, serve

PIPELINE = os.environ.get("BENCH_PIPELINE") == "1"

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
        body += message["body"]
        more = message["more_body"]
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    row = (form["email"].strip(), form["referrer"], urlsplit(form["landing_url"]).path, CONSENT_VERSION)
    await (_insert_at_once(row) if PIPELINE else _insert(row))
    headers = [(b"location", b"/joined"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _insert(row: Sequence[str]) -> None:
    async with _pool.connection() as connection:  # begins with the first statement, commits at the end
        await connection.execute(BECOME, (ANONYMOUS_CLAIMS,))
        await connection.execute(INSERT, row)


async def _insert_at_once(row: Sequence[str]) -> None:
    async with _pool.connection() as connection, connection.pipeline():
        await connection.execute("begin")
        await connection.execute(BECOME, (ANONYMOUS_CLAIMS,))
        await connection.execute(INSERT, row)
        await connection.execute("commit")


async def _live(receive, send) -> None:
    await receive()
    await _pool.open(wait=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _pool.close()
    await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    serve(app)
