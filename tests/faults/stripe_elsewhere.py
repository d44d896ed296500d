"""The sandbox as a Stripe elsewhere: its API over HTTP, in a process of its own, over whichever database.

`python -m tests.faults.stripe_elsewhere PORT LOGIN_URL`. Beside the API it has what a customer does, `POST /pay/ID`,
and what Stripe would tell of it, `GET /events`; it tells nobody by itself.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.stripe import acts, faults
from sigma_app.embedded.stripe.app import app as api
from sigma_app.embedded.stripe.books import opened, shown


async def pay(request: Request) -> Response:
    """The customer pays a checkout."""
    await acts.pay(request.path_params["checkout"])
    return Response(status_code=204)


async def events(_: Request) -> Response:
    """All that ever happened, the oldest first."""
    async with opened() as books:
        found = [shown(event) for event in await books.all("event")]
    return JSONResponse(found[::-1])


def served(login_url: str) -> Starlette:
    """The application."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with Database(login_url, 4) as database:
            with serve_requests_from(database):
                await faults.spoil_deliveries(drop=1)
                yield

    routes = [
        Route("/pay/{checkout}", pay, methods=["POST"]),
        Route("/events", events, methods=["GET"]),
        Mount("/", app=api),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


if __name__ == "__main__":
    port, login = sys.argv[1:]
    uvicorn.run(served(login), host="127.0.0.1", port=int(port), log_level="warning")
