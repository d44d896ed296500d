"""What the pages of billing post, and /pricing: a checkout for a plan, and the way to Stripe's customer portal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sigma_app.core.destination import with_next
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.limits import Limiter
from sigma_app.features.billing import checkout
from sigma_app.features.billing.catalogue import PLANS
from sigma_app.features.billing.errors import NotNow
from sigma_app.features.billing.parts import CHECKOUT, PORTAL
from sigma_app.features.billing.pricing_page import TEMPLATE
from sigma_app.features.billing.standing import offered
from sigma_app.frontend import templates
from sigma_app.gateways.payments import PaymentsUnavailable
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of
from sigma_app.session.doors import Answer, form_of, signed_in_door, too_many
from sigma_app.session.guard import SIGN_IN
from sigma_app.session.store import Session
from sigma_app.settings import get_settings

PATIENCE = 12.0  # seconds

logger = logging.getLogger(__name__)


async def buy(request: Request, session: Session) -> Answer:
    """On to a checkout at Stripe for the plan that was chosen."""
    form = await form_of(request)
    return await _on_to(request, session, lambda: checkout.open_checkout(session, form.get("plan", "")))


async def sign_in_first(request: Request) -> str:
    """Where somebody who chose a plan before they signed in finds it again afterwards."""
    wanted = (await form_of(request)).get("plan", "")
    known = wanted in {plan.key for plan in PLANS}
    return with_next(SIGN_IN, f"/billing?plan={wanted}" if known else "/billing")


async def manage(request: Request, session: Session) -> Answer:
    """On to the customer portal at Stripe."""
    return await _on_to(request, session, lambda: checkout.open_portal(session))


async def _on_to(request: Request, session: Session, address: Callable[[], Awaitable[str]]) -> Answer:
    """On to an address at Stripe, for somebody who has not asked too often, and within `PATIENCE`."""
    if wait := await _limiter().wait(str(session.user_id)):
        return too_many(wait)
    try:
        async with _patience():
            return Answer(await address())
    except (NotNow, PaymentsUnavailable, DatabaseUnavailable) as refused:
        if "application/json" in request.headers.get("accept", ""):
            raise
        said = refused.said if isinstance(refused, NotNow) else "away"
        return Answer(f"/billing?said={said}")  # from a plain form, such as that of /pricing


async def to_billing(_: Request) -> Response:
    """On to the page with the forms."""
    return RedirectResponse("/billing", 303)


async def show_pricing(request: Request) -> Response:
    """What each plan costs."""
    pages = request.scope.get("sigma.pages")
    try:
        signed_in = await store.find(cookie_of(request.scope["headers"])) is not None
        plans = {plan.key: plan for plan in await offered()}
    except DatabaseUnavailable as away:
        return PlainTextResponse(str(away), away.status, {"retry-after": "5"})
    if pages is None:  # `make dev`, where the frontend has a server of its own
        return PlainTextResponse(f"{TEMPLATE}; see this page with make run.\n\n{plans}")
    values = {"plans": plans, "signed_in": signed_in, "open": get_settings().signup == "open"}
    headers = {"cache-control": "private, no-cache", "vary": "cookie"}
    return templates.respond(pages, f"/templates/{TEMPLATE}", values, headers=headers)


ROUTES = [
    Route("/pricing", show_pricing, methods=["GET"]),
    Route(CHECKOUT, signed_in_door(buy, elsewhere=sign_in_first), methods=["POST"]),
    Route(PORTAL, signed_in_door(manage), methods=["POST"]),
    # Reloaded, or typed: what a form posted is not asked for.
    *(Route(path, to_billing, methods=["GET"]) for path in (CHECKOUT, PORTAL)),
]


@asynccontextmanager
async def _patience() -> AsyncIterator[None]:
    """Nobody looks at a button for longer than this, whatever Stripe does; the next try goes on where this one was."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError:
        raise PaymentsUnavailable from None


@cache
def _limiter() -> Limiter:
    return Limiter("billing", "10/minute;60/hour")
