"""Tells others how Sigma does, where it is asked to: errors to Sentry (SENTRY_DSN), traces over OTLP
(OTEL_EXPORTER_OTLP_ENDPOINT). Neither is imported otherwise; docs/decisions/0017-observability.md has the why.

What leaves is chosen, not filtered: of an error its log line, its class and where it came from; of a trace kinds, roles
and statements as they stand in the source. No request, no address of a person or a machine, no cookie, no value of a
variable.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from sigma_app.core.errors import StartError
from sigma_app.core.logs import request_id
from sigma_app.core.spans import trace_with
from sigma_app.settings import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

INSTALL = "Install it with `make observability`, or remove the variable."
FLUSH_SECONDS = 2.0  # for what is not sent yet when the process ends
_OURS = "sigma_app"
_SENT = ("event_id", "timestamp", "level", "logger", "platform", "environment", "sdk")
_OF_A_FRAME = ("filename", "module", "function", "lineno", "in_app")
_LONGEST = 4000  # characters of a log line
_HIDDEN = re.compile(
    r"[^\s<>()\[\],;:`'\"]+@[^\s<>()\[\],;:`'\"]+"  # an e-mail address
    r"|\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F:]*"  # a network's
    r"|\b[A-Za-z0-9_-]{32,}\b"  # what opens something, or may
)


@contextmanager
def telling(settings: Settings) -> Iterator[None]:
    """Tell what the settings name about what happens in the block; a place that does not answer disturbs nothing.

    Raises:
        StartError: what it takes is not installed.
    """
    with ExitStack() as stack:
        if settings.sentry_dsn:
            stack.enter_context(_errors(settings.sentry_dsn.get_secret_value(), settings.env))
        if settings.otlp_endpoint:
            stack.enter_context(_traces(settings, str(settings.otlp_endpoint).rstrip("/")))
        yield


@contextmanager
def _errors(dsn: str, environment: str) -> Iterator[None]:
    try:
        import sentry_sdk
        from sentry_sdk.integrations.excepthook import ExcepthookIntegration
        from sentry_sdk.integrations.logging import LoggingIntegration
    except ImportError:
        raise StartError(f"SENTRY_DSN: sentry-sdk is not installed. {INSTALL}") from None
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        # Ours and no others: those that the SDK would find by itself take requests apart.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR),
            ExcepthookIntegration(always_run=True),
        ],
        before_send=chosen,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        propagate_traces=False,
        enable_metrics=False,
    )
    try:
        yield
    finally:
        sentry_sdk.get_client().close(timeout=FLUSH_SECONDS)


def chosen(event: Event, hint: Hint) -> Event:
    """What of an error leaves: named here, and nothing else."""
    known = cast(Mapping[str, Any], event)
    sent: dict[str, Any] = {name: known[name] for name in _SENT if name in known}
    record: logging.LogRecord | None = hint.get("log_record")
    if record:
        message = record.getMessage()
        if not record.name.startswith(_OURS):  # others repeat in their further lines what came from people
            message = message.partition("\n")[0][:200]
        sent["logentry"] = {"formatted": _HIDDEN.sub("…", message)[:_LONGEST]}
        sent["fingerprint"] = [record.name, str(record.msg).partition("\n")[0][:200], *_came_from(message)]
        if identity := getattr(record, "request", "") or request_id.get():
            sent["tags"] = {"request": identity}
    if errors := (known.get("exception") or {}).get("values"):
        sent["exception"] = {"values": [_without_words(error) for error in errors]}
    return sent  # pyright: ignore[reportReturnType] - a dict of the SDK's own shape


def _without_words(error: Mapping[str, Any]) -> dict[str, Any]:
    """An exception by its class and where it was: what it says may be somebody's."""
    frames = (error.get("stacktrace") or {}).get("frames") or []
    bare = [{name: frame[name] for name in _OF_A_FRAME if name in frame} for frame in frames]
    named = {name: error[name] for name in ("type", "module") if name in error}
    return named | {"stacktrace": {"frames": bare}}


def _came_from(message: str) -> list[str]:
    """What tells one error from another in a line of ours: its class and the last place of its traceback."""
    places = re.findall(r'File "[^"]*?([^"/]+/[^"/]+)", line \d+, in (\S+)', message)
    return [" ".join(places[-1])] if places else []


@contextmanager
def _traces(settings: Settings, endpoint: str) -> Iterator[None]:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError:
        raise StartError(f"OTEL_EXPORTER_OTLP_ENDPOINT: opentelemetry-sdk is not installed. {INSTALL}") from None
    from reflex_base import otel

    headers = settings.otlp_headers.get_secret_value() if settings.otlp_headers else ""
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.trace_ratio),
        resource=Resource({"service.name": settings.service_name, "deployment.environment.name": settings.env}),
        shutdown_on_exit=False,  # that is the end of this block
    )
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", headers=_pairs(headers), timeout=FLUSH_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace_with(provider.get_tracer(_OURS))
    otel.enable(tracer_provider=provider)  # a span for each event of a page, by Reflex itself
    try:
        yield
    finally:
        trace_with(None)
        otel.disable()
        provider.shutdown()


def _pairs(headers: str) -> dict[str, str]:
    """`name=value,…`, as the variable has them by OpenTelemetry's specification."""
    pairs = (pair.partition("=") for pair in headers.split(",") if pair.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
