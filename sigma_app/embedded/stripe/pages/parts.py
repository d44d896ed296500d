"""What the sandbox's pages share: templates, words for money and time, and how their forms are answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.form_data import UnreadableForm, read_form
from sigma_app.core.origin import is_same_site
from sigma_app.embedded.stripe.books import Thing
from sigma_app.embedded.stripe.errors import Refused
from sigma_app.settings import get_settings

Show = Callable[[Request], Awaitable[Response]]
Act = Callable[[Request, Mapping[str, str]], Awaitable[str]]
"""Does what a form says, and tells where to go on."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": _POLICY,
    "referrer-policy": "same-origin",
    "x-robots-tag": "noindex",
}


def render(name: str, status: int = 200, **values: Any) -> Response:
    """A page."""
    return HTMLResponse(_templates.get_template(name).render(**values), status, _HEADERS)


def say(title: str, words: str, status: int, back: str = "/") -> Response:
    """A page that only says something."""
    return render("message.html", status, title=title, words=words, back=back)


def page(path: str, show: Show, act: Act) -> Route:
    """A page and its form: GET shows it, POST does something and leads on (303).

    Args:
        path: where it is.
        show: raises Refused where there is nothing to show.
        act: raises Refused for what cannot be done, which is said on a page of its own.
    """

    async def answer(request: Request) -> Response:
        try:
            if request.method == "GET":
                return await show(request)
            if not is_same_site(request.scope["headers"], get_settings().base_url):
                return say("Not from here", "This form was sent by another site. Nothing was done.", 403)
            return RedirectResponse(await act(request, await read_form(request)), 303)
        except Refused as refused:
            status = 404 if refused.status == 404 else 409
            return say("That did not work", f"{refused} Nothing was changed.", status, request.url.path)
        except UnreadableForm as unreadable:
            return say("That did not work", unreadable.reason, unreadable.status, request.url.path)
        except DatabaseUnavailable as away:
            return say("Not now", str(away), away.status, request.url.path)

    return Route(path, answer, methods=["GET", "POST"])


def money(amount: int, currency: str) -> str:
    """An amount in words, such as "19.00 EUR"."""
    return f"{'−' if amount < 0 else ''}{abs(amount) / 100:,.2f} {currency.upper()}"


def day(seconds: int) -> str:
    """A day in words."""
    return f"{datetime.fromtimestamp(seconds, UTC):%d %b %Y}".lstrip("0")


def minute(seconds: int) -> str:
    """A minute in words."""
    return f"{datetime.fromtimestamp(seconds, UTC):%d %b, %H:%M} UTC"


def cost(price: Thing) -> str:
    """What a price is, such as "19.00 EUR a month"."""
    amount, recurring = money(price["unit_amount"], price["currency"]), price["recurring"]
    if not recurring:
        return f"{amount}, once"
    count = recurring["interval_count"]
    return f"{amount} a {recurring['interval']}" if count == 1 else f"{amount} every {count} {recurring['interval']}s"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"money": money, "day": day, "minute": minute, "cost": cost}
