"""What the portal's forms post: a new password, which changes the cookie, and a new address, which mails confirm."""

from __future__ import annotations

from functools import cache

from starlette.requests import Request
from starlette.routing import Route

from sigma_app.core.limits import Limiter
from sigma_app.features.accounts import entrance, passwords
from sigma_app.features.accounts.doors import Answer, count_try, form_of, signed_in_door, too_many, visitor
from sigma_app.features.accounts.entrance_http import back_to
from sigma_app.features.accounts.errors import NotLikeThat
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import IdentityRefused
from sigma_app.session import store
from sigma_app.session.cookie import cookie_of
from sigma_app.session.store import Session

WRONG_PASSWORD = "That is not your current password."  # noqa: S105 - a sentence


async def change_password(request: Request, session: Session) -> Answer:
    """A new password, by the current one: every other session ends, and this browser gets another cookie."""
    form = await form_of(request)
    current, password = form.get("current", ""), form.get("password", "")
    if problem := await passwords.problem_with(password, session.email):
        raise NotLikeThat(problem, "password")
    if wait := count_try(request, session.email):
        return too_many(wait)
    try:
        fresh = await accounts.sign_in(session.email, current, visitor(request)) if current else None
    except IdentityRefused as refused:
        raise NotLikeThat(WRONG_PASSWORD, "current") from refused
    if fresh is None:
        raise NotLikeThat("Please type your current password.", "current")
    tokens = await entrance.change_password(fresh, password)
    await store.end_all(session.user_id)
    agent = request.headers.get("user-agent", "")
    cookie = await store.open_session(tokens, agent, replacing=cookie_of(request.scope["headers"]))
    return Answer("/account?said=password", cookie=cookie)


async def change_address(request: Request, session: Session) -> Answer:
    """Another address, once it and the present one have agreed by mail."""
    form = await form_of(request)
    email = entrance.read_address(form.get("email", ""))
    if email.lower() == session.email.lower():
        raise NotLikeThat("That is your address already.", "email")
    if wait := _address_limiter().wait(str(session.user_id)):
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
    return Answer(message=f"Two mails are on their way: {both}. Your account moves once both agree.")


ROUTES = [
    Route("/account/password", signed_in_door(change_password), methods=["POST"]),
    Route("/account/address", signed_in_door(change_address), methods=["POST"]),
]


@cache
def _address_limiter() -> Limiter:
    return Limiter("change-address", "5/minute;20/hour")
