"""The picture, as it comes and goes, and the way out."""

from __future__ import annotations

from functools import cache

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.core.errors import NotLikeThat, SigmaError
from sigma_app.core.limits import Limiter
from sigma_app.features.accounts import pictures
from sigma_app.features.accounts.image import NoPicture
from sigma_app.features.accounts.leaving import delete_account, finish_now
from sigma_app.frontend.templates import PRIVATE
from sigma_app.gateways.accounts import IdentityRefused, Tokens, address_of
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of
from sigma_app.session.doors import Answer, form_of, show, signed_in_door, too_many
from sigma_app.session.operators import OperatorsAccount, refuse_operators
from sigma_app.session.store import Session

PICTURE = "/profile/picture"
LARGEST = 10 * 1024 * 1024  # bytes of a picture
TOO_LARGE = "That picture is larger than 10 MB. Please choose a smaller one."
# Whatever it is, no browser may take it for a page of ours.
INERT = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "same-origin",
}


async def change_picture(request: Request, session: Session) -> Answer:
    """A picture, as the body of the request."""
    if wait := await _picture_limiter().wait(str(session.user_id)):
        return too_many(wait)
    try:
        data = await read_body(request, LARGEST)
    except BodyTooLarge:
        return Answer(message=TOO_LARGE, status=413)
    if not data:
        raise NotLikeThat("Please choose a picture.")
    try:
        await pictures.change(session, await _tokens(request), data)
    except NoPicture as error:
        raise NotLikeThat(str(error)) from error
    return Answer(message="That is you from now on.")


async def remove_picture(request: Request, session: Session) -> Answer:
    """No picture any more."""
    await pictures.change(session, await _tokens(request), None)
    return Answer(message="The picture is gone.")


async def show_picture(request: Request) -> Response:
    """The picture of whoever is signed in, and of nobody else; `v` names it, so that a browser may keep it."""
    try:
        session = await store.find(cookie_of(request.scope["headers"]))
        found = await pictures.read(session, await _tokens(request)) if session else None
    except IdentityRefused:
        found = None
    except SigmaError as error:
        return PlainTextResponse(str(error), error.status, PRIVATE | INERT)
    if found is None:
        return PlainTextResponse("There is no picture.", 404, PRIVATE | INERT)
    name, picture = found
    kept = {"cache-control": "private, max-age=86400"} if request.query_params.get("v") == name else {}
    return Response(picture, media_type="image/webp", headers=PRIVATE | INERT | kept)


async def leave(request: Request, session: Session) -> Answer:
    """The account, with everything: gone, once its address was typed; but an operator's stays.

    What is typed is the address that the page shows. What goes is what is held of the one that the account has by now:
    the other may be somebody else's.
    """
    try:
        await refuse_operators(session.user_id)
    except OperatorsAccount as refusal:
        return Answer(message=str(refusal), status=refusal.status)
    form = await form_of(request)
    if form.get("confirmation", "").strip().lower() != session.email.lower():
        raise NotLikeThat(f"Please type {session.email} to say that you mean it.", "confirmation")
    address = await address_of(session.user_id)
    if address is None:  # it was begun before, or deleted elsewhere: whose the session's address is now, nobody knows
        await finish_now(session.user_id)
    else:
        await delete_account(session.user_id, address)
    return Answer("/goodbye", cookie="")


async def goodbye(request: Request) -> Response:
    """What is left."""
    return show(request, "goodbye", {})


ROUTES = [
    Route("/profile/picture", show_picture, methods=["GET"]),
    Route(PICTURE, signed_in_door(change_picture), methods=["POST"]),
    Route("/profile/picture/remove", signed_in_door(remove_picture), methods=["POST"]),
    Route("/account/delete", signed_in_door(leave), methods=["POST"]),
    Route("/goodbye", goodbye, methods=["GET"]),
]


async def _tokens(request: Request) -> Tokens:
    return await store.tokens_of(cookie_of(request.scope["headers"]) or "")


@cache
def _picture_limiter() -> Limiter:
    return Limiter("picture", "10/minute;60/hour")
