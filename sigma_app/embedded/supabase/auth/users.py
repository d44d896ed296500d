"""Users and their identities: rows of `auth.users` and `auth.identities`, and the JSON that clients see of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, LiteralString, cast
from uuid import UUID, uuid4

from psycopg import AsyncCursor
from psycopg.sql import SQL, Composable, Identifier, Placeholder
from psycopg.types.json import Jsonb

from sigma_app.embedded.supabase.auth.errors import AuthError

AUDIENCE = "authenticated"
ROLE = "authenticated"
INSTANCE = UUID(int=0)  # the one there is
EMAIL_TAKEN = "A user with this email address has already been registered"

Cursor = AsyncCursor[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class User:
    """A row of `auth.users`, a field for each column that auth reads, with the user's identities."""

    id: UUID
    aud: str
    role: str
    email: str
    phone: str
    encrypted_password: str = field(repr=False)
    email_confirmed_at: datetime | None
    confirmed_at: datetime | None
    phone_confirmed_at: datetime | None
    invited_at: datetime | None
    confirmation_token: str = field(repr=False)
    confirmation_sent_at: datetime | None
    recovery_token: str = field(repr=False)
    recovery_sent_at: datetime | None
    email_change: str
    email_change_token_new: str = field(repr=False)
    email_change_token_current: str = field(repr=False)
    email_change_sent_at: datetime | None
    email_change_confirm_status: int
    reauthentication_token: str = field(repr=False)
    reauthentication_sent_at: datetime | None
    last_sign_in_at: datetime | None
    raw_app_meta_data: dict[str, Any]
    raw_user_meta_data: dict[str, Any]
    created_at: datetime | None
    updated_at: datetime | None
    banned_until: datetime | None
    deleted_at: datetime | None
    is_anonymous: bool
    identities: list[dict[str, Any]]

    @property
    def is_confirmed(self) -> bool:
        """Whether the e-mail address is known to be theirs."""
        return self.email_confirmed_at is not None

    @property
    def is_banned(self) -> bool:
        """Whether they may not sign in now."""
        return self.banned_until is not None and self.banned_until > datetime.now(UTC)

    def as_json(self) -> dict[str, Any]:
        """What clients see: no hash, no token; what is not there is not named."""
        sometimes = {name: instant(getattr(self, name)) for name in _SOMETIMES}
        return {
            "id": str(self.id),
            "aud": self.aud,
            "role": self.role,
            "email": self.email,
            "phone": self.phone,
            **({"new_email": self.email_change} if self.email_change else {}),
            **{name: value for name, value in sometimes.items() if value},
            "app_metadata": self.raw_app_meta_data,
            "user_metadata": self.raw_user_meta_data,
            "identities": self.identities_as_json(),
            "created_at": instant(self.created_at) or _NEVER,
            "updated_at": instant(self.updated_at) or _NEVER,
            "is_anonymous": self.is_anonymous,
        }

    def identities_as_json(self) -> list[dict[str, Any]]:
        """The ways in which they sign in, as clients see them: `id` is the provider's."""
        return [
            {
                "identity_id": row["id"],
                "id": row["provider_id"],
                "user_id": row["user_id"],
                "identity_data": row["identity_data"],
                "provider": row["provider"],
                **{
                    name: instant(datetime.fromisoformat(row[name]))
                    for name in ("last_sign_in_at", "created_at", "updated_at")
                    if row[name]
                },
                **({"email": row["email"]} if row["email"] else {}),
            }
            for row in self.identities
        ]


_NEVER = "0001-01-01T00:00:00Z"  # how Go writes a time that is not there
_SOMETIMES = (
    *("email_confirmed_at", "phone_confirmed_at", "confirmed_at", "invited_at", "confirmation_sent_at"),
    *("recovery_sent_at", "email_change_sent_at", "reauthentication_sent_at", "last_sign_in_at", "banned_until"),
    "deleted_at",
)

# Rows that somebody wrote by hand have NULL where GoTrue writes an empty text.
_EMPTY = {
    **dict.fromkeys(("aud", "role", "email", "phone", "encrypted_password", "email_change"), SQL("''")),
    **dict.fromkeys(("confirmation_token", "recovery_token", "reauthentication_token"), SQL("''")),
    **dict.fromkeys(("email_change_token_new", "email_change_token_current"), SQL("''")),
    **dict.fromkeys(("raw_app_meta_data", "raw_user_meta_data"), SQL("'{}'")),
    "email_change_confirm_status": SQL("0"),
}
_IDENTITIES = SQL("""coalesce((
  select jsonb_agg(to_jsonb(identity) order by identity.created_at, identity.id)
  from auth.identities as identity where identity.user_id = users.id
), '[]') as identities""")


def _column(name: str) -> Composable:
    column = SQL("users.{}").format(Identifier(name))
    if name not in _EMPTY:
        return column
    return SQL("coalesce({}, {}) as {}").format(column, _EMPTY[name], Identifier(name))


NAMES = tuple(each.name for each in fields(User))
_COMPOSED = SQL(", ").join([*(_column(name) for name in NAMES if name != "identities"), _IDENTITIES])
COLUMNS = SQL(cast("LiteralString", _COMPOSED.as_string()))  # once, rather than for each statement that is sent
"""What makes a `User` of a row of `users`, in the list of a SELECT or RETURNING."""


def user_in(row: Mapping[str, Any]) -> User:
    """The user of a row with `COLUMNS`."""
    return User(**{name: row[name] for name in NAMES})


def instant(at: datetime | None) -> str | None:
    """A time as Go writes it (RFC 3339): in UTC, with as many digits of a second as it needs."""
    if at is None:
        return None
    text = at.astimezone(UTC).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


async def by_email(cursor: Cursor, email: str, *, lock: bool = False) -> User | None:
    """Whoever has this address, in any case; with `lock` nobody else changes them until the transaction ends."""
    return await _one(cursor, "users.email = %s and not users.is_sso_user", email.lower(), lock)


async def by_id(cursor: Cursor, user_id: UUID, *, lock: bool = False) -> User | None:
    """The user of this id; with `lock` nobody else changes them until the transaction ends."""
    return await _one(cursor, "users.id = %s", user_id, lock)


async def _one(cursor: Cursor, condition: LiteralString, value: UUID | str, lock: bool) -> User | None:
    if isinstance(value, str) and "\0" in value:
        return None  # no text in Postgres has one
    query = SQL("select {} from auth.users where {} {}").format(
        COLUMNS, SQL(condition), SQL("for update of users" if lock else "")
    )
    await cursor.execute(query, [value])
    row = await cursor.fetchone()
    return user_in(row) if row else None


async def locked(cursor: Cursor, user_id: UUID) -> User:
    """A user whom nobody else changes until the transaction ends.

    Raises:
        AuthError: 404 `user_not_found`.
    """
    user = await by_id(cursor, user_id, lock=True)
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    return user


async def create(
    cursor: Cursor,
    email: str,
    *,
    password_hash: str = "",
    user_metadata: dict[str, Any] | None = None,
    user_id: UUID | None = None,
    aud: str = AUDIENCE,
) -> UUID | None:
    """Make a user with an identity for their e-mail address, and through a trigger their profile.

    Args:
        cursor: of the transaction.
        email: from `plain_email`.
        password_hash: bcrypt's; "" for one who cannot sign in with a password.
        user_metadata: what is kept with them.
        user_id: a new one unless given.
        aud: whom their tokens are for.

    Returns:
        Their id; None if somebody has the address, or had it by the time that this could tell.
    """
    now = datetime.now(UTC)
    user_id = user_id or uuid4()
    await cursor.execute(
        """insert into auth.users (
          instance_id, id, aud, role, email, encrypted_password, raw_app_meta_data, raw_user_meta_data,
          confirmation_token, recovery_token, email_change, email_change_token_new, created_at, updated_at
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, '', '', '', '', %s, %s)
        on conflict (email) where is_sso_user = false do nothing returning id""",
        [
            *(INSTANCE, user_id, aud, ROLE, email, password_hash),
            *(Jsonb({"provider": "email", "providers": ["email"]}), Jsonb(user_metadata or {}), now, now),
        ],
    )
    return user_id if await cursor.fetchone() else None


async def add_identity(cursor: Cursor, user_id: UUID, data: dict[str, Any]) -> None:
    """Let a user sign in by e-mail. `data` is of `email_identity`."""
    await cursor.execute(
        """insert into auth.identities
          (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
        values (%(id)s::text, %(id)s, %(data)s, 'email', %(now)s, %(now)s, %(now)s)""",
        {"id": user_id, "data": Jsonb(data), "now": datetime.now(UTC)},
    )


def email_identity(user_id: UUID, email: str, *, verified: bool = False) -> dict[str, Any]:
    """What an identity by e-mail is made of."""
    return {"sub": str(user_id), "email": email, "email_verified": verified, "phone_verified": False}


async def set_identity_email(cursor: Cursor, user_id: UUID, email: str, *, verified: bool) -> None:
    """Give the user's identity by e-mail another address, and make one if there is none."""
    await cursor.execute(
        """update auth.identities set identity_data = identity_data || %s, updated_at = %s
        where user_id = %s and provider = 'email'""",
        [Jsonb({"email": email, "email_verified": verified}), datetime.now(UTC), user_id],
    )
    if not cursor.rowcount:
        await add_identity(cursor, user_id, email_identity(user_id, email, verified=verified))


async def change(cursor: Cursor, user_id: UUID, **columns: Any) -> None:
    """Set columns of a user; their names are ours, never a request's."""
    columns["updated_at"] = datetime.now(UTC)
    assignments = SQL(", ").join(SQL("{} = {}").format(Identifier(name), Placeholder(name)) for name in columns)
    values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in columns.items()}
    await cursor.execute(
        SQL("update auth.users set {} where id = {}").format(assignments, Placeholder("user_id")),
        values | {"user_id": user_id},
    )


def merged(metadata: dict[str, Any], updates: dict[str, Any]) -> dict[str, Any]:
    """Metadata with `updates`, in which null takes a key away."""
    return {name: value for name, value in (metadata | updates).items() if name not in updates or value is not None}


async def is_taken(cursor: Cursor, email: str, user_id: UUID) -> bool:
    """Whether somebody other than this user has an address, or signs in with it in another way."""
    await cursor.execute(
        """select from auth.users where email = %(email)s and not is_sso_user and id <> %(id)s
        union all select from auth.identities where email = %(email)s and user_id <> %(id)s limit 1""",
        {"email": email, "id": user_id},
    )
    return await cursor.fetchone() is not None
