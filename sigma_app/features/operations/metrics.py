"""`/metrics`: what this process has counted, and how the database and the queue stand, for Prometheus to fetch.

Only this machine may ask, or who has SIGMA_METRICS_TOKEN. What is in the queue is read from the database, so that every
process says the same of it, also of jobs that workers elsewhere run.
"""

from __future__ import annotations

import hmac
import math
import platform
from importlib.metadata import version
from ipaddress import ip_address

from prometheus_client import Gauge, Info
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core import migrations
from sigma_app.core.database import get_database
from sigma_app.core.jobs import silent_for
from sigma_app.core.metrics import REGISTRY
from sigma_app.core.origin import client_address
from sigma_app.features.operations import health
from sigma_app.settings import get_settings

CHECKS = Gauge("sigma_check_ok", "Whether what /readyz looks at is well.", ["check"], registry=REGISTRY)
UP = Gauge("sigma_database_up", "Whether the database answers.", registry=REGISTRY)
CONNECTIONS = Gauge("sigma_pool_connections", "Of this process's pool.", ["state"], registry=REGISTRY)
WAITING = Gauge("sigma_pool_waiting", "Requests that wait for a connection.", registry=REGISTRY)
QUEUE = Gauge("sigma_queue_jobs", "Jobs in the queue, of all processes.", ["status"], registry=REGISTRY)
OLDEST = Gauge("sigma_queue_oldest_seconds", "How long the oldest job that is due waits.", registry=REGISTRY)
WORKERS = Gauge("sigma_workers", "Workers that said lately that they live, of all processes.", registry=REGISTRY)
FREE = Gauge("sigma_disk_free_bytes", "Free where something is kept on this machine.", registry=REGISTRY)
HEARD = Gauge(
    "sigma_worker_silent_seconds", "Since the database last heard of this process's own workers.", registry=REGISTRY
)
BUILD = Info("sigma_build", "What runs.", registry=REGISTRY)
BUILD.info({"schema": migrations.head(), "reflex": version("reflex"), "python": platform.python_version()})

_STATUSES = ("todo", "doing", "failed")


async def metrics(request: Request) -> Response:
    """Everything, in Prometheus' text format."""
    if not _may_see(request):
        return PlainTextResponse("Only this machine may ask, or who has SIGMA_METRICS_TOKEN.", 403)
    await _look()
    return Response(
        generate_latest(REGISTRY), headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE_PLAIN_1_0_0
    )


ROUTES = [Route("/metrics", metrics, methods=["GET"])]


def _may_see(request: Request) -> bool:
    settings = get_settings()
    if settings.metrics_token:
        expected = f"Bearer {settings.metrics_token.get_secret_value()}"
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), expected.encode())
    if "x-forwarded-for" in request.headers and not settings.trusted_proxies:
        return False  # a proxy that we were not told of makes everybody seem to be here
    try:
        return ip_address(client_address(request.scope, settings.trusted_proxies)).is_loopback
    except ValueError:
        return False


async def _look() -> None:
    pool = get_database().pool_now()
    CONNECTIONS.labels("lent").set(pool.lent)
    CONNECTIONS.labels("idle").set(pool.idle)
    WAITING.set(pool.waiting)
    found, queue = await health.checks()
    CHECKS.clear()
    for check in found:
        CHECKS.labels(check.name).set(check.ok)
    free = health.free_space()
    FREE.set(math.nan if free is None else free)
    silent = silent_for()
    HEARD.set(math.nan if silent is None else silent.total_seconds())
    if queue is None:
        UP.set(0)
        QUEUE.clear()  # what is not known is not told as it was before
        OLDEST.set(math.nan)
        WORKERS.set(math.nan)
        return
    UP.set(1)
    for status in _STATUSES:
        QUEUE.labels(status).set(queue.jobs.get(status, 0))
    OLDEST.set(queue.oldest)
    WORKERS.set(queue.workers)
