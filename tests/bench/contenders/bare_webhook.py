"""The reference for webhooks: a bare ASGI handler that checks Stripe's signature and inserts the event, and no more."""

from __future__ import annotations

import hmac
import json
import os
from hashlib import sha256

from psycopg_pool import AsyncConnectionPool

from tests.bench.contenders import POOL_SIZE, serve

SECRET = os.environ.get("BENCH_SECRET", "").encode()
BECOME = "select set_config('role', 'service_role', true)"
INSERT = """
insert into sigma.webhook_events (source, id, type, body) values ('bench', %s, %s, %s::jsonb) on conflict do nothing
"""

_pool = AsyncConnectionPool(
    os.environ.get("DATABASE_URL", ""), min_size=POOL_SIZE, max_size=POOL_SIZE, kwargs={"autocommit": False}, open=False
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
    parts = dict(part.split(b"=", 1) for part in dict(scope["headers"])[b"stripe-signature"].split(b","))
    expected = hmac.new(SECRET, parts[b"t"] + b"." + body, sha256).hexdigest().encode()
    good = hmac.compare_digest(expected, parts[b"v1"])
    if good:
        event = json.loads(body)
        async with _pool.connection() as connection:
            await connection.execute(BECOME)
            await connection.execute(INSERT, (event["id"], event["type"], body.decode()))
    await send({"type": "http.response.start", "status": 200 if good else 400, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _live(receive, send) -> None:
    await receive()
    await _pool.open(wait=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _pool.close()
    await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    serve(app)
