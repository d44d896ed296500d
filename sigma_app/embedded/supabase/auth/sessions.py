"""Sessions: what signing in makes, how its refresh tokens rotate, and the access tokens that speak for it.

A session is a row, and so is each of its refresh tokens, of which normally one is active. Whoever refreshes holds the
session's row until the end, so that of many who use one token at once one rotates it and the others are told what came
of it.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Literal
from uuid import UUID, uuid4

from psycopg.sql import SQL
from starlette.requests import Request

from sigma_app.core.origin import client_address
from sigma_app.embedded.supabase import tokens
from sigma_app.embedded.supabase.auth import users
from sigma_app.embedded.supabase.auth.errors import AuthError
from sigma_app.embedded.supabase.auth.state import Auth
from sigma_app.embedded.supabase.auth.users import Cursor, User
from sigma_app.settings import Settings

_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN_LENGTH = 12
LOCK_WAIT_MS = 5_000
"""How long a refresh waits for others of the same session; GoTrue's."""

# How a session was signed in to, the newest first: the claim `amr`.
_AMR = SQL("""coalesce((
  select jsonb_agg(
    jsonb_build_object('method', authentication_method, 'timestamp', floor(extract(epoch from updated_at))::bigint)
    order by updated_at desc
  )
  from auth.mfa_amr_claims where session_id = session.id
), '[]') as amr""")


@dataclass(frozen=True, slots=True)
class Session:
    """A row of `auth.sessions`."""

    id: UUID
    created_at: datetime
    not_after: datetime | None
    refreshed_at: datetime | None
    amr: list[dict[str, Any]]

    @property
    def was_recovered(self) -> bool:
        """Whether it began with a link or a code out of a mail rather than with a password."""
        return any(entry["method"] in ("otp", "magiclink", "recovery") for entry in self.amr)

    def is_over(self, settings: Settings, used_at: datetime | None = None) -> Literal["", "limit", "idle"]:
        """Whether its time is over, and for which reason.

        Args:
            settings: how long sessions may last.
            used_at: when the refresh token in hand was last used.
        """
        now = datetime.now(UTC)
        if self.not_after and now > self.not_after:
            return "limit"
        if settings.auth_session_seconds and now > self.created_at + timedelta(seconds=settings.auth_session_seconds):
            return "limit"
        seen_at = self.refreshed_at or max(self.created_at, used_at or self.created_at)
        if settings.auth_idle_seconds and now > seen_at + timedelta(seconds=settings.auth_idle_seconds):
            return "idle"
        return ""


def session_in(row: Mapping[str, Any]) -> Session:
    """The session of a row with `COLUMNS`."""
    return Session(
        row["session_id"], row["session_created_at"], row["not_after"], row["session_refreshed_at"], row["amr"]
    )


COLUMNS = SQL(
    "session.id as session_id, session.created_at as session_created_at, session.not_after,"
    " session.refreshed_at at time zone 'UTC' as session_refreshed_at, {}"
).format(_AMR)
"""What makes a `Session` of a row of `session`."""


async def issue(auth: Auth, cursor: Cursor, request: Request, user_id: UUID, method: str) -> dict[str, Any]:
    """Sign somebody in.

    Args:
        auth: the service.
        cursor: of the transaction.
        request: of whoever signs in.
        user_id: who they are.
        method: how they proved it, for `amr`.

    Returns:
        The token response.

    Raises:
        AuthError: 403 `user_not_found`, they were deleted meanwhile.
    """
    now = datetime.now(UTC)
    session_id, token = uuid4(), _new_token()
    values = _device(request, auth.settings) | {
        "session": session_id,
        "user": user_id,
        "claim": uuid4(),
        "now": now,
        "token": token,
        "method": method,
        "instance": users.INSTANCE,
    }
    await cursor.execute(_ISSUE, values)
    row = await cursor.fetchone()
    if row is None:
        raise AuthError(403, "user_not_found", "User not found")
    amr = [{"method": method, "timestamp": int(now.timestamp())}]
    return _response(auth, users.user_in(row), session_id, amr, token)


_ISSUE = SQL("""
with person as (
  update auth.users set last_sign_in_at = %(now)s, updated_at = %(now)s where id = %(user)s returning {}
), session as (
  insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip)
  select %(session)s, id, %(now)s, %(now)s, 'aal1', %(agent)s, %(ip)s from person
), claim as (
  insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
  select %(claim)s, %(session)s, %(now)s, %(now)s, %(method)s from person
), token as (
  insert into auth.refresh_tokens
    (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
  select %(instance)s, %(token)s, id, false, %(now)s, %(now)s, '', %(session)s from person
)
select * from person
""").format(users.COLUMNS)


async def refresh(auth: Auth, cursor: Cursor, request: Request, token: str) -> dict[str, Any] | None:
    """Give an access token for a refresh token, and the refresh token that is to be used from now on.

    Returns:
        The token response; None if the token must not be used again. Then all of its session are revoked, where
        rotation is on, which the caller commits before saying so.

    Raises:
        AuthError: 400, there is no such token, its session is over, or its user is banned.
        psycopg.errors.LockNotAvailable: others held the session for too long.
    """
    await cursor.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_WAIT_MS}ms"])
    await cursor.execute(_HOLD, [token])
    row = await cursor.fetchone()
    if row is None:
        raise _unknown()
    user, session = users.user_in(row), session_in(row)
    if user.is_banned:
        raise AuthError(400, "user_banned", "Invalid Refresh Token: User Banned")
    await cursor.execute(_PRESENTED, {"token": token, "session": session.id})
    presented = await cursor.fetchone()
    if presented is None:
        raise _unknown()
    if over := session.is_over(auth.settings, presented["updated_at"]):
        reason = " (Inactivity)" if over == "idle" else ""
        raise AuthError(400, "session_expired", f"Invalid Refresh Token: Session Expired{reason}")
    following = await _following(auth, cursor, user, session, token, presented)
    if following is None:
        return None
    await cursor.execute(
        _REFRESHED, _device(request, auth.settings) | {"session": session.id, "now": datetime.now(UTC)}
    )
    return _response(auth, user, session.id, session.amr, following)


async def _following(
    auth: Auth, cursor: Cursor, user: User, session: Session, token: str, presented: Mapping[str, Any]
) -> str | None:
    """The token to use after `token`; None if it must not be used again."""
    settings, now = auth.settings, datetime.now(UTC)
    if presented["revoked"]:
        if presented["active_parent"] == token:
            return presented["active_token"]  # the client never read the answer, or asked twice at once
        is_late = now > presented["updated_at"] + timedelta(seconds=settings.auth_reuse_seconds)
        if is_late or presented["active_token"] is None:  # the interval does not bring a revoked family back
            if settings.auth_rotation:
                await cursor.execute(_REVOKE_ALL, {"session": session.id, "now": now})
            return None
    made = _new_token()
    values = {"token": token, "made": made, "session": session.id, "user": user.id, "now": now}
    await cursor.execute(_ROTATE, values | {"instance": users.INSTANCE})
    return made


# The session's row alone is locked, and always before anything of it is read: whoever waited for it reads what is.
_HOLD = SQL("""
select {}, {} from auth.sessions as session join auth.users on users.id = session.user_id
where session.id = (select session_id from auth.refresh_tokens where token = %s)
for update of session
""").format(users.COLUMNS, COLUMNS)

_PRESENTED = """
select presented.revoked, presented.updated_at, active.token as active_token, active.parent as active_parent
from auth.refresh_tokens as presented left join lateral (
  select token, parent from auth.refresh_tokens
  where session_id = %(session)s and revoked is false order by id desc limit 1
) as active on true
where presented.token = %(token)s
"""

_ROTATE = """
with used as (
  update auth.refresh_tokens set revoked = true, updated_at = %(now)s where token = %(token)s
)
insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
values (%(instance)s, %(made)s, %(user)s, false, %(now)s, %(now)s, %(token)s, %(session)s)
"""

_REVOKE_ALL = """
update auth.refresh_tokens set revoked = true, updated_at = %(now)s
where session_id = %(session)s and revoked is false
"""

_REFRESHED = """
update auth.sessions
set refreshed_at = %(now)s at time zone 'UTC', updated_at = %(now)s, user_agent = %(agent)s, ip = %(ip)s
where id = %(session)s
"""


async def end_all(cursor: Cursor, user_id: UUID, but: UUID | None = None) -> None:
    """End the sessions of a user, except for one if it is named."""
    await cursor.execute("delete from auth.sessions where user_id = %s and id is distinct from %s", [user_id, but])


async def end(cursor: Cursor, session_id: UUID) -> None:
    """End a session."""
    await cursor.execute("delete from auth.sessions where id = %s", [session_id])


def _unknown() -> AuthError:
    return AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")


def _new_token() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_TOKEN_LENGTH))


def _device(request: Request, settings: Settings) -> dict[str, str | None]:
    """From where and with what somebody signs in."""
    address = client_address(request.scope, settings.trusted_proxies)
    try:
        ip = str(ip_address(address.partition("%")[0]))
    except ValueError:
        ip = None
    return {"ip": ip, "agent": request.headers.get("user-agent")}


def _response(
    auth: Auth, user: User, session_id: UUID, amr: list[dict[str, Any]], refresh_token: str
) -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    seconds = auth.settings.auth_token_seconds
    claims = {
        "iss": f"{auth.settings.base_url}/auth/v1",
        "sub": str(user.id),
        "aud": user.aud,
        "exp": now + seconds,
        "iat": now,
        "email": user.email,
        "phone": user.phone,
        "app_metadata": user.raw_app_meta_data,
        "user_metadata": user.raw_user_meta_data,
        "role": user.role,
        "aal": "aal1",
        "amr": amr,
        "session_id": str(session_id),
        "is_anonymous": user.is_anonymous,
    }
    return {
        "access_token": tokens.sign(claims, auth.keys.secret),
        "token_type": "bearer",
        "expires_in": seconds,
        "expires_at": now + seconds,
        "refresh_token": refresh_token,
        "user": user.as_json(),
    }
