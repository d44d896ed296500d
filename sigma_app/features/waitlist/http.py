"""The waitlist's plain HTTP doors: joining without JavaScript or without a websocket, and the live count."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sigma_app.core.database import DatabaseUnavailable
from sigma_app.core.form_data import UnreadableForm, read_form
from sigma_app.core.origin import client_address, is_same_site
from sigma_app.features.waitlist import intake
from sigma_app.frontend import templates
from sigma_app.frontend.finish import without_hydration
from sigma_app.frontend.static import MemoryFiles
from sigma_app.settings import get_settings

_JOINED = RedirectResponse("/joined", status_code=303)
_EMAIL_FIELD = re.compile(r'<input[^>]* data-template="email"[^>]*>')
_MESSAGE_LINE = re.compile(r'<p[^>]* data-template="message"[^>]*>')


async def join(request: Request) -> Response:
    """Join by a form's POST: 303 to the result page, or the form again with what was typed and the reason."""
    if not is_same_site(request.scope["headers"], get_settings().base_url):
        return PlainTextResponse("Please join from the waitlist page itself.", 403)
    try:
        form = await read_form(request)
    except UnreadableForm as unreadable:
        return PlainTextResponse(unreadable.reason, unreadable.status)
    if not form.get("landing_url"):  # no script filled it in: the browser names the page it left
        form["landing_url"] = request.headers.get("referer", "")
    answer = await intake.accept(form, client_address(request.scope, get_settings().trusted_proxies))
    if answer.outcome == "joined":
        return _JOINED
    headers = {"cache-control": "no-store"}
    if answer.retry_after:
        headers["retry-after"] = str(answer.retry_after)
    if pages := request.scope.get("sigma.pages"):  # not in `make dev`, where the frontend has a server of its own
        headers["content-security-policy"] = templates.policy(pages, "/join")
    return HTMLResponse(_form_again(pages, form, answer.message), answer.status, headers)


async def founders(_: Request) -> Response:
    """How many founders are on the list: `{"founders": 1284}`."""
    try:
        count = await intake.founders()
    except DatabaseUnavailable:
        return JSONResponse({"error": "The count is away for a moment."}, 503, {"retry-after": "5"})
    return JSONResponse({"founders": count}, headers={"cache-control": "public, max-age=5"})


ROUTES = [
    Route("/join", join, methods=["POST"]),
    Route("/founders.json", founders, methods=["GET"]),
]


def _form_again(pages: MemoryFiles | None, form: Mapping[str, str], message: str) -> str:
    """The exported /join page with the typed address, where it came from, and the reason filled in.

    It hydrates nothing: React would take the filled-in words for a mistake and render the page anew without them.
    """
    if pages is None:
        return f"<!doctype html><title>Join</title><p>{html.escape(message)}</p>"
    page = _EMAIL_FIELD.sub(
        lambda field: (
            field[0]
            .replace('aria-invalid="false"', "")
            .replace("<input", f'<input value="{html.escape(form.get("email", ""))}" aria-invalid="true"')
        ),
        without_hydration(pages.text("/join")),
    )
    page = page.replace('name="landing_url"', f'name="landing_url" value="{html.escape(form["landing_url"])}"', 1)
    return _MESSAGE_LINE.sub(lambda line: line[0] + html.escape(message), page)
