"""Where a page says that somebody arrived. It answers nothing, whatever it is told: no page may break of it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from functools import cache

import psycopg
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sigma_app.core.batches import Batches
from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.core.limits import Limiter
from sigma_app.core.origin import client_address, is_same_site, network_of
from sigma_app.features.growth import service
from sigma_app.features.waitlist.service import Arrival
from sigma_app.settings import get_settings

LARGEST = 8 * 1024  # bytes; visit.js sends two addresses of 2,000 characters at most
_ROBOT = re.compile(r"(?<!cu)bot\b|crawl|spider|preview|lighthouse", re.IGNORECASE)  # Cubot makes telephones

logger = logging.getLogger(__name__)


async def visit(request: Request) -> Response:
    """Count an arrival, if it is one: 204 in any case."""
    if await _is_asked_to_count(request) and (arrival := await _read(request)):
        try:
            await _visits.add(arrival)
        except (DatabaseUnavailable, psycopg.Error) as error:
            logger.warning("A visit was not counted: %s", without_message(error))
    return Response(status_code=204, headers={"cache-control": "no-store"})


ROUTES = [Route("/visit", visit, methods=["POST"])]


async def _is_asked_to_count(request: Request) -> bool:
    """Whether a page of ours asks, for a person who has nothing against it, and not too often."""
    settings = get_settings()
    if not is_same_site(request.scope["headers"], settings.base_url):
        return False
    if "1" in (request.headers.get("sec-gpc"), request.headers.get("dnt")):
        return False
    if _ROBOT.search(request.headers.get("user-agent", "")):
        return False
    return not await _limiter().wait(network_of(client_address(request.scope, settings.trusted_proxies)))


async def _read(request: Request) -> Arrival | None:
    try:
        told = json.loads(await read_body(request, LARGEST))
    except (BodyTooLarge, ClientDisconnect, ValueError, RecursionError):
        return None
    page, referrer = (told.get("page"), told.get("referrer")) if isinstance(told, dict) else (None, None)
    return service.read_visit(page, referrer) if isinstance(page, str) and isinstance(referrer, str) else None


async def _write(visits: Sequence[Arrival]) -> None:
    await get_database().run(Step(SERVICE, *service.noting(visits)))


_visits = Batches(_write)


@cache
def _limiter() -> Limiter:
    return Limiter("visits", get_settings().visit_limit_per_network)
