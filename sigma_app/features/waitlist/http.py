"""The waitlist's plain HTTP doors: joining without JavaScript or without a websocket, and the live count."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sigma_app.core.database import DatabaseUnavailable
from sigma_app.core.origin import client_address, is_same_site
from sigma_app.features.waitlist import intake
from sigma_app.frontend.finish import without_hydration
from sigma_app.settings import get_settings

_JOINED = RedirectResponse("/joined", status_code=303)
_LARGEST_FORM = 64 * 1024  # bytes; a browser's form has up to 16 KiB, most of it the address it came by
_EMAIL_FIELD = re.compile(r'<input[^>]* data-template="email"[^>]*>')
_MESSAGE_LINE = re.compile(r'<p[^>]* data-template="message"[^>]*>')


class UnreadableForm(Exception):
    """What was sent is no form of ours."""

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def join(request: Request) -> Response:
    """Join by a form's POST: 303 to the result page, or the form again with what was typed and the reason."""
    if not is_same_site(request.scope["headers"], get_settings().base_url):
        return PlainTextResponse("Please join from the waitlist page itself.", 403)
    try:
        form = await _read_form(request)
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
    return HTMLResponse(_form_again(request, form, answer.message), answer.status, headers)


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


async def _read_form(request: Request) -> dict[str, str]:
    """The fields of an urlencoded form; the first value of a name counts.

    Raises:
        UnreadableForm: another media type, or a body no form of ours can have.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise UnreadableForm(415, "Please send the form as application/x-www-form-urlencoded.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise UnreadableForm(413, "That is more than the form holds.")
    fields: dict[str, str] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        fields.setdefault(name, value)
    return fields


def _form_again(request: Request, form: Mapping[str, str], message: str) -> str:
    """The exported /join page with the typed address, where it came from, and the reason filled in.

    It hydrates nothing: React would take the filled-in words for a mistake and render the page anew without them.
    """
    pages = request.scope.get("sigma.pages")
    if pages is None:  # `make dev`, where the frontend has a server of its own
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
