"""What the links in the waitlist's mails open: confirming, the place in line, unsubscribing, erasing, the invitation.

A GET shows and changes nothing, since mail scanners open every link; the button on its page posts. The pages are
exported ones, filled in here, and need no script. Whoever has a link is who it was sent to: so no answer is stored,
told to other sites or indexed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import segno
from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.core.form_data import UnreadableForm, read_form
from sigma_app.core.limits import Limiter
from sigma_app.core.origin import client_address, is_same_site, network_of
from sigma_app.features.waitlist import line, service
from sigma_app.features.waitlist.address import InvalidAddress, read_address
from sigma_app.features.waitlist.jobs import day
from sigma_app.frontend import templates
from sigma_app.frontend.templates import PRIVATE
from sigma_app.gateways.keys import get_links
from sigma_app.settings import get_settings

STATUS = {"valid": 200, "done": 200, "used": 410, "expired": 410, "unknown": 404}
WRONG_CODE = (
    "That code does not fit this address, or its time is over. After five wrong tries a code works no more;"
    " the button in the mail still does."
)
_CODE = re.compile(r"[0-9]{6}")

logger = logging.getLogger(__name__)

Answer = Callable[[Request, AsyncSession], Awaitable[Response]]


def door(answer: Answer, *, reads_form: bool = False, changes_line: bool = False, one_click: bool = False) -> Callable:
    """A handler in a transaction of its own, which commits before the visitor is answered.

    Args:
        answer: does the work; its session is one of SERVICE.
        reads_form: whether it wants the posted fields, in `request.state.form`; read before anything is held, since
            whoever sends them may take their time.
        changes_line: whether it needs the line to itself.
        one_click: whether mail programs post here too (RFC 8058): from no page of ours, and many from one network.
    """

    async def handle(request: Request) -> Response:
        if request.method == "POST" and not one_click and (refusal := await _refused(request)):
            return refusal
        try:
            if reads_form:
                request.state.form = await read_form(request)
            async with get_database().transaction(SERVICE) as session:
                if changes_line:
                    await line.hold(session)
                return await answer(request, session)
        except UnreadableForm as unreadable:
            return PlainTextResponse(unreadable.reason, unreadable.status, PRIVATE)
        except (DatabaseUnavailable, DBAPIError) as error:
            logger.error("A link could not be followed: %s", without_message(error))
            headers = PRIVATE | {"retry-after": "5"}
            return PlainTextResponse("We could not look that up just now. Please try again in a moment.", 503, headers)

    return handle


async def _refused(request: Request) -> Response | None:
    """The answer to a post from another site, or to one too many from a network."""
    settings = get_settings()
    if not is_same_site(request.scope["headers"], settings.base_url):
        return PlainTextResponse("Please use the button on the page itself.", 403)
    if wait := await _limiter().wait(network_of(client_address(request.scope, settings.trusted_proxies))):
        headers = PRIVATE | {"retry-after": str(wait)}
        return PlainTextResponse("That was a lot of tries. Please wait a while and try again.", 429, headers)
    return None


async def show_confirm(request: Request, session: AsyncSession) -> Response:
    """The page with the button that confirms."""
    return _confirm_page(request, await line.open_link(session, _token(request), "confirm"))


async def confirm(request: Request, session: AsyncSession) -> Response:
    """The button: into the line, and on to one's place."""
    opened = await line.open_link(session, _token(request), "confirm")
    if opened and await line.confirm(session, opened):
        return await _to_place(session, opened.link.lead_id)
    return _confirm_page(request, opened)


async def confirm_again(request: Request, session: AsyncSession) -> Response:
    """A fresh mail for a link that is used or too old."""
    opened = await line.open_link(session, _token(request), "confirm")
    if opened and opened.lead.email:
        await line.send_again(session, opened.lead.email)
    return _confirm_page(request, opened, sent=True)


async def show_code(request: Request, _: AsyncSession) -> Response:
    """The page to type the six digits on."""
    return _page(request, "code", email=request.query_params.get("email", ""), message="", sent=False)


async def confirm_by_code(request: Request, session: AsyncSession) -> Response:
    """The six digits: as good as the link."""
    form = request.state.form
    email, code = form.get("email", "").strip(), re.sub(r"\s", "", form.get("code", ""))
    lead_id = None
    if (address := _address(email)) and _CODE.fullmatch(code):
        lead_id = await line.confirm_by_code(session, address, code, get_links())
    if lead_id is None:
        return _page(request, "code", 422, email=email, message=WRONG_CODE, sent=False)
    return await _to_place(session, lead_id)


async def code_again(request: Request, _: AsyncSession) -> Response:
    """A fresh mail for whoever has none; says the same of every address, and looks it up only after it has said so."""
    email = request.state.form.get("email", "").strip()
    answer = _page(request, "code", email=email, message="", sent=True)
    if address := _address(email):
        answer.background = BackgroundTask(_send_again, address)
    return answer


async def _send_again(email: str) -> None:
    try:
        async with get_database().transaction(SERVICE) as session:
            await line.send_again(session, email)
    except (DatabaseUnavailable, DBAPIError) as error:
        logger.error("A mail was not sent again: %s", without_message(error))


async def show_place(request: Request, session: AsyncSession) -> Response:
    """One's place in line, and what one can do about it."""
    opened = await line.open_link(session, _token(request), "place")
    if opened is None:
        return _confirm_page(request, None)
    lead, token = opened.lead, _token(request)
    place = await line.read_place(session, lead)
    share_url = f"{get_settings().base_url}/?ref={place.share_code}"
    return _page(
        request,
        "place",
        place=place.place,
        ahead=(place.place or 1) - 1,
        waiting=place.waiting,
        referrals=place.referrals,
        places_per_referral=line.PLACES_PER_REFERRAL,
        status=lead.status,
        email=lead.email,
        share_url=share_url,
        share_links=_share_links(share_url),
        qr=_qr(share_url),
        unsubscribe=f"/unsubscribe/{token}",
        erase=f"/place/{token}/erase",
        erasing="erasing" in request.query_params,
    )


async def ask_to_erase(request: Request, session: AsyncSession) -> Response:
    """Ask, by mail, whether to erase: this page's link alone is not enough."""
    if opened := await line.open_link(session, _token(request), "place"):
        await line.ask_to_erase(session, opened.link.lead_id)
    return RedirectResponse(f"/place/{_token(request)}?erasing", 303, PRIVATE)


async def show_unsubscribe(request: Request, session: AsyncSession) -> Response:
    """The page with the button that unsubscribes."""
    opened = await line.open_link(session, _token(request), "place", *line.INVITATIONS)
    if opened and opened.lead.unsubscribed_at:
        return _unsubscribe_page(request, opened, "done")
    return _unsubscribe_page(request, opened, "valid")


async def unsubscribe(request: Request, session: AsyncSession) -> Response:
    """The button, or a mail program's own (RFC 8058): one click, and nothing more is asked."""
    opened = await line.open_link(session, _token(request), "place", *line.INVITATIONS)
    if opened:
        await line.unsubscribe(session, opened.link.lead_id)
    return _unsubscribe_page(request, opened, "done")


async def show_erase(request: Request, session: AsyncSession) -> Response:
    """The page with the button that erases."""
    opened = await line.open_link(session, _token(request), "erase")
    return _erase_page(request, opened, _state(opened))


async def erase(request: Request, session: AsyncSession) -> Response:
    """The button: the entry, and with it everything that names its owner."""
    opened = await line.open_link(session, _token(request), "erase")
    if opened is None or opened.state != "valid":
        return _erase_page(request, opened, _state(opened))
    await service.erase(session, [opened.link.lead_id])  # a second click finds nothing, and is told the same
    return _erase_page(request, opened, "done")


async def show_invitation(request: Request, session: AsyncSession) -> Response:
    """What an invitation is worth. It is used up by signing up."""
    opened = await line.open_link(session, _token(request), *line.INVITATIONS)
    return _page(
        request,
        "invitation",
        STATUS[state := _state(opened)],
        state=state,
        email=opened.lead.email if opened else "",
        expires=day(opened.link) if opened else "",
        token=quote(_token(request), safe=""),
    )


def _both(path: str, show: Answer, act: Answer, **options: bool) -> list[Route]:
    return [
        Route(path, door(show), methods=["GET"]),
        Route(path, door(act, changes_line=True, **options), methods=["POST"]),
    ]


ROUTES = [
    *_both("/confirm", show_code, confirm_by_code, reads_form=True),
    Route("/confirm/again", door(code_again, reads_form=True), methods=["POST"]),
    *_both("/confirm/{token}", show_confirm, confirm),
    Route("/confirm/{token}/again", door(confirm_again), methods=["POST"]),
    Route("/place/{token}", door(show_place), methods=["GET"]),
    Route("/place/{token}/erase", door(ask_to_erase), methods=["POST"]),
    *_both("/unsubscribe/{token}", show_unsubscribe, unsubscribe, one_click=True),
    Route("/erase/{token}", door(show_erase), methods=["GET"]),
    Route("/erase/{token}", door(erase), methods=["POST"]),  # holds the line itself, once it has read what is slow
    Route("/invitation/{token}", door(show_invitation), methods=["GET"]),
]


def _token(request: Request) -> str:
    return request.path_params["token"]


def _state(opened: line.Opened | None) -> str:
    return opened.state if opened else "unknown"


def _address(text: str) -> str | None:
    """An address as leads have it, or None for what is none."""
    try:
        return read_address(text, allow_test_domains=True).email
    except InvalidAddress:
        return None


async def _to_place(session: AsyncSession, lead_id: UUID) -> Response:
    token = await line.new_place_link(session, lead_id, get_links())
    return RedirectResponse(f"/place/{token}", 303, PRIVATE)


def _confirm_page(request: Request, opened: line.Opened | None, *, sent: bool = False) -> Response:
    state = _state(opened)
    address = f"/confirm/{quote(request.path_params['token'], safe='')}"
    email = opened.lead.email if opened else ""
    status = 200 if sent else STATUS[state]
    return _page(
        request, "confirm", status, state=state, email=email, action=address, again=f"{address}/again", sent=sent
    )


def _unsubscribe_page(request: Request, opened: line.Opened | None, state: str) -> Response:
    if opened is None:
        return _page(request, "unsubscribe", 404, state="unknown", email="", action="")
    address = f"/unsubscribe/{_token(request)}"
    return _page(request, "unsubscribe", state=state, email=opened.lead.email, action=address)


def _erase_page(request: Request, opened: line.Opened | None, state: str) -> Response:
    email = opened.lead.email if opened else ""
    return _page(request, "erase", STATUS[state], state=state, email=email, action=f"/erase/{_token(request)}")


def _page(request: Request, name: str, http_status: int = 200, /, **values: Any) -> Response:
    """An exported page, filled in."""
    pages = request.scope.get("sigma.pages")
    if pages is None:  # `make dev`, whose frontend has a server of its own and no exported pages
        told = "\n".join(f"{key}: {value}" for key, value in values.items())
        return PlainTextResponse(
            f"{name} ({http_status}); see this page with make run.\n\n{told}", http_status, PRIVATE
        )
    return templates.respond(pages, f"/templates/{name}", values, http_status)


def _share_links(url: str) -> dict[str, str]:
    words = "Sigma turns an idea into a company while you sleep. I am in line; the next place could be yours:"
    return {
        "mail": "mailto:?" + urlencode({"subject": "A company by morning", "body": f"{words} {url}"}, quote_via=quote),
        "whatsapp": "https://wa.me/?" + urlencode({"text": f"{words} {url}"}),
        "linkedin": "https://www.linkedin.com/sharing/share-offsite/?" + urlencode({"url": url}),
        "x": "https://x.com/intent/post?" + urlencode({"text": words, "url": url}),
    }


@lru_cache(maxsize=1024)  # takes milliseconds to make
def _qr(url: str) -> Markup:
    """A QR code as SVG, dark on white in either colour scheme, since cameras expect that."""
    svg = segno.make(url, error="m", micro=False).svg_inline(border=2, light="#fff", omitsize=True, lineclass=None)
    return Markup(svg.replace("<svg ", '<svg role="img" aria-label="QR code of your link" ', 1))  # noqa: S704 - made here


@cache
def _limiter() -> Limiter:
    return Limiter("links", get_settings().join_limit_per_network)
