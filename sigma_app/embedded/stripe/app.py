"""The API (https://docs.stripe.com/api), for the SDK in this process: any key opens it, so it must never be served.

A request is a transaction. The first answer under an idempotency key is kept for a day, a 500 too, as Stripe does
(https://docs.stripe.com/api/idempotent_requests). `Transport` is how the SDK's client gets here; beside calling `app`
it is silent where the sandbox is told to be, and what a client sees of a lost answer is a timeout.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.embedded.stripe import calls, faults
from sigma_app.embedded.stripe.books import API_VERSION, Books, Thing, new_id, opened, shown
from sigma_app.embedded.stripe.errors import Declined, Refused
from sigma_app.embedded.stripe.expand import expanded
from sigma_app.embedded.stripe.form import decode, refuse_unknown

_LOST = "sandbox-answer-lost"  # a header that no client sees, with seconds
_LONGEST_KEY = 255  # characters

logger = logging.getLogger(__name__)


async def answer(request: Request) -> Response:
    """Any call."""
    headers = {"request-id": new_id("req")[:18], "stripe-version": API_VERSION}
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if key:
        headers["idempotency-key"] = key
    try:
        status, body, further = await _answer(request, headers["request-id"], key)
    except Refused as refused:
        status, body, further = refused.status, refused.body, {}
    except DatabaseUnavailable:
        raise
    except Exception as error:
        logger.error("The sandbox failed: %s", without_message(error))
        status, body, further = 500, _FAILED, {}
    return JSONResponse(body, status, headers | further)


async def _answer(request: Request, name: str, key: str | None) -> tuple[int, Thing, dict[str, str]]:
    _check_key(request)
    encoded = (await request.body()).decode() if request.method == "POST" else request.url.query
    found = calls.find(request.method, request.url.path)
    if found is None:
        message = f"Unrecognized request URL ({request.method}: {request.url.path})."
        raise Refused(f"{message} The sandbox has what its calls.py lists.", status=404)
    if key and len(key) > _LONGEST_KEY:
        raise Refused(f"Idempotency keys have at most {_LONGEST_KEY} characters.")
    call, ids = found
    fingerprint = hashlib.sha256(f"{request.method} {request.url.path}?{encoded}".encode()).digest()
    async with opened(key) as books:
        books.request = {"id": name, "idempotency_key": key}
        wrong = await faults.next_answer(books)
        if wrong.get("how") in ("429", "silence"):  # nothing has begun, so nothing is kept under the key
            return _wrong(wrong)
        known = await _known(books, key, fingerprint)
        if known:
            status, body = known["status"], known["body"]
        elif wrong.get("how") == "500":
            status, body = 500, _FAILED
        else:
            status, body = await _try(books, call, ids, encoded, request.url.path)
        if key and not known:
            await books.remember(key, fingerprint, status, body)
    if wrong.get("how") == "lost":
        return _wrong(wrong)
    replayed = {"idempotent-replayed": "true"} if known else {}
    is_final = key is not None and status >= 500  # asked again under this key, it would be answered the same
    return status, body, replayed | ({"stripe-should-retry": "false"} if is_final else {})


async def _known(books: Books, key: str | None, fingerprint: bytes) -> Thing | None:
    """What was answered under a key before."""
    known = await books.remembered(key) if key else None
    if known and known["fingerprint"] != fingerprint:
        message = "Keys for idempotent requests can only be used with the same parameters they were first used with."
        raise Refused(message, kind="idempotency_error")
    return known


async def _try(books: Books, call: calls.Call, ids: tuple[str, ...], encoded: str, path: str) -> tuple[int, Thing]:
    try:
        return 200, await _do(books, call, ids, encoded, path)
    except Declined as declined:  # which was done, and is kept
        return declined.status, declined.body


async def _do(books: Books, call: calls.Call, ids: tuple[str, ...], encoded: str, path: str) -> Thing:
    params = decode(encoded)
    refuse_unknown(params, call.params)
    done = await (call.act(books, params, path, *ids) if call.is_list else call.act(books, params, *ids))
    return shown(await expanded(books, done, params.get("expand") or []))


def _check_key(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme not in ("Bearer", "Basic") or not key:
        message = "You did not provide an API key. You need to provide your API key in the Authorization header."
        raise Refused(message, status=401)


def _wrong(told: dict[str, Any]) -> tuple[int, Thing, dict[str, str]]:
    """The answer of a sandbox that is told to be too busy, or to say nothing."""
    if told["how"] == "429":
        body = _error("invalid_request_error", "Too many requests hit the API too quickly.", "rate_limit")
        return 429, body, {"retry-after": str(int(told["seconds"]))}
    return 500, _FAILED, {_LOST: str(told["seconds"])}


def _error(kind: str, message: str, code: str = "") -> Thing:
    return {"error": {"type": kind, "message": message, **({"code": code} if code else {})}}


_FAILED = _error("api_error", "An error occurred with our connection to Stripe.")


async def _is_away(_: Request, away: Any) -> Response:
    return JSONResponse(_error("api_error", str(away)), away.status)


app = Starlette(
    routes=[Route("/v1/{call:path}", answer, methods=["GET", "POST", "DELETE"])],
    exception_handlers={DatabaseUnavailable: _is_away},
)


class Transport(httpx.AsyncBaseTransport):
    """Leads an httpx client to the sandbox in this process, and loses the answers that are to be lost."""

    def __init__(self) -> None:
        self._app = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx.

        Raises:
            httpx.ReadTimeout: the answer was lost, after the time that it took or that the client waits.
        """
        answered = await self._app.handle_async_request(request)
        lost = answered.headers.get(_LOST)
        if lost is None:
            return answered
        await answered.aclose()
        patience = request.extensions.get("timeout", {}).get("read")
        await asyncio.sleep(min(float(lost), float(lost) if patience is None else patience))
        raise httpx.ReadTimeout("The sandbox was told not to answer.", request=request)
