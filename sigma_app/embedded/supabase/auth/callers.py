"""Who asks: somebody signed in, or an administrator."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from psycopg.sql import SQL
from starlette.requests import Request

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase import tokens
from sigma_app.embedded.supabase.auth import sessions, users
from sigma_app.embedded.supabase.auth.errors import AuthError
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.sessions import Session
from sigma_app.embedded.supabase.auth.state import auth_of
from sigma_app.embedded.supabase.auth.users import User

_BEARER = re.compile(r"bearer (\S+)", re.IGNORECASE)
_ADMINISTRATORS = ("service_role", "supabase_admin")
_NO_SESSION = str(UUID(int=0))
_UUID = re.compile(
    r"[0-9a-f]{32}|\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class Caller:
    """Somebody signed in."""

    user: User
    session: Session | None
    """The one that their token speaks for; None where it names none."""


async def caller_of(request: Request) -> Caller:
    """Who is signed in.

    Raises:
        AuthError: 401 `no_authorization`; 403 or 400 `bad_jwt`; 403 `user_not_found`, `session_not_found`,
        `user_banned`.
    """
    caller = await _caller(_claims(request))
    if caller.user.is_banned:
        raise AuthError(403, "user_banned", "User is banned")
    return caller


async def require_administrator(request: Request) -> None:
    """Let nobody pass but an administrator.

    Raises:
        AuthError: 401 `no_authorization`; 403 `bad_jwt`, `not_admin`; and for a token with a session 403
        `session_not_found`, `session_expired`.
    """
    claims = _claims(request)
    if _names_session(claims):
        caller = await _caller(claims)
        if caller.session and caller.session.is_over(auth_of(request).settings):
            raise AuthError(403, "session_expired", "Session is no longer valid")
    if claims.get("role") not in _ADMINISTRATORS:
        raise AuthError(403, "not_admin", "User not allowed")


def uuid_in(text: str) -> UUID | None:
    """The UUID that a text is; None if it is none."""
    return UUID(text) if _UUID.fullmatch(text) else None


def _claims(request: Request) -> dict[str, Any]:
    found = _BEARER.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
    try:
        return tokens.read(found[1], auth_of(request).keys.secret)
    except jwt.InvalidTokenError as error:
        raise _bad_token(f"invalid JWT: unable to parse or verify signature, {_reason(error)}") from None


def _reason(error: Exception) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "token has invalid claims: token is expired"
        case jwt.ImmatureSignatureError():
            return "token has invalid claims: token is not valid yet"
        case jwt.InvalidSignatureError() | jwt.InvalidAlgorithmError():
            return "token signature is invalid"
        case _:
            return "token is malformed"


async def _caller(claims: dict[str, Any]) -> Caller:
    user_id = _id_in(claims, "sub", missing="invalid claim: missing sub claim")
    if user_id is None:
        raise _bad_token("invalid claim: sub claim must be a UUID", status=400)
    session_id = None
    if _names_session(claims):
        session_id = _id_in(claims, "session_id")
        if session_id is None:
            raise _bad_token("invalid claim: session_id claim must be a UUID")
    async with get_database().cursor(AUTH) as cursor:
        await cursor.execute(_CALLER, [session_id, user_id])
        row = await cursor.fetchone()
    if row is None:
        raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
    if session_id and row["session_id"] is None:
        raise AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
    return Caller(users.user_in(row), sessions.session_in(row) if session_id else None)


_CALLER = SQL("""
select {}, {} from auth.users
left join auth.sessions as session on session.id = %s and session.user_id = users.id
where users.id = %s
""").format(users.COLUMNS, sessions.COLUMNS)


def _names_session(claims: dict[str, Any]) -> bool:
    return claims.get("session_id") not in (None, "", _NO_SESSION)


def _id_in(claims: dict[str, Any], name: str, missing: str = "") -> UUID | None:
    value = claims.get(name)
    if not value and missing:
        raise _bad_token(missing)
    if not isinstance(value, str):
        raise _bad_token("invalid JWT: unable to parse or verify signature, token is malformed")
    return uuid_in(value)


def _bad_token(message: str, status: int = 403) -> AuthError:
    return AuthError(status, "bad_jwt", message)
