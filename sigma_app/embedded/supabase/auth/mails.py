"""The mails of auth, from the row that makes one necessary to what it says: an address, a link and a code.

Codes follow from the secret and the id of their token, so a mail that is written again is the same mail, and the
database holds hashes alone. The words are features/accounts' affair.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, cast
from urllib.parse import quote, urlsplit
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.types.json import Jsonb

from sigma_app.core.database import Actor, get_database
from sigma_app.core.jobs import JobError
from sigma_app.core.links import Links
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings

AUTH = Actor("supabase_auth_admin", "{}")

PORTAL = ("/verify", "via=mail")
"""Where the portal's own mails lead, as a project's templates make it of `{{ .RedirectTo }}`: docs/hosting.md."""

PKCE = "pkce_"  # what the hash begins with where a flow with PKCE asked for the mail

Kind = Literal[
    "signup", "recovery", "magiclink", "invite", "email_change_current", "email_change_new", "reauthentication"
]


@dataclass(frozen=True, slots=True)
class AuthMail:
    """What a mail of auth has to bring to whom."""

    to: str
    kind: Kind
    link: str | None = field(repr=False)
    """What verifies by itself; None for `reauthentication`, which has a code alone."""
    code: str = field(repr=False)
    """What is typed instead."""
    made_at: datetime
    """When it was asked for."""
    change: tuple[str, str] | None = None
    """From which address to which, in the mails of a change of address; "" for an account that had none."""


class OtherSecret(JobError):
    """Codes are made with another secret or length here than where this mail was asked for."""


def code_of(keys: Keys, token_id: UUID, length: int) -> str:
    """The code of a row of `auth.one_time_tokens`, which is `length` digits."""
    return Links(keys.secret.encode()).code(token_id, length)


def hash_of(keys: Keys, address: str, code: str) -> str:
    """What `auth.one_time_tokens` keeps of a code, and links carry: 56 hexadecimal digits of address and code.

    GoTrue's is the bare SHA-224. Six digits are soon gone through, though, and whoever knows an address could make all
    its links by themselves; so here it is an HMAC with the secret, which looks the same from outside.
    """
    return hmac.new(keys.secret.encode(), (address + code).encode("utf-8", "replace"), "sha224").hexdigest()


def link(settings: Settings, token_hash: str, kind: str, redirect_to: str) -> str:
    """The address that verifies: by itself, or on the page of the portal that asks for a button first.

    Args:
        settings: where we are reached.
        token_hash: as stored, with `pkce_` where the flow has it.
        kind: of the mail; both halves of a change of address are verified as `email_change`.
        redirect_to: where it leads in the end.
    """
    verifies = "email_change" if kind.startswith("email_change") else kind
    leads_to = urlsplit(redirect_to)
    if (leads_to.path, leads_to.query.partition("&")[0]) == PORTAL:
        return f"{redirect_to}&token_hash={quote(token_hash, safe='')}&type={verifies}"
    query = f"token={quote(token_hash, safe='')}&type={verifies}&redirect_to={quote(redirect_to, safe='')}"
    return f"{settings.base_url}/auth/v1/verify?{query}"


async def queue(cursor: AsyncCursor[Any], token_id: UUID, kind: Kind, redirect_to: str) -> None:
    """Queue the mail of a token in the transaction that makes it, which is one of `supabase_auth_admin`."""
    arguments = {"token": str(token_id), "kind": kind, "redirect_to": redirect_to}
    await cursor.execute("select sigma.queue_auth_mail(%s)", [Jsonb(arguments)])


async def mail_of(token_id: UUID, kind: str, redirect_to: str, settings: Settings, keys: Keys) -> AuthMail | None:
    """The mail of a token; None where it is gone, because it was used or replaced, or its time is over.

    Raises:
        OtherSecret: the code would not be the one that the token was made for.
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().cursor(AUTH) as cursor:
        await cursor.execute(_READ, [token_id, settings.auth_code_seconds])
        row = await cursor.fetchone()
    if row is None:
        return None
    code = code_of(keys, token_id, settings.auth_code_length)
    if row["token_hash"].removeprefix(PKCE) != hash_of(keys, row["relates_to"], code):
        raise OtherSecret
    address = None if kind == "reauthentication" else link(settings, row["token_hash"], kind, redirect_to)
    change = (row["email"] or "", row["email_change"]) if kind.startswith("email_change") else None
    return AuthMail(row["relates_to"], cast("Kind", kind), address, code, row["made_at"], change)


# A token is made for an address. When the user's has changed since, the mail would tell somebody else's code. Neither
# address changes while the token is there, so that a mail that is written again names the same.
_READ = """
select token.token_hash, token.relates_to, token.created_at::timestamptz as made_at, owner.email, owner.email_change
from auth.one_time_tokens as token join auth.users as owner on owner.id = token.user_id
where token.id = %s
  and token.relates_to in (owner.email, owner.email_change)
  and token.created_at > localtimestamp - make_interval(secs => %s)
"""
