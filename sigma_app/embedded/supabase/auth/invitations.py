"""POST /invite and POST /admin/generate_link: an administrator asks somebody in, by mail or by a link of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import mails, one_time, users
from sigma_app.embedded.supabase.auth.addresses import plain_email
from sigma_app.embedded.supabase.auth.bodies import Body, read
from sigma_app.embedded.supabase.auth.callers import require_administrator
from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.one_time import Kind
from sigma_app.embedded.supabase.auth.sending import Sender
from sigma_app.embedded.supabase.auth.signup import SignUp, require_acceptable
from sigma_app.embedded.supabase.auth.state import Auth, auth_of
from sigma_app.embedded.supabase.auth.users import Cursor, User

_LINKS: dict[str, Kind] = {
    "signup": "confirmation_token",
    "invite": "confirmation_token",
    "magiclink": "recovery_token",
    "recovery": "recovery_token",
    "email_change_current": "email_change_token_current",
    "email_change_new": "email_change_token_new",
}


class Invitation(Body):
    """Whom an administrator asks in."""

    email: str = ""
    data: dict[str, Any] | None = None


class Link(Body):
    """Which link an administrator wants, and for whom."""

    type: str = ""
    email: str = ""
    new_email: str = ""
    password: str = ""
    data: dict[str, Any] | None = None
    redirect_to: str = ""


async def invite(request: Request) -> Response:
    """Send somebody an invitation, and answer with them."""
    await require_administrator(request)
    auth = auth_of(request)
    body = await read(request, Invitation)
    email = plain_email(body.email)
    async with get_database().cursor(AUTH) as cursor:
        user = await _somebody_new(cursor, email, "", body.data)
        await Sender(auth, cursor, request).send_invitation(user)
        return JSONResponse((await users.locked(cursor, user.id)).as_json())


async def generate_link(request: Request) -> Response:
    """Answer with a user, and with a link and a code that nobody is sent."""
    await require_administrator(request)
    auth = auth_of(request)
    body = await read(request, Link)
    email = plain_email(body.email)
    redirect_to = body.redirect_to if auth.redirects.allows(body.redirect_to) else auth.redirects.choose(request)
    async with get_database().cursor(AUTH) as cursor:
        known = await users.by_email(cursor, email)
    kind = "signup" if body.type == "magiclink" and known is None else body.type
    if kind not in _LINKS:
        raise invalid(f"Invalid email action link type requested: {kind[:100]}")
    password_hash = ""
    if kind == "signup" and body.type == "signup" and known is None:
        require_acceptable(auth, SignUp(email=email, password=body.password))
        password_hash = await auth.passwords.hash(body.password)
    async with get_database().cursor(AUTH) as cursor:
        user = await _for_link(auth, cursor, kind, email, password_hash, body)
        address = user.email_change if kind == "email_change_new" else user.email
        made = await one_time.make(auth, cursor, user.id, _LINKS[kind], address)
        user = await users.locked(cursor, user.id)
    link = {
        "action_link": mails.link(auth.settings, made.hash, kind, redirect_to),
        "email_otp": made.code,
        "hashed_token": made.hash,
        "verification_type": kind,
        "redirect_to": redirect_to,
    }
    return JSONResponse(user.as_json() | link)


async def _somebody_new(cursor: Cursor, email: str, password_hash: str, data: dict[str, Any] | None) -> User:
    """The user of an address, made now if there is none, and locked.

    Raises:
        AuthError: 422 `email_exists`, they confirmed it already.
    """
    user_id = await users.create(cursor, email, password_hash=password_hash, user_metadata=data)
    if user_id:
        await users.add_identity(cursor, user_id, users.email_identity(user_id, email))
    user = await users.by_email(cursor, email, lock=True)
    if user is None or user.is_confirmed:
        raise AuthError(422, "email_exists", users.EMAIL_TAKEN)
    return user


async def _for_link(auth: Auth, cursor: Cursor, kind: str, email: str, password_hash: str, body: Link) -> User:
    """Whom a link is for, locked and ready for its token.

    Raises:
        AuthError: 404 `user_not_found`, 422 `email_exists`, 400 `validation_failed`.
    """
    if kind in ("signup", "invite"):
        user = await _somebody_new(cursor, email, password_hash, body.data)
        columns: dict[str, Any] = {}
        if kind == "invite":
            columns["invited_at"] = datetime.now(UTC)
        elif body.data:
            columns["raw_user_meta_data"] = users.merged(user.raw_user_meta_data, body.data)
        await users.change(cursor, user.id, **columns)
        return user
    user = await users.by_email(cursor, email, lock=True)
    if user is None:
        raise AuthError(404, "user_not_found", "User with this email not found")
    if not kind.startswith("email_change"):
        return user
    if kind == "email_change_current" and not auth.settings.auth_both_addresses:
        raise invalid("Enable secure email change to generate link for current email")
    new_email = plain_email(body.new_email)
    if new_email == user.email or await users.is_taken(cursor, new_email, user.id):
        raise AuthError(422, "email_exists", users.EMAIL_TAKEN)
    if new_email != user.email_change:  # what was mailed for another one must not count for this one
        await one_time.clear(cursor, user.id, "email_change_token_new", "email_change_token_current")
    await users.change(cursor, user.id, email_change=new_email, email_change_confirm_status=0)
    return await users.locked(cursor, user.id)
