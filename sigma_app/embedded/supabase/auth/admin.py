"""The administrator's API for users: /admin/users. Listing them is in admin_list.py."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import durations, one_time, passwords, sessions, users
from sigma_app.embedded.supabase.auth.addresses import plain_email, refuse_phone
from sigma_app.embedded.supabase.auth.bodies import Body, read
from sigma_app.embedded.supabase.auth.callers import require_administrator, uuid_in
from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.state import Auth, auth_of
from sigma_app.embedded.supabase.auth.user import set_password
from sigma_app.embedded.supabase.auth.users import Cursor, User


class Attributes(Body):
    """What an administrator says of a user."""

    id: str = ""
    aud: str = ""
    role: str = ""
    email: str = ""
    phone: str = ""
    password: str | None = None
    password_hash: str = ""
    email_confirm: bool = False
    phone_confirm: bool = False
    user_metadata: dict[str, Any] | None = None
    app_metadata: dict[str, Any] | None = None
    ban_duration: str = ""


class Deletion(Body):
    """How an administrator deletes a user."""

    should_soft_delete: bool = False


async def show(request: Request) -> Response:
    """Answer with a user."""
    await require_administrator(request)
    async with get_database().cursor(AUTH) as cursor:
        return JSONResponse((await named_user(request, cursor)).as_json())


async def create(request: Request) -> Response:
    """Make a user, confirmed or not, and answer with them."""
    await require_administrator(request)
    auth = auth_of(request)
    body = await read(request, Attributes)
    if not body.email and not body.phone:
        raise invalid("Cannot create a user without either an email or phone")
    refuse_phone(body.phone, "Phone signups are disabled")
    email = plain_email(body.email)
    async with get_database().cursor(AUTH) as cursor:
        if await users.is_taken(cursor, email, users.INSTANCE):
            raise AuthError(422, "email_exists", users.EMAIL_TAKEN)
    ban = _Ban.of(body.ban_duration)
    user_id = _wished_id(body.id)
    password_hash = await _password_hash(auth, body)
    async with get_database().cursor(AUTH) as cursor:
        try:
            made = await users.create(
                cursor,
                email,
                password_hash=password_hash,
                user_metadata=body.user_metadata,
                user_id=user_id,
                aud=body.aud or users.AUDIENCE,
            )
        except psycopg.errors.UniqueViolation:
            raise AuthError(422, "user_already_exists", "A user with this id exists already") from None
        if made is None:
            raise AuthError(422, "email_exists", users.EMAIL_TAKEN)
        await users.add_identity(cursor, made, users.email_identity(made, email))
        user = await users.locked(cursor, made)
        await _apply(cursor, user, body, ban)
        return JSONResponse((await users.locked(cursor, made)).as_json())


async def update(request: Request) -> Response:
    """Change what the body names, at once and unasked, and answer with the user."""
    await require_administrator(request)
    auth = auth_of(request)
    async with get_database().cursor(AUTH) as cursor:
        user_id = (await named_user(request, cursor)).id
    body = await read(request, Attributes)
    email = plain_email(body.email) if body.email else ""
    refuse_phone(body.phone, "Phone signups are disabled")
    ban = _Ban.of(body.ban_duration)
    password_hash = ""
    if body.password is not None:
        auth.require_strength(body.password)
        password_hash = await auth.passwords.hash(body.password)
    async with get_database().cursor(AUTH) as cursor:
        user = await users.locked(cursor, user_id)
        if password_hash:
            await set_password(cursor, user_id, password_hash)
        if email:
            await _move(cursor, user, email, verified=body.email_confirm)
        await _apply(cursor, user, body, ban)
        return JSONResponse((await users.locked(cursor, user_id)).as_json())


async def delete(request: Request) -> Response:
    """Delete a user with everything that hangs on them, or leave a row that says nothing of them."""
    await require_administrator(request)
    async with get_database().cursor(AUTH) as cursor:
        user_id = (await named_user(request, cursor)).id
    body = await read(request, Deletion, may_be_empty=True)
    async with get_database().cursor(AUTH) as cursor:
        user = await users.locked(cursor, user_id)
        if not body.should_soft_delete:
            await cursor.execute("delete from auth.users where id = %s", [user_id])
        elif user.deleted_at is None:
            await _hollow_out(cursor, user)
    return JSONResponse({})


async def named_user(request: Request, cursor: Cursor) -> User:
    """The user whose id stands in the path.

    Raises:
        AuthError: 404 `validation_failed`, `user_not_found`.
    """
    user_id = uuid_in(request.path_params["user_id"])
    if user_id is None:
        raise AuthError(404, "validation_failed", "user_id must be an UUID")
    user = await users.by_id(cursor, user_id)
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    return user


def _wished_id(text: str) -> UUID | None:
    if not text:
        return None
    user_id = uuid_in(text)
    if user_id is None:
        raise invalid("ID must conform to the uuid v4 format")
    if user_id == UUID(int=0):
        raise invalid("ID cannot be a nil uuid")
    return user_id


async def _password_hash(auth: Auth, body: Attributes) -> str:
    """What is stored of a new user's password: any that bcrypt takes, or a hash that was made elsewhere."""
    if body.password is not None and body.password_hash:
        raise invalid("Only a password or a password hash should be provided")
    if body.password_hash:
        if not passwords.is_hash(body.password_hash):
            raise invalid("The password hash must be one of bcrypt, of a cost up to 12")
        return body.password_hash
    if not body.password:
        return ""  # where GoTrue makes up one that nobody is told
    if auth.passwords.too_long(body.password):
        raise invalid("bcrypt: password length exceeds 72 bytes")
    return await auth.passwords.hash(body.password)


@dataclass(frozen=True)
class _Ban:
    """Until when somebody is banned; None lifts a ban."""

    until: datetime | None

    @classmethod
    def of(cls, duration: str) -> _Ban | None:
        """The ban of a body; None if it says nothing of one."""
        if not duration:
            return None
        try:
            lasts = durations.parse("0" if duration == "none" else duration)
        except ValueError as error:
            raise invalid(f"invalid format for ban duration: {error}") from None
        return cls(datetime.now(UTC) + lasts if lasts else None)


async def _apply(cursor: Cursor, user: User, body: Attributes, ban: _Ban | None) -> None:
    """Set what a new and an old user have in common."""
    if body.email_confirm:
        await one_time.confirm(cursor, user)
        user = await users.locked(cursor, user.id)
    columns: dict[str, Any] = {}
    if body.role:
        columns["role"] = body.role.strip()
    if body.app_metadata is not None:
        columns["raw_app_meta_data"] = users.merged(user.raw_app_meta_data, body.app_metadata)
    if body.user_metadata is not None:
        columns["raw_user_meta_data"] = users.merged(user.raw_user_meta_data, body.user_metadata)
    if ban:
        columns["banned_until"] = ban.until
    await users.change(cursor, user.id, **columns)


async def _move(cursor: Cursor, user: User, email: str, *, verified: bool) -> None:
    """Give a user another address. What was mailed to the one before opens nothing any more."""
    try:
        await users.set_identity_email(cursor, user.id, email, verified=verified)
        await users.change(cursor, user.id, email=email)
    except psycopg.errors.UniqueViolation:
        raise AuthError(422, "email_exists", users.EMAIL_TAKEN) from None
    if email != user.email:
        await one_time.clear(cursor, user.id)


async def _hollow_out(cursor: Cursor, user: User) -> None:
    """Leave a user's row with nothing in it that says who they were, and end their sessions."""
    await one_time.clear(cursor, user.id)
    await users.change(
        cursor,
        user.id,
        email=_obscured(user.id, user.email),
        email_change=_obscured(user.id, user.email_change) if user.email_change else "",
        encrypted_password=None,
        raw_user_meta_data={},
        raw_app_meta_data={},
        deleted_at=datetime.now(UTC),
    )
    for identity in user.identities:
        await cursor.execute(
            "update auth.identities set identity_data = %s, provider_id = %s where id = %s",
            [Jsonb({}), _obscured(user.id, identity["provider_id"]), identity["id"]],
        )
    await sessions.end_all(cursor, user.id)


def _obscured(user_id: UUID, text: str) -> str:
    return urlsafe_b64encode(sha256(f"{user_id}{text}".encode()).digest()).rstrip(b"=").decode()
