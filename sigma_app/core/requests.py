"""Every request has an id: in the log, in its answer (`X-Request-Id`), and in what its jobs say later.

A proxy of ours may have given it one already; nobody else may. What fails without an answer is logged, and answered in
the shape that the client wants, with the id by which the log line is found.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core.error_shape import in_shape
from sigma_app.core.errors import without_message
from sigma_app.core.logs import request_id

HEADER = "x-request-id"
SORRY = "Something went wrong on our side, and we have a note of it. Please try again."

_TOKEN = re.compile(r"[A-Za-z0-9_=.-]{20,}")
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

logger = logging.getLogger(__name__)

Apology = Callable[[str], Response | None]
"""The page for a request that failed, with its id; None for none."""


def identified(app: ASGIApp, trusted_proxies: int, apologize: Apology = lambda *_: None) -> ASGIApp:
    """`app`, each of whose requests and websockets has an id.

    Args:
        app: answers.
        trusted_proxies: whether there is a proxy of ours in front, whose id counts.
        apologize: makes the page of a failure.
    """

    async def identifying(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        identity = (_given(scope) if trusted_proxies else "") or uuid.uuid4().hex
        known = request_id.set(identity)
        started = False

        async def with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message["headers"], (HEADER.encode(), identity.encode())]}
            await send(message)

        try:
            await app(scope, receive, with_id)
        except ClientDisconnect:  # before it had sent all; nobody waits for an answer
            pass
        except Exception as error:
            logger.error("A request failed: %s %s: %s", _method(scope), _shown(scope["path"]), without_message(error))
            if scope["type"] != "http" or started:
                raise
            answer = _as_wanted(scope, identity, apologize)
            await answer(scope, receive, with_id)
        finally:
            request_id.reset(known)

    return identifying


def _given(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == HEADER.encode():
            return value.decode("latin-1") if _ID.fullmatch(value.decode("latin-1")) else ""
    return ""


def _shown(path: str) -> str:
    """A path for the log, without what opens something: the addresses of links end with a token."""
    return _TOKEN.sub("…", path)


def _method(scope: Scope) -> str:
    return scope.get("method", scope["type"])


def _as_wanted(scope: Scope, identity: str, apologize: Apology) -> Response:
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    if b"text/html" in accepted:
        if page := apologize(identity):
            return page
        return PlainTextResponse(f"{SORRY} {identity}", 500)
    return JSONResponse(in_shape(500, SORRY), 500)
