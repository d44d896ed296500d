"""What the portal's forms post: a new password, which changes the cookie, and a new address, which mails confirm."""

from __future__ import annotations

from functools import cache

from starlette.requests import Request
from starlette.routing import Route

from sigma_app.core.errors import NotLikeThat
from sigma_app.core.limits import Limiter
from sigma_app.features.accounts import entrance
from sigma_app.features.accounts.entrance_http import back_to, open_alone
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import IdentityRefused
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of
from sigma_app.session.doors import Answer, count_try, form_of, signed_in_door, too_many, visitor
from sigma_app.session.store import Session


async def change_password(request: Request, session: Session) -> Answer:
    """A new password, by the current one: every other session ends, and this browser gets another cookie."""
    form = await form_of(request)
    password = form.get("password", "")
    await entrance.require_strength(password, session.email)
    if wait := await count_try(request, session.email):
        return too_many(wait)
    tokens = await entrance.change_password(session, form.get("current", ""), password, visitor(request))
    return Answer("/account?said=password", cookie=await open_alone(request, tokens))


async def change_address(request: Request, session: Session) -> Answer:
    """Another address, once it and the present one have agreed by mail."""
    form = await form_of(request)
    email = entrance.read_address(form.get("email", ""))
    if email.lower() == session.email.lower():
        raise NotLikeThat("That is your address already.", "email")
    if wait := await _address_limiter().wait(str(session.user_id)):
        return too_many(wait)
    tokens = await store.tokens_of(cookie_of(request.scope["headers"]) or "")
    try:
        await accounts.change_email(tokens, email, back_to("/account"))
    except IdentityRefused as refused:
        if refused.ends_session:
            raise
        if refused.code != "email_exists":
            raise entrance.explained(refused) from refused
        await entrance.tell_owner(email)  # and nobody else whose it is
    both = f"one to {session.email}, one to {email}"
    return Answer(
        message=f"Two mails are on their way: {both}. Your account moves once both agree. If the new address has an"
        " account already, only its owner is told."
    )


ROUTES = [
    Route("/account/password", signed_in_door(change_password), methods=["POST"]),
    Route("/account/address", signed_in_door(change_address), methods=["POST"]),
]


@cache
def _address_limiter() -> Limiter:
    return Limiter("change-address", "5/minute;20/hour")
