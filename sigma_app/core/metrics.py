"""What this process has counted, in Prometheus' terms; `features/operations/metrics.py` shows it.

Every label has few values, whatever anybody asks for: kinds of requests, names of jobs, outcomes. Names and units are
as https://prometheus.io/docs/practices/naming/ wants them.
"""

from __future__ import annotations

import time
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, processor time, open files

REQUESTS = Counter("sigma_requests", "Answers over HTTP.", ["kind", "method", "status"], registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "sigma_request_seconds",
    "From a request to the first byte of its answer.",
    ["kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
WEBSOCKETS = Gauge("sigma_websockets", "Open websockets: pages that somebody looks at.", registry=REGISTRY)
EVENTS = Counter("sigma_events", "Events of pages, over their websockets.", ["event"], registry=REGISTRY)
JOBS = Counter("sigma_jobs", "Tries of jobs, in this process.", ["job", "outcome"], registry=REGISTRY)
JOB_SECONDS = Histogram("sigma_job_seconds", "What a try of a job takes.", ["job"], registry=REGISTRY)
MAILS = Counter("sigma_mails", "Mails handed over, or not.", ["outcome"], registry=REGISTRY)
REFUSALS = Counter(
    "sigma_refusals", "What was refused or cut off before a door was asked.", ["reason"], registry=REGISTRY
)
LIMITS_SHARED = Gauge(
    "sigma_limits_shared", "1 while Redis keeps the limits' counters, 0 while this process does.", registry=REGISTRY
)
# "kept" once and "known" when told again; "forged" signatures; "refused" for what it is; "failed" for our sake
WEBHOOKS = Counter(
    "sigma_webhook_deliveries", "What was told at our webhooks.", ["source", "outcome"], registry=REGISTRY
)

_KINDS = {
    "assets": "asset",
    "fonts": "asset",
    "auth": "auth",
    "rest": "rest",
    "storage": "storage",
    "webhooks": "webhook",
}
"""By the first segment of a path; the rest is pages, and forms that are posted."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@lru_cache(maxsize=256)  # more than there are handlers
def event_label(name: str) -> str:
    """The label of an event of ours, `waitlist_state.join`, from the full name that Reflex calls its handler by."""
    state, _, handler = name.rpartition(".")
    return f"{state.rpartition('____')[2]}.{handler}"


def measured(app: ASGIApp) -> ASGIApp:
    """`app`, whose answers and websockets are counted."""

    async def measuring(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            with WEBSOCKETS.track_inprogress():
                await app(scope, receive, send)
            return
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun = time.perf_counter()
        kind = kind_of(scope)

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                REQUEST_SECONDS.labels(kind).observe(time.perf_counter() - begun)
                method = scope["method"] if scope["method"] in _METHODS else "other"
                REQUESTS.labels(kind, method, message["status"]).inc()
            await send(message)

        await app(scope, receive, counting)

    return measuring


def kind_of(scope: Scope) -> str:
    """What kind of request it is: one of few."""
    first = scope["path"].split("/", 2)[1] if "/" in scope["path"] else ""
    return _KINDS.get(first) or ("page" if scope["method"] in ("GET", "HEAD") else "form")
