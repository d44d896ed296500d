"""Keeps the portal's pages from whoever is not signed in, before anything of them is sent."""

from __future__ import annotations

import logging

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Message, Scope, Send

from sigma_app.core.destination import with_next
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of
from sigma_app.session.operators import is_operator

PROTECTED = ("/app", "/profile", "/billing", "/billing/thanks", "/account")
CONSOLE = "/admin"
SIGN_IN = "/sign-in"
RESET = "/reset"

logger = logging.getLogger(__name__)


def is_protected(path: str) -> bool:
    """Whether a page is for those who are signed in, or for some of them."""
    return path in PROTECTED or _is_console(path)


async def refusal(scope: Scope) -> Response | None:
    """What whoever may not see the protected page that they ask for is answered.

    That is the way to the sign-in page and back for whoever is not signed in; and for whoever is no operator, the
    answer of a page that is not there, in the place of the console. Whoever came by a link for a forgotten password
    chooses a new one first: the old one may be somebody else's. While the database is away the page is let through: it
    holds nothing of anybody's, and says so itself.
    """
    if not is_protected(scope["path"]):
        return None
    try:
        session = await store.find(cookie_of(scope["headers"]), even_recovered=True)
        if session and not session.recovered:
            hidden = _is_console(scope["path"]) and not await is_operator(session.user_id)
            return PlainTextResponse("Not Found", 404) if hidden else None
    except DatabaseUnavailable:
        return None
    query = scope["query_string"].decode("latin-1")
    wished = f"{scope['path']}?{query}" if query else scope["path"]
    return RedirectResponse(with_next(RESET if session else SIGN_IN, wished), 303, {"cache-control": "no-store"})


def _is_console(path: str) -> bool:
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def unstored(send: Send) -> Send:
    """A `send` whose answer no browser keeps: going back after signing out must ask us, not a copy."""

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0] not in (b"cache-control", b"etag")]
            message = {**message, "headers": [*kept, (b"cache-control", b"no-store")]}
        await send(message)

    return sender
