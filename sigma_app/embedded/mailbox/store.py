"""The mails that were kept instead of sent: the table `sigma.mailbox`, which only the service may touch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.addresses import digest_of
from sigma_app.core.database import SERVICE, Step, get_database


class OtherPayload(Exception):
    """The idempotency key came before, with another mail."""


@dataclass(frozen=True)
class Kept:
    """A mail of the mailbox."""

    sender: str
    to: str
    """The recipients' addresses, separated by ", "."""
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]
    created_at: datetime


async def keep(mail: Mapping[str, Any], key: str | None) -> str:
    """Keep a mail, once for each key within Resend's 24 hours.

    Args:
        mail: the body of `POST /emails`, checked, with `to` as a list.
        key: the idempotency key, if the request had one.

    Returns:
        The id of the mail: the earlier one's if the key came before.

    Raises:
        OtherPayload: the key came before, with another mail.
        DatabaseUnavailable: nothing was kept.
    """
    fingerprint = hashlib.sha256(json.dumps(mail, sort_keys=True).encode()).digest()
    row = {
        "key": key,
        "fingerprint": fingerprint,
        "sender": mail["from"],
        "recipients": mail["to"],
        "subject": mail["subject"],
        "html": mail.get("html"),
        "body": mail.get("text"),
        "headers": json.dumps(mail.get("headers") or {}),
    }
    if key is None:
        ((new,),) = await get_database().run(Step(SERVICE, _INSERT + " RETURNING id", row))
        return str(new)
    ((known, same),) = await get_database().run(
        Step(SERVICE, _FORGET_OLD_KEY, row),
        Step(SERVICE, _INSERT + " ON CONFLICT (idempotency_key) DO NOTHING", row),
        Step(SERVICE, _KNOWN, row),
    )
    if not same:
        raise OtherPayload
    return str(known)


async def newest(limit: int) -> list[Kept]:
    """The mails of the mailbox, newest first."""
    rows = await get_database().run(Step(SERVICE, _NEWEST, [limit]))
    return [Kept(*row) for row in rows]


async def kept_for(session: AsyncSession, digest: bytes) -> list[Kept]:
    """The mails to the address with this digest, newest first; in a transaction of SERVICE."""
    found = await (await session.connection()).exec_driver_sql(_TO, (digest,))
    return [Kept(*row) for row in found]


async def has(identity: str) -> bool:
    """Whether the mailbox has the mail with this id."""
    return await get_database().run(Step(SERVICE, _HAS, [identity])) != []


async def remove(digest: bytes) -> int:
    """Take away every mail that went to the address with this digest; how many they were."""
    return len(await get_database().run(Step(SERVICE, _REMOVE, [digest])))


_INSERT = (
    "INSERT INTO sigma.mailbox (idempotency_key, fingerprint, sender, recipients, subject, html, body, headers)"
    " VALUES (%(key)s, %(fingerprint)s, %(sender)s, %(recipients)s, %(subject)s, %(html)s, %(body)s, %(headers)s)"
)
_FORGET_OLD_KEY = (
    "UPDATE sigma.mailbox SET idempotency_key = NULL"
    " WHERE idempotency_key = %(key)s AND created_at < now() - interval '24 hours'"
)
_KNOWN = "SELECT id, fingerprint = %(fingerprint)s FROM sigma.mailbox WHERE idempotency_key = %(key)s"
_MAILS: LiteralString = (
    "SELECT sender, array_to_string(recipients, ', '), subject, coalesce(html, ''), coalesce(body, ''), headers,"
    " created_at FROM sigma.mailbox"
)
_NEWEST = f"{_MAILS} ORDER BY created_at DESC LIMIT %s"
_IS_TO: LiteralString = f"EXISTS (SELECT FROM unnest(recipients) AS recipient WHERE {digest_of('recipient')} = %s)"
_TO = f"{_MAILS} WHERE {_IS_TO} ORDER BY created_at DESC"
_HAS = "SELECT id FROM sigma.mailbox WHERE id::text = %s"
_REMOVE = f"DELETE FROM sigma.mailbox WHERE {_IS_TO} RETURNING id"  # noqa: S608 - a piece of our own
