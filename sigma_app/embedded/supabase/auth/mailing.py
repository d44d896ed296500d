"""Where people ask for a mail: /recover, /otp, /magiclink, /resend, /reauthenticate.

The answer is the same whether somebody has the address or not, except that it may be too soon for one who has.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import flows, users
from sigma_app.embedded.supabase.auth.addresses import plain_email, refuse_phone
from sigma_app.embedded.supabase.auth.bodies import read
from sigma_app.embedded.supabase.auth.callers import caller_of
from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.flows import Challenge
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.sending import Sender
from sigma_app.embedded.supabase.auth.signup import register, require_open
from sigma_app.embedded.supabase.auth.state import Auth, auth_of


class Recovery(Challenge):
    """What somebody says who forgot their password."""

    email: str = ""


class MagicLink(Recovery):
    """What somebody says who signs in by mail."""

    data: dict[str, Any] | None = None


class Otp(MagicLink):
    """The same, where it may be by telephone, and only those known may be meant."""

    phone: str = ""
    channel: str = ""
    create_user: bool = True


class Resend(Recovery):
    """What somebody says who waits for a mail."""

    type: str = ""
    phone: str = ""


async def recover(request: Request) -> Response:
    """Send a link and a code that let in whoever forgot their password."""
    auth = auth_of(request)
    await auth.limits.check("mail", request)
    auth.require_email_provider()
    body = await read(request, Recovery)
    if not body.email:
        raise invalid("Password recovery requires an email")
    email = plain_email(body.email)
    body.validate_challenge()
    async with get_database().cursor(AUTH) as cursor:
        if user := await users.by_email(cursor, email, lock=True):
            await flows.start(cursor, body, user.id, "recovery")
            await Sender(auth, cursor, request, pkce=body.is_pkce).send_recovery(user)
    return JSONResponse({})


async def magic_link(request: Request) -> Response:
    """Send a link and a code that let in whoever has the address, and make a user of whoever is new."""
    auth = auth_of(request)
    await auth.limits.check("mail", request)
    auth.require_email_provider(422)
    return await _send_magic_link(auth, request, await read(request, MagicLink))


async def otp(request: Request) -> Response:
    """The same as `magic_link`, unless the body says that nobody new is meant."""
    auth = auth_of(request)
    await auth.limits.check("mail", request)
    body = await read(request, Otp)
    if body.email and body.phone:
        raise invalid("Only an email address or phone number should be provided")
    if body.email and body.channel:
        raise invalid("Channel should only be specified with Phone OTP")
    body.validate_challenge()
    if not body.create_user and (body.email or body.phone) and not await _is_known(body.email):
        raise AuthError(422, "otp_disabled", "Signups not allowed for otp")
    if body.email:
        auth.require_email_provider(422)
        return await _send_magic_link(auth, request, body)
    if body.phone:
        raise AuthError(400, "phone_provider_disabled", "Unsupported phone provider")
    raise invalid("One of email or phone must be set")


async def resend(request: Request) -> Response:
    """Send once more what somebody waits for: to confirm an account, or a new address."""
    auth = auth_of(request)
    await auth.limits.check("mail", request)
    body = await read(request, Resend)
    email = _address_of(auth, body)
    async with get_database().cursor(AUTH) as cursor:
        user = await users.by_email(cursor, email, lock=True)
        sender = Sender(auth, cursor, request, pkce=body.is_pkce)
        if user and body.type == "signup" and not user.is_confirmed:
            await flows.start(cursor, body, user.id, "email/signup")
            await sender.send_confirmation(user)
        elif user and body.type == "email_change" and user.email_change:
            await flows.start(cursor, body, user.id, "email_change")
            await sender.send_email_change(user, user.email_change)
    return JSONResponse({})


async def reauthenticate(request: Request) -> Response:
    """Send the caller a nonce, which changing their password may need."""
    auth = auth_of(request)
    caller = await caller_of(request)
    if not caller.user.email:
        raise invalid("Reauthentication requires the user to have an email or a phone number")
    if not caller.user.is_confirmed:
        raise AuthError(422, "email_not_confirmed", "Please verify your email first.")
    async with get_database().cursor(AUTH) as cursor:
        user = await users.locked(cursor, caller.user.id)
        await Sender(auth, cursor, request).send_reauthentication(user)
    return JSONResponse({})


async def _send_magic_link(auth: Auth, request: Request, body: MagicLink) -> Response:
    if not body.email:
        raise AuthError(422, "validation_failed", "Password recovery requires an email")
    email = plain_email(body.email)
    body.validate_challenge()
    async with get_database().cursor(AUTH) as cursor:
        user = await users.by_email(cursor, email, lock=True)
        if user is None or not user.is_confirmed:
            require_open(auth)
            # Without a password, where GoTrue makes up one that nobody is told.
            user = await register(auth, cursor, request, email, "", body.data or {}, body)
            if user is None or not user.is_confirmed:
                return JSONResponse({})  # the mail to confirm the address lets in as well
        await flows.start(cursor, body, user.id, "magiclink")
        await Sender(auth, cursor, request, pkce=body.is_pkce).send_magic_link(user)
    return JSONResponse({})


async def _is_known(email: str) -> bool:
    try:
        email = plain_email(email)
    except AuthError:
        return False
    async with get_database().cursor(AUTH) as cursor:
        return await users.by_email(cursor, email) is not None


def _address_of(auth: Auth, body: Resend) -> str:
    """Where to send again.

    Raises:
        AuthError: 400, it does not say what and to whom, or not to an e-mail address.
    """
    if body.type not in ("signup", "email_change", "sms", "phone_change"):
        raise invalid("Missing one of these types: signup, email_change, sms, phone_change")
    if body.type in ("signup", "email_change"):
        body.validate_challenge()
    if body.type == "signup" and not body.email:
        raise invalid("Type provided requires an email address")
    if body.type == "sms" and not body.phone:
        raise invalid("Type provided requires a phone number")
    if body.email and body.phone:
        raise invalid("Only an email address or phone number should be provided.")
    if body.email:
        auth.require_email_provider()
        return plain_email(body.email)
    refuse_phone(body.phone, "Phone logins are disabled")
    raise invalid("Missing email address or phone number")
