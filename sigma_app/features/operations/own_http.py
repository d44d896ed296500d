"""What somebody takes along by themselves: all that `person` tells of them, for whoever is signed in as them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cache

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sigma_app.core.destination import with_next
from sigma_app.core.errors import SigmaError
from sigma_app.core.limits import Limiter
from sigma_app.features.operations import person
from sigma_app.frontend.templates import PRIVATE
from sigma_app.gateways.accounts import IdentityRefused
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of
from sigma_app.session.doors import REFUSED, too_many
from sigma_app.session.guard import SIGN_IN

BUSY = "Others are packing theirs right now. Please try again in half a minute."
_AT_ONCE = 2  # of one process: each holds a connection while it reads, and its files in memory or on the disk

# Whatever is in it, no browser may take it for a page of ours.
_HEADERS = PRIVATE | {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
    "content-disposition": 'attachment; filename="sigma-data.zip"',
}


async def download(request: Request) -> Response:
    """All that is kept about whoever is signed in, as a ZIP; the answer begins once it is whole."""
    try:
        session = await store.find(cookie_of(request.scope["headers"]))
        if session is None:
            return RedirectResponse(with_next(SIGN_IN, "/account"), 303, PRIVATE)
        if _packing().locked():
            return PlainTextResponse(BUSY, 503, PRIVATE | {"retry-after": "30"})
        async with _packing():
            if wait := await _limiter().wait(str(session.user_id)):
                return PlainTextResponse(too_many(wait).message, 429, PRIVATE | {"retry-after": str(wait)})
            pieces = person.own(session)
            first = await anext(pieces)
    except person.Nobody:  # the account went meanwhile, and the session with it
        return RedirectResponse(with_next(SIGN_IN, "/account"), 303, PRIVATE)
    except IdentityRefused:  # of the service, whom no sign-in of theirs can help
        return PlainTextResponse(REFUSED, 502, PRIVATE)
    except SigmaError as error:
        return PlainTextResponse(str(error), error.status, PRIVATE | {"retry-after": "5"})

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(body(), headers=_HEADERS, media_type="application/zip")


ROUTES = [Route("/account/data.zip", download, methods=["GET"])]


@cache
def _packing() -> asyncio.Semaphore:
    return asyncio.Semaphore(_AT_ONCE)


@cache
def _limiter() -> Limiter:
    return Limiter("download", "10/hour")
