"""POST /signup: an account with e-mail and password."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import flows, one_time, sessions, users
from sigma_app.embedded.supabase.auth.addresses import plain_email, refuse_phone
from sigma_app.embedded.supabase.auth.bodies import read
from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.flows import Challenge
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.sending import Sender
from sigma_app.embedded.supabase.auth.state import Auth, auth_of
from sigma_app.embedded.supabase.auth.users import Cursor, User


class SignUp(Challenge):
    """What somebody says who signs up."""

    email: str = ""
    phone: str = ""
    password: str = ""
    channel: str = ""
    data: dict[str, Any] | None = None


async def sign_up(request: Request) -> Response:
    """Answer with a user to be confirmed, or with a session where nobody has to confirm."""
    auth = auth_of(request)
    body = await read(request, SignUp)
    if not body.email and not body.phone:
        raise AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
    await auth.limits.check("mail", request)
    require_open(auth)
    require_acceptable(auth, body)
    refuse_phone(body.phone, "Phone signups are disabled")
    auth.require_email_provider(message="Email signups are disabled")
    email = plain_email(body.email)
    # Made for everybody, so that the time it takes says nothing of whether the address is known.
    password_hash = await auth.passwords.hash(body.password)
    async with get_database().cursor(AUTH) as cursor:
        user = await register(auth, cursor, request, email, password_hash, body.data or {}, body)
        if user and user.is_confirmed:
            return JSONResponse(await sessions.issue(auth, cursor, request, user.id, "password"))
    if user is None:
        if auth.settings.auth_autoconfirm:
            raise AuthError(422, "user_already_exists", "User already registered")
        return JSONResponse(_nobody(email, body.data or {}))
    unknown_to_caller = {"user_metadata": {}, "identities": []} if user.invited_at else {}
    return JSONResponse(user.as_json() | unknown_to_caller)


def require_open(auth: Auth) -> None:
    """Refuse to make users where nobody may sign up by themselves.

    Raises:
        AuthError: 422 `signup_disabled`.
    """
    if auth.is_closed:
        raise AuthError(422, "signup_disabled", "Signups not allowed for this instance")


def require_acceptable(auth: Auth, body: SignUp) -> None:
    """Refuse what GoTrue refuses before it looks at an address, in its order.

    Raises:
        AuthError: 400 `validation_failed`, 422 `weak_password`.
    """
    if not body.password:
        raise invalid("Signup requires a valid password")
    auth.require_strength(body.password)
    if body.email and body.phone:
        raise invalid("Only an email address or phone number should be provided on signup.")
    if body.phone and body.is_pkce:
        raise invalid("PKCE not supported for phone signups")
    body.validate_challenge()


async def register(
    auth: Auth,
    cursor: Cursor,
    request: Request,
    email: str,
    password_hash: str,
    data: dict[str, Any],
    challenge: Challenge,
) -> User | None:
    """Make a user, or ask one who never confirmed once more to do so; whose password and data stay.

    Returns:
        The user, confirmed if new where nobody has to confirm; None if somebody confirmed has this address.

    Raises:
        AuthError: 429 `over_email_send_rate_limit`.
    """
    user_id = uuid4()
    metadata = users.merged({}, data | users.email_identity(user_id, email))
    made = await users.create(cursor, email, password_hash=password_hash, user_metadata=metadata, user_id=user_id)
    user = await users.by_email(cursor, email, lock=True)
    if user is None:  # deleted between the two
        raise AuthError(409, "conflict", "The account was deleted at this moment")
    if user.is_confirmed:
        return None
    if not any(identity["provider"] == "email" for identity in user.identities):
        if not made:
            metadata = users.merged({}, data | users.email_identity(user.id, email))
            await users.change(cursor, user.id, raw_user_meta_data=metadata)
        await users.add_identity(cursor, user.id, metadata)
    if made and auth.settings.auth_autoconfirm:  # of an older account this caller has proved nothing
        await one_time.confirm(cursor, user)
    else:
        await flows.start(cursor, challenge, user.id, "email/signup", provider="email")
        await Sender(auth, cursor, request, pkce=challenge.is_pkce).send_confirmation(user)
    return await users.by_id(cursor, user.id)


def _nobody(email: str, data: dict[str, Any]) -> dict[str, Any]:
    """A user who does not exist, for an address that somebody has: no stranger is told which ones are known."""
    now = users.instant(datetime.now(UTC))
    return {
        "id": str(uuid4()),
        "aud": users.AUDIENCE,
        "role": "",
        "email": email,
        "phone": "",
        "confirmation_sent_at": now,
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": data,
        "identities": [],
        "created_at": now,
        "updated_at": now,
        "is_anonymous": False,
    }
