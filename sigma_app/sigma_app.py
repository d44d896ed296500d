"""The entry: collects each feature's pages and routes and mounts them; nothing else."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import reflex as rx
from starlette.applications import Starlette

from sigma_app.core.errors import without_message
from sigma_app.core.origin import PLACEHOLDER_ORIGIN
from sigma_app.features.accounts import account_page, entrance_http, entrance_pages, files_http, portal_http
from sigma_app.features.accounts import page as profile
from sigma_app.features.accounts.arrival import arrival_script, with_arrival
from sigma_app.features.billing import http as billing_http
from sigma_app.features.billing import page as billing
from sigma_app.features.billing import pricing_page
from sigma_app.features.billing import webhook as billing_webhook
from sigma_app.features.billing.live import kept_true
from sigma_app.features.billing.setup import sandbox_stocked
from sigma_app.features.console import (
    audit,
    event,
    events,
    growth,
    growth_csv,
    import_page,
    importing,
    job,
    lead_page,
    leads_page,
    message,
    overview,
    person,
    queue,
    user,
    users,
)
from sigma_app.features.console import http as console_http
from sigma_app.features.console import mail as console_mail
from sigma_app.features.console.live import kept_true as console_kept_true
from sigma_app.features.growth import http as growth_http
from sigma_app.features.growth.visit import with_visit
from sigma_app.features.mail import webhook as mail_webhook
from sigma_app.features.operations import http as operations_http
from sigma_app.features.operations import metrics, own_http
from sigma_app.features.site import page as site
from sigma_app.features.waitlist import http as waitlist_http
from sigma_app.features.waitlist import link_http, link_pages
from sigma_app.features.waitlist import page as waitlist
from sigma_app.gateways import identity, mail, payments
from sigma_app.gateways.database import serving_requests
from sigma_app.session.handshake import sealing_cookies
from sigma_app.session.state import OwnersOnly, emptying
from sigma_app.session.tabs import TABS
from sigma_app.settings import get_settings
from sigma_app.ui.head import STYLESHEETS
from sigma_app.worker import working

PAGES = [
    *(*waitlist.PAGES, *link_pages.PAGES, *pricing_page.PAGES, *site.PAGES),
    *(*entrance_pages.PAGES, *profile.PAGES, *billing.PAGES, *account_page.PAGES),
    *(*overview.PAGES, *leads_page.PAGES, *lead_page.PAGES, *import_page.PAGES, *growth.PAGES, *users.PAGES),
    *(*user.PAGES, *events.PAGES, *event.PAGES, *queue.PAGES, *job.PAGES, *console_mail.PAGES, *message.PAGES),
    *(*person.PAGES, *audit.PAGES),
]
ROUTES = [
    *(*entrance_http.ROUTES, *portal_http.ROUTES, *files_http.ROUTES, *own_http.ROUTES),
    *(*billing_http.ROUTES, *billing_webhook.ROUTES),
    *(*console_http.ROUTES, *growth_csv.ROUTES, *growth_http.ROUTES),
    *(*waitlist_http.ROUTES, *link_http.ROUTES, *mail_webhook.ROUTES, *operations_http.ROUTES, *metrics.ROUTES),
    *(*mail.routes(get_settings()), *payments.routes(get_settings()), *identity.routes()),
]
LARGER_BODIES = {files_http.PICTURE: files_http.LARGEST, import_page.FILE: importing.LARGEST}
"""By path, the bytes of a body that a door takes where they are many (core/body.py)."""

logger = logging.getLogger(__name__)


def log_without_message(exception: Exception) -> None:
    """Log an event handler's error; the page shows nothing, and its script tries another way."""
    logger.error("An event handler failed: %s", without_message(exception))


@asynccontextmanager
async def serving() -> AsyncIterator[None]:
    """What is open for as long as this process serves."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving_requests())
        await stack.enter_async_context(identity.keeping_connections())
        await stack.enter_async_context(TABS.watched(emptying(app)))
        await stack.enter_async_context(kept_true(app))
        await stack.enter_async_context(console_kept_true(app))
        await stack.enter_async_context(mail.sending_mail())
        await stack.enter_async_context(payments.reaching_stripe())
        await stack.enter_async_context(sandbox_stocked())
        if get_settings().worker:
            await stack.enter_async_context(working())
        yield


app = rx.App(
    html_lang="en",
    html_custom_attrs={"data-origin": PLACEHOLDER_ORIGIN},  # filled in when the pages are loaded: ui/head.py
    head_components=[arrival_script()],
    stylesheets=STYLESHEETS,
    reset_style=False,  # Tailwind brings the same reset
    toaster=None,
    backend_exception_handler=log_without_message,
    # The routes are for `make dev`; in production serve.py asks them first.
    api_transformer=[Starlette(routes=ROUTES), sealing_cookies],
)
# Reflex's own badge for a lost websocket: the waitlist's pages open none until somebody acts, and answer without one.
app.app_wraps.pop((5, "Overlay"))
for page in PAGES:
    app.add_page(**with_arrival(with_visit(page)))
app.add_middleware(OwnersOnly(), 0)
app.register_lifespan_task(serving)
