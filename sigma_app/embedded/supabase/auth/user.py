"""GET and PUT /user: what somebody signed in knows and changes of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import flows, mails, one_time, sessions, users
from sigma_app.embedded.supabase.auth.addresses import plain_email, refuse_phone
from sigma_app.embedded.supabase.auth.bodies import read
from sigma_app.embedded.supabase.auth.callers import Caller, caller_of
from sigma_app.embedded.supabase.auth.errors import AuthError
from sigma_app.embedded.supabase.auth.flows import Challenge
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.sending import Sender
from sigma_app.embedded.supabase.auth.state import Auth, auth_of
from sigma_app.embedded.supabase.auth.users import Cursor, User

_RECENTLY = timedelta(hours=24)  # whoever signed in within it needs no nonce


class Update(Challenge):
    """What somebody changes of themselves."""

    email: str = ""
    phone: str = ""
    channel: str = ""
    password: str | None = None
    current_password: str | None = None
    nonce: str = ""
    data: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None


async def show_user(request: Request) -> Response:
    """Answer with the caller."""
    return JSONResponse((await caller_of(request)).user.as_json())


async def update_user(request: Request) -> Response:
    """Change what the body names, and answer with the caller as they are then.

    A new address waits for confirmation. A new password ends all other sessions and every mailed token.
    """
    auth = auth_of(request)
    caller = await caller_of(request)
    await auth.limits.check("mail", request)
    body = await read(request, Update)
    email = plain_email(body.email) if body.email else ""
    if body.phone != caller.user.phone:
        refuse_phone(body.phone, "Phone logins are disabled")
    if body.password is not None:
        auth.require_strength(body.password)
    if body.app_metadata is not None:
        raise AuthError(403, "not_admin", "Updating app_metadata requires admin privileges")
    moves = email not in ("", caller.user.email)
    if moves:
        body.validate_challenge()
        async with get_database().cursor(AUTH) as cursor:
            await _refuse_taken(cursor, email, caller.user)
    password_hash = await _new_password(auth, caller, body)
    async with get_database().cursor(AUTH) as cursor:
        user = await users.locked(cursor, caller.user.id)
        if password_hash:
            if _needs_nonce(auth, caller):
                await _require_nonce(auth, user, body.nonce)
            await set_password(cursor, user.id, password_hash, keep=caller.session and caller.session.id)
        if body.data is not None:
            metadata = users.merged(user.raw_user_meta_data, body.data)
            await users.change(cursor, user.id, raw_user_meta_data=metadata)
        if moves:
            await flows.start(cursor, body, user.id, "email_change")
            user = await users.locked(cursor, user.id)  # a new password resets the pace of such mails
            await Sender(auth, cursor, request, pkce=body.is_pkce).send_email_change(user, email)
        user = await users.locked(cursor, user.id)
    return JSONResponse(user.as_json())


async def set_password(cursor: Cursor, user_id: UUID, password_hash: str, keep: UUID | None = None) -> None:
    """Give a user another password. Their sessions end, but for one that is kept, and what was mailed opens nothing."""
    await one_time.clear(cursor, user_id)
    await users.change(
        cursor,
        user_id,
        encrypted_password=password_hash,
        confirmation_sent_at=None,
        recovery_sent_at=None,
        email_change_sent_at=None,
        reauthentication_sent_at=None,
    )
    await sessions.end_all(cursor, user_id, but=keep)


async def _refuse_taken(cursor: Cursor, email: str, user: User) -> None:
    if await users.is_taken(cursor, email, user.id):
        raise AuthError(422, "email_exists", users.EMAIL_TAKEN)


async def _new_password(auth: Auth, caller: Caller, body: Update) -> str:
    """The hash of the password that the body asks for; "" if it asks for none.

    Raises:
        AuthError: 400 `reauthentication_needed`, `current_password_required`, `current_password_invalid`; 422
        `reauthentication_not_valid`, `same_password`.
    """
    if body.password is None:
        return ""
    user, passwords = caller.user, auth.passwords
    if _needs_nonce(auth, caller):
        if not body.nonce:
            raise AuthError(400, "reauthentication_needed", "Password update requires reauthentication")
        await _require_nonce(auth, user, body.nonce)
    if user.encrypted_password:
        if auth.settings.auth_current_password and not (caller.session and caller.session.was_recovered):
            message = "Current password required when setting new password."
            if not body.current_password:
                raise AuthError(400, "current_password_required", message)
            if not await passwords.matches(body.current_password, user.encrypted_password):
                raise AuthError(400, "current_password_invalid", message)
        if await passwords.matches(body.password, user.encrypted_password):
            raise AuthError(422, "same_password", "New password should be different from the old password.")
    return await passwords.hash(body.password)


def _needs_nonce(auth: Auth, caller: Caller) -> bool:
    is_recent = caller.session and datetime.now(UTC) <= caller.session.created_at + _RECENTLY
    return auth.settings.auth_nonce_for_password and not is_recent


async def _require_nonce(auth: Auth, user: User, nonce: str) -> None:
    await auth.limits.count_code(user.email)
    if not one_time.is_valid(auth, user, "reauthentication_token", mails.hash_of(auth.keys, user.email, nonce)):
        raise AuthError(422, "reauthentication_not_valid", "Nonce has expired or is invalid")
    await auth.limits.forget_codes(user.email)
