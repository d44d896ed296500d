"""What is said to a request that is refused before anybody reads it: in the documented shape (core/error_shape.py), or
as plain words."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

from sigma_app.core.error_shape import in_shape
from sigma_app.core.metrics import REFUSALS


def refusal(scope: Scope, reason: str, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request, or to a websocket's handshake, that is refused.

    Args:
        scope: of the request; a browser that asks for a page gets words alone.
        reason: what it counts as, a word of few (`sigma_refusals` of /metrics).
        status: of HTTP.
        message: a sentence or two that whoever asked may read.
        headers: further ones.
    """
    REFUSALS.labels(reason).inc()
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    if b"text/html" in accepted or scope["type"] == "websocket":
        return PlainTextResponse(message, status, headers)
    return JSONResponse(in_shape(status, message), status, headers)
