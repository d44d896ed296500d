"""Traces, in OpenTelemetry's terms: which part of a request, an event or a job took how long.

Off, a span costs one look at a variable and nothing is imported; `gateways/telemetry.py` turns them on. A span names
kinds, roles and statements as they stand in the source, never a value: those are people's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, LiteralString

from psycopg.sql import SQL
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core.logs import request_id
from sigma_app.core.metrics import kind_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

Kind = Literal["INTERNAL", "SERVER", "CLIENT", "CONSUMER"]

_OFF = nullcontext()
_LONGEST_STATEMENT = 500  # characters

_tracer: Tracer | None = None


def trace_with(tracer: Tracer | None) -> None:
    """Trace with this from now on; None for no more."""
    global _tracer
    _tracer = tracer


def span(name: str, kind: Kind = "INTERNAL", **attributes: Any) -> AbstractContextManager[Span | None]:
    """A span around the block, of the request that is worked for; an exception that leaves the block marks it.

    Args:
        name: one of few, such as "job waitlist:send_link".
        kind: OpenTelemetry's SpanKind.
        attributes: "_" stands for the dots of their names.
    """
    return _OFF if _tracer is None else _span(_tracer, name, kind, attributes)


def statement(parts: Iterable[LiteralString | SQL]) -> str:
    """Statements for a span's attribute, as they stand in the source; "" while nothing is traced."""
    if _tracer is None:
        return ""
    text = "; ".join(part.as_string() if isinstance(part, SQL) else part for part in parts)
    return text[:_LONGEST_STATEMENT]


def traced(app: ASGIApp) -> ASGIApp:
    """`app`, each of whose requests over HTTP is a span."""

    async def tracing(scope: Scope, receive: Receive, send: Send) -> None:
        if _tracer is None or scope["type"] != "http":
            await app(scope, receive, send)
            return
        kind = kind_of(scope)
        with span(
            f"{scope['method']} {kind}", "SERVER", http_request_method=scope["method"], sigma_kind=kind
        ) as request:

            async def noting(message: Message) -> None:
                if request and message["type"] == "http.response.start":
                    request.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await app(scope, receive, noting)

    return tracing


@contextmanager
def _span(tracer: Tracer, name: str, kind: Kind, attributes: dict[str, Any]) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind, Status, StatusCode

    named = {name.replace("_", "."): value for name, value in attributes.items() if value != ""}
    if known := request_id.get():
        named["sigma.request"] = known
    # What an exception says may be somebody's: its class is all that is told.
    with tracer.start_as_current_span(
        name, kind=SpanKind[kind], attributes=named, record_exception=False, set_status_on_exception=False
    ) as started:
        try:
            yield started
        except Exception as error:
            started.set_attribute("error.type", type(error).__name__)
            started.set_status(Status(StatusCode.ERROR))
            raise
