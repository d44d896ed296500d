"""The door of a worker of its own, for monitors alone: `/healthz`, `/readyz` and `/metrics`.

It is alive while it works, or looks for a database that is away: starting it anew would bring that no nearer. It is
ready while the database hears of it, which is what its jobs need.
"""

from __future__ import annotations

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core.jobs import SILENCE, idle_for, silent_for
from sigma_app.features.operations import metrics

_HEADERS = {"cache-control": "no-store"}


async def healthz(_: Request) -> Response:
    """Its last heartbeat, or try at one, was lately."""
    if _lately(idle_for()):
        return PlainTextResponse("ok", headers=_HEADERS)
    return PlainTextResponse(f"It has done nothing for {SILENCE.total_seconds():.0f} s.", 503, _HEADERS)


async def readyz(_: Request) -> Response:
    """`{"ready": true, "checks": {"heartbeat": {"ok": true, "says": …}}}`; 503 where the database hears nothing."""
    silent = silent_for()
    says = "Never." if silent is None else f"{silent.total_seconds():.0f} s ago."
    check = {"ok": _lately(silent), "says": f"The database heard of it: {says}"}
    return JSONResponse({"ready": check["ok"], "checks": {"heartbeat": check}}, 200 if check["ok"] else 503, _HEADERS)


ROUTES = [
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    *metrics.ROUTES,
]


def _lately(ago: timedelta | None) -> bool:
    return ago is not None and ago < SILENCE
