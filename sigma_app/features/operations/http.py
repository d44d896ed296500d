"""What balancers and monitors ask: `/healthz`, whether this process lives, and `/readyz`, whether it can work."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.features.operations import health

_FRESH = 1.0  # seconds for which an answer counts: whoever asks in a loop costs the database nothing
_HEADERS = {"cache-control": "no-store"}

_known: tuple[float, Response] | None = None


async def healthz(_: Request) -> Response:
    """This process answers."""
    return PlainTextResponse("ok", headers=_HEADERS)


async def readyz(_: Request) -> Response:
    """`{"ready": true, "checks": {"database": {"ok": true, "says": …}, …}}`; 503 where something needed is not ok."""
    global _known
    if _known is None or time.monotonic() - _known[0] > _FRESH:
        found = (await health.checks()).checks
        ready = all(check.ok for check in found if check.needed)
        said = {"ready": ready, "checks": {one.name: {"ok": one.ok, "says": one.says} for one in found}}
        _known = time.monotonic(), JSONResponse(said, 200 if ready else 503, _HEADERS)
    return _known[1]


ROUTES = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
