"""One-time tokens: what a mail brings, as a link or as a code.

A token is a row of `auth.one_time_tokens`, and its hash stands in a column of its user, too, as GoTrue has it. A user
has one of each kind: a new one replaces the older. They are made and used while the user's row is locked, so that of
many who use one at once exactly one has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from sigma_app.embedded.supabase.auth import mails, users
from sigma_app.embedded.supabase.auth.state import Auth
from sigma_app.embedded.supabase.auth.users import Cursor, User

Kind = Literal[
    "confirmation_token",
    "recovery_token",
    "reauthentication_token",
    "email_change_token_new",
    "email_change_token_current",
]
"""What a token is for; the name of its type and of the user's column."""

_SENT_AT: dict[Kind, str] = {
    "confirmation_token": "confirmation_sent_at",
    "recovery_token": "recovery_sent_at",
    "reauthentication_token": "reauthentication_sent_at",
    "email_change_token_new": "email_change_sent_at",
    "email_change_token_current": "email_change_sent_at",
}


@dataclass(frozen=True)
class OneTime:
    """A token that was made now."""

    id: UUID
    code: str = field(repr=False)
    """What people type."""
    hash: str = field(repr=False)
    """What links carry, and the database holds."""


def sent_at(user: User, kind: Kind) -> datetime | None:
    """When the user's last token of a kind was made."""
    return getattr(user, _SENT_AT[kind])


async def make(auth: Auth, cursor: Cursor, user_id: UUID, kind: Kind, address: str, *, pkce: bool = False) -> OneTime:
    """Make a token for a user who is locked.

    Args:
        auth: the service.
        cursor: of the transaction.
        user_id: whose it is.
        kind: what it is for.
        address: where its mail goes: the code is good together with this address alone.
        pkce: whether its link ends in a code for the flow that asked, rather than in tokens.
    """
    token_id = uuid4()
    code = mails.code_of(auth.keys, token_id, auth.settings.auth_code_length)
    token_hash = (mails.PKCE if pkce else "") + mails.hash_of(auth.keys, address, code)
    await cursor.execute(
        """insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to)
        values (%s, %s, %s, %s, %s)
        on conflict (user_id, token_type) do update set
          id = excluded.id, token_hash = excluded.token_hash, relates_to = excluded.relates_to,
          created_at = excluded.created_at, updated_at = excluded.updated_at""",
        [token_id, user_id, kind, token_hash, address],
    )
    await users.change(cursor, user_id, **{kind: token_hash, _SENT_AT[kind]: datetime.now(UTC)})
    return OneTime(token_id, code, token_hash)


async def find(cursor: Cursor, token_hash: str, kinds: tuple[Kind, ...]) -> tuple[User, Kind] | None:
    """Whose token this is, now locked, and of which of `kinds`; None if there is none, or none any more."""
    if "\0" in token_hash:
        return None  # no text in Postgres has one
    query = "select user_id, token_type from auth.one_time_tokens where token_hash = %s and token_type::text = any(%s)"
    values = [token_hash, list(kinds)]
    await cursor.execute(query, values)
    found = await cursor.fetchone()
    user = await users.by_id(cursor, found["user_id"], lock=True) if found else None
    if user is None:
        return None
    await cursor.execute(query, values)  # once more: somebody else may have used it before the user was ours
    found = await cursor.fetchone()
    return (user, found["token_type"]) if found else None


def is_valid(auth: Auth, user: User, kind: Kind, token_hash: str) -> bool:
    """Whether the user's token of a kind is this one and in time. A typed code is good in either flow."""
    stored = getattr(user, kind)
    return bool(stored) and stored in (token_hash, mails.PKCE + token_hash) and not is_expired(auth, user, kind)


def is_expired(auth: Auth, user: User, kind: Kind) -> bool:
    """Whether the time of the user's token of a kind is over."""
    at = sent_at(user, kind)
    return at is None or datetime.now(UTC) > at + timedelta(seconds=auth.settings.auth_code_seconds)


async def clear(cursor: Cursor, user_id: UUID, *kinds: Kind) -> None:
    """Take the user's tokens of these kinds away; without any named, all."""
    kinds = kinds or tuple(_SENT_AT)
    await cursor.execute(
        "delete from auth.one_time_tokens where user_id = %s and token_type::text = any(%s)", [user_id, list(kinds)]
    )
    await users.change(cursor, user_id, **dict.fromkeys(kinds, ""))


async def confirm(cursor: Cursor, user: User) -> None:
    """Note that the user's address is theirs. What else was mailed to them meanwhile opens nothing any more."""
    metadata = users.merged(user.raw_user_meta_data, {"email_verified": True})
    await users.change(cursor, user.id, email_confirmed_at=datetime.now(UTC), raw_user_meta_data=metadata)
    await clear(cursor, user.id)
