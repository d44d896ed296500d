"""The mailbox as a page, `/dev/mailbox`, and as JSON for scripts; for whoever develops Sigma on this machine.

A mail is shown in a frame that runs nothing and belongs to no origin; a click on one of its links opens it in the
whole window, as from a mail program.
"""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.embedded.mailbox import store

MAILBOX = "/dev/mailbox"
MOST = 100  # mails on the page
_MOST_AS_JSON = 1000

# The frame inherits this, and mails style themselves in place; nothing is loaded from anywhere, nothing runs.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = {"cache-control": "no-store", "content-security-policy": _POLICY, "x-robots-tag": "noindex"}
_HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_LINKS_IN_THE_WINDOW = '<base target="_top">'

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


async def show(_: Request) -> Response:
    """The newest mails, whole."""
    try:
        mails = await store.newest(MOST + 1)
    except DatabaseUnavailable as away:
        return PlainTextResponse(str(away), away.status)
    page = _templates.get_template("page.html").render(mails=mails[:MOST], more=len(mails) > MOST, framed=framed)
    return HTMLResponse(page, headers=_HEADERS)


async def list_as_json(_: Request) -> Response:
    """The newest mails as `[{"to", "subject", "text", "html", "created_at"}]`, newest first."""
    try:
        mails = await store.newest(_MOST_AS_JSON)
    except DatabaseUnavailable as away:
        return JSONResponse({"error": str(away)}, away.status)
    listed = [
        {
            "to": mail.to,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "created_at": mail.created_at.isoformat(),
        }
        for mail in mails
    ]
    return JSONResponse(listed, headers=_HEADERS)


def framed(html: str) -> str:
    """A mail's HTML for the frame: its links lead out of it."""
    page, found = _HEAD.subn(lambda head: head[0] + _LINKS_IN_THE_WINDOW, html, count=1)
    return page if found else f"<!doctype html>{_LINKS_IN_THE_WINDOW}{html}"


ROUTES = [
    Route(MAILBOX, show, methods=["GET"]),
    Route(f"{MAILBOX}.json", list_as_json, methods=["GET"]),
]
