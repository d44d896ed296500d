"""PKCE (RFC 7636): a flow that starts in one place and ends there, although a mail lies between."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sigma_app.embedded.supabase.auth.bodies import Body
from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.users import Cursor

_SHORTEST, _LONGEST = 43, 128
_CHALLENGE = re.compile("[a-zA-Z._~0-9-]+")
_METHODS = ("s256", "plain")
_TIME = timedelta(minutes=5)


class Challenge(Body):
    """What a body says that starts a flow: both fields or neither."""

    code_challenge: str = ""
    code_challenge_method: str = ""

    @property
    def is_pkce(self) -> bool:
        """Whether a flow starts."""
        return self.code_challenge != ""

    def validate_challenge(self) -> None:
        """Refuse half a pair, and what is no challenge.

        Raises:
            AuthError: 400 `validation_failed`.
        """
        if bool(self.code_challenge) != bool(self.code_challenge_method):
            raise invalid("PKCE flow requires code_challenge_method and code_challenge")
        if not self.code_challenge:
            return
        if not _SHORTEST <= len(self.code_challenge.encode()) <= _LONGEST:
            raise invalid(f"code challenge has to be between {_SHORTEST} and {_LONGEST} characters")
        if not _CHALLENGE.fullmatch(self.code_challenge):
            raise invalid(
                "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes"
            )
        if self.code_challenge_method.lower() not in _METHODS:
            raise invalid("unsupported code_challenge method")


async def start(cursor: Cursor, challenge: Challenge, user_id: UUID, method: str, provider: str = "") -> None:
    """Remember a flow of a user, if this is one.

    Args:
        cursor: of the transaction.
        challenge: a validated body.
        user_id: whose flow it is.
        method: how it will be signed in, for `amr`.
        provider: what the row names as such; the method unless given.
    """
    if not challenge.is_pkce:
        return
    await cursor.execute(
        _START,
        {
            "id": uuid4(),
            "user": user_id,
            "code": str(uuid4()),
            "challenge_method": challenge.code_challenge_method.lower(),
            "challenge": challenge.code_challenge,
            "provider": provider or method,
            "method": method,
            "now": datetime.now(UTC),
        },
    )


# Flows that nobody ended are taken away by those that begin, a few at a time.
_START = """
with old as (
  delete from auth.flow_state where id in (
    select id from auth.flow_state where created_at < %(now)s::timestamptz - interval '1 day'
    limit 100 for update skip locked
  )
)
insert into auth.flow_state (
  id, user_id, auth_code, code_challenge_method, code_challenge, provider_type, provider_access_token,
  provider_refresh_token, created_at, updated_at, authentication_method
) values (
  %(id)s, %(user)s, %(code)s, %(challenge_method)s, %(challenge)s, %(provider)s, '', '', %(now)s, %(now)s, %(method)s
)
"""


async def issue_code(cursor: Cursor, user_id: UUID, method: str) -> str:
    """The code that ends the user's newest flow of a method.

    Raises:
        AuthError: 400 `flow_state_not_found`.
    """
    now = datetime.now(UTC)
    await cursor.execute(
        """update auth.flow_state set auth_code_issued_at = %s, updated_at = %s where id = (
          select id from auth.flow_state where user_id = %s and authentication_method = %s
          order by created_at desc limit 1
        ) returning auth_code""",
        [now, now, user_id, method],
    )
    row = await cursor.fetchone()
    if row is None:
        message = "No associated flow state found. 422: No valid flow state found for user."
        raise AuthError(400, "flow_state_not_found", message)
    return row["auth_code"]


async def finish(cursor: Cursor, code: str, verifier: str) -> tuple[UUID, str]:
    """Whose flow ends with a code, and how they signed in; the code is used up.

    Raises:
        AuthError: 404 `flow_state_not_found`, 422 `flow_state_expired`, 400 `bad_code_verifier`.
    """
    row: dict[str, Any] | None = None
    if "\0" not in code:  # which no text in Postgres has
        await cursor.execute("select * from auth.flow_state where auth_code = %s for update", [code])
        row = await cursor.fetchone()
    if row is None or row["user_id"] is None:
        raise AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found")
    is_mailed_late = row["authentication_method"] == "magiclink" and row["auth_code_issued_at"]
    if datetime.now(UTC) > (row["auth_code_issued_at"] if is_mailed_late else row["created_at"]) + _TIME:
        raise AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired")
    if not hmac.compare_digest(_challenge(verifier, row["code_challenge_method"]), row["code_challenge"].encode()):
        raise AuthError(400, "bad_code_verifier", "code challenge does not match previously saved code verifier")
    await cursor.execute("delete from auth.flow_state where id = %s", [row["id"]])
    return row["user_id"], row["authentication_method"]


def _challenge(verifier: str, method: str) -> bytes:
    plain = verifier.encode()
    return plain if method == "plain" else urlsafe_b64encode(hashlib.sha256(plain).digest()).rstrip(b"=")
