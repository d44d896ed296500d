"""The plain HTTP doors: what every posted form passes, and the two shapes of an answer.

Forms post without a script; then an answer is another page, or the form's own page again with what is wrong. With
ui/forms.js, which says `Accept: application/json`, it is JSON, and the page keeps what was typed: `{"message": …,
"field": …}` or `{"location": …}`. Passwords come this way and no other, so that none is ever part of a page's state.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from sigma_app.core.destination import safe_next, with_next
from sigma_app.core.errors import NotLikeThat, SigmaError, without_message
from sigma_app.core.form_data import UnreadableForm, read_form
from sigma_app.core.limits import Limiter
from sigma_app.core.origin import client_address, is_same_site, network_of
from sigma_app.frontend import templates
from sigma_app.frontend.templates import PRIVATE
from sigma_app.gateways.accounts import IdentityRefused
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of, give_cookie, set_cookie, take_cookie
from sigma_app.session.guard import SIGN_IN
from sigma_app.session.store import Session
from sigma_app.settings import get_settings

SIGNED_OUT = "You are signed out. Sign in again and go on."
REFUSED = "That did not work, and it is not your doing. If it stays so, please reply to any mail from us."
ELSEWHERE = "Please use the form on the page itself."

_A_DAY = 86400  # seconds
_BAD_GATEWAY = 502

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a posted form: on to `location`, or again its page, with `message`."""

    location: str = ""
    message: str = ""
    field: str = ""
    """The name of the field that `message` is about, where the focus goes."""
    status: int = 200
    retry_after: int = 0
    """Seconds."""
    cookie: str | None = None
    """The session that this browser has from now on; "" for none any more, None for the one it had."""
    also_cookies: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further ones, by name, which no script can read; "" takes one away."""
    afterwards: BackgroundTask | None = None
    """What is done once the visitor was answered."""
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of the page that shows `message`; without passwords."""


Values = Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any]]]
"""What a page needs to be shown, from what was asked or posted."""
Handler = Callable[[Request, Mapping[str, str]], Awaitable[Answer]]
SignedInHandler = Callable[[Request, Session], Awaitable[Answer]]


async def nothing(_: Mapping[str, str]) -> Mapping[str, Any]:
    """The values of a page that needs none."""
    return {}


def form_door(handle: Handler, page: str, values: Values = nothing) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a form that anybody may post from a page of ours.

    Args:
        handle: gets the posted fields.
        page: the name of the template that shows the form again, among "/templates/…".
        values: what that takes; an answer's own come on top.
    """

    async def endpoint(request: Request) -> Response:
        if not is_same_site(request.scope["headers"], get_settings().base_url):
            return PlainTextResponse(ELSEWHERE, 403, PRIVATE)
        try:
            form = await read_form(request)
        except UnreadableForm as unreadable:
            return PlainTextResponse(unreadable.reason, unreadable.status, PRIVATE)
        wait = await _network_limiter().wait(network_of(visitor(request)))
        answer = too_many(wait) if wait else await _answered(handle(request, form))
        if page and not answer.location:
            answer = dataclasses.replace(answer, values={**await values(form), **answer.values})
        return respond(request, answer, page, form)

    return endpoint


def signed_in_door(
    handle: SignedInHandler, elsewhere: Callable[[Request], Awaitable[str]] | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of what only somebody signed in may post, from a page of ours; for scripts and forms alike.

    Args:
        handle: gets who is signed in.
        elsewhere: says where whoever is not goes on to; unless given, to the sign-in page, which says that they were.
    """

    async def endpoint(request: Request) -> Response:
        if not is_same_site(request.scope["headers"], get_settings().base_url):
            return PlainTextResponse(ELSEWHERE, 403, PRIVATE)

        async def handled() -> Answer:
            cookie = cookie_of(request.scope["headers"])
            session = await store.find(cookie)
            if session is None:
                location = await elsewhere(request) if elsewhere else with_next(SIGN_IN, None, said="over")
                return Answer(location, SIGNED_OUT, status=401)
            try:
                return await handle(request, session)
            except IdentityRefused as refused:
                if not refused.ends_session:
                    raise
                await store.end(cookie)
                return Answer(with_next(SIGN_IN, None, said="over"), SIGNED_OUT, status=401, cookie="")

        return respond(request, await _answered(handled()))

    return endpoint


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that somebody signed in posts.

    Raises:
        NotLikeThat: it is none of ours.
    """
    try:
        return await read_form(request)
    except UnreadableForm as unreadable:
        raise NotLikeThat(unreadable.reason) from unreadable


def respond(request: Request, answer: Answer, page: str = "", form: Mapping[str, str] | None = None) -> Response:
    """`answer` in the shape that this request wants."""
    headers = PRIVATE | ({"retry-after": str(answer.retry_after)} if answer.retry_after else {})
    if "application/json" in request.headers.get("accept", ""):
        said = {"location": answer.location, "message": answer.message, "field": answer.field}
        response: Response = JSONResponse(
            {name: value for name, value in said.items() if value}, answer.status, headers
        )
    elif answer.location:
        response = RedirectResponse(answer.location, 303, headers)
    elif page:
        values = {"message": answer.message, "field": answer.field, **answer.values}
        response = show(request, page, values, answer.status, headers, form)
    else:
        response = PlainTextResponse(answer.message, answer.status, headers)
    if answer.cookie:
        give_cookie(response, answer.cookie)
    elif answer.cookie == "":
        take_cookie(response)
    for name, value in answer.also_cookies.items():
        set_cookie(response, name, value, _A_DAY if value else 0)
    response.background = answer.afterwards
    return response


def show(
    request: Request,
    page: str,
    values: Mapping[str, Any],
    status: int = 200,
    headers: Mapping[str, str] = PRIVATE,
    form: Mapping[str, str] | None = None,
) -> Response:
    """The template `page`, filled in with `values`, and with `email`, `next` and `onward`, a query, as asked for."""
    pages = request.scope.get("sigma.pages")
    if pages is None:  # `make dev`, where the frontend has a server of its own
        return PlainTextResponse(f"{page}; see this page with make run.\n\n{dict(values)}", status, dict(headers))
    asked = form if form is not None else request.query_params
    onward = with_next("", asked.get("next"))
    given = {"email": asked.get("email", "").strip(), "next": safe_next(asked.get("next")), "onward": onward}
    filled = {"message": "", "field": "", **given, **values}
    return templates.respond(pages, f"/templates/{page}", filled, status, headers)


def visitor(request: Request) -> str:
    """The address of the network that a request comes from."""
    return client_address(request.scope, get_settings().trusted_proxies)


def too_many(wait: int) -> Answer:
    """The answer to one try too many, after which it takes `wait` seconds."""
    minutes = -(-wait // 60)
    when = "a minute" if minutes == 1 else f"{minutes} minutes"
    return Answer(message=f"That was a lot of tries. Please wait {when} and try again.", status=429, retry_after=wait)


async def count_try(request: Request, email: str) -> int:
    """Count a try for an address from where this request comes; the seconds to wait if it is one too many, else 0."""
    return await _address_limiter().wait(_tries_key(request, email))


async def forget_tries(request: Request, email: str) -> None:
    """Take the tries for an address back, since whoever made them knew its password."""
    await _address_limiter().forget(_tries_key(request, email))


def _tries_key(request: Request, email: str) -> str:
    return f"{email.lower()} {network_of(visitor(request))}"


async def _answered(handled: Awaitable[Answer]) -> Answer:
    try:
        return await handled
    except NotLikeThat as error:
        return Answer(message=str(error), field=error.field, status=error.status)
    except IdentityRefused as refused:  # what people can help has words of its own
        logger.error("Supabase refuses what a form needs: %s", refused.code)
        return Answer(message=REFUSED, status=_BAD_GATEWAY)
    except SigmaError as error:
        logger.error("A form could not be answered: %s", without_message(error))  # the page has the words
        return Answer(message=str(error), status=error.status, retry_after=60 if error.status == 429 else 5)


@cache
def _network_limiter() -> Limiter:
    return Limiter("account-network", get_settings().account_limit_per_network)


@cache
def _address_limiter() -> Limiter:
    return Limiter("account-address", get_settings().account_limit_per_address)
