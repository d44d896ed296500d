"""What is kept of each mail, in `sigma.messages`: the cause, to whom, and what became of it; never what stands in it.

It is for the operator, and comes second to sending: a mail that cannot be noted is sent all the same. It is noted under
its key before it is handed over and again afterwards; one whose worker dies in between is noted when it is tried again,
which sends nothing twice (`gateways.mail.send`). What comes back about it is read from the events (`sigma.note_told`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.addresses import address_digest
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message

KEPT = timedelta(days=90)

logger = logging.getLogger(__name__)


async def begin(to: str, key: str, kind: str, *, account: bool) -> bool:
    """Note that a mail is about to be handed over; whether it may be.

    Args:
        to: the recipient's address.
        key: names the cause.
        kind: what the mail says, such as "accounts:signup".
        account: whether it goes to suppressed addresses as well.

    Raises:
        DatabaseUnavailable: whether the address is suppressed could not be asked.
    """
    about = {"to": to, "key": key, "kind": kind, "digest": address_digest(to), "account": account}
    try:
        ((withheld,),) = await get_database().run(Step(SERVICE, _BEGIN, about))
    except psycopg.Error as error:
        logger.error("A mail could not be noted: %s", without_message(error))
        ((withheld,),) = await get_database().run(Step(SERVICE, _WITHHELD, about))
    return not withheld


async def sent(key: str, provider_id: str) -> None:
    """Note that the provider took a mail.

    Args:
        key: names its cause.
        provider_id: what the provider calls it; "" where it had been taken before.

    Raises:
        DatabaseUnavailable: it is not noted; to try again sends nothing.
    """
    about = {"key": key, "id": provider_id}
    await _note(Step(SERVICE, _SENT, about), Step(SERVICE, "select sigma.note_told(%(id)s)", about))


async def delayed(key: str, reason: str) -> None:
    """Note that a mail could not be handed over right now, if that can be noted: why is on its way to the queue."""
    with suppress(DatabaseUnavailable):
        await _note(Step(SERVICE, _DELAYED, {"key": key, "note": reason}))


async def refused(key: str, reason: str) -> None:
    """Note that the provider will never take a mail; as `delayed`."""
    with suppress(DatabaseUnavailable):
        await _note(Step(SERVICE, _REFUSED, {"key": key, "note": reason}))


async def told(session: AsyncSession, provider_id: str) -> None:
    """Note what the provider's events say of a mail, in a transaction of SERVICE."""
    await (await session.connection()).execute(_TOLD, {"id": provider_id})


async def what_is_kept(session: AsyncSession, email: str) -> list[dict[str, Any]]:
    """What is kept of the mails to an address, the first first, in a transaction of SERVICE."""
    found = await (await session.connection()).execute(_KEPT, {"digest": address_digest(email)})
    return [dict(row) for row in found.mappings()]


async def forget(session: AsyncSession, digest: bytes) -> None:
    """Forget the mails to the address with this digest, in a transaction of SERVICE."""
    await (await session.connection()).execute(_FORGET, {"digest": digest})


async def forget_old(session: AsyncSession) -> None:
    """Forget the mails of long ago, in a transaction of SERVICE."""
    await (await session.connection()).execute(_FORGET_OLD, {"age": KEPT})


async def _note(*steps: Step) -> None:
    try:
        await get_database().run(*steps)
    except psycopg.Error as error:
        logger.error("What became of a mail could not be noted: %s", without_message(error))


_IS_WITHHELD: LiteralString = """
not %(account)s and exists (select from sigma.suppressions where digest = %(digest)s)
"""
_WITHHELD = f"select {_IS_WITHHELD}"
_BEGIN = f"""
insert into sigma.messages as known (key, kind, recipient, digest, withheld_at)
  select %(key)s, %(kind)s, %(to)s, %(digest)s, case when {_IS_WITHHELD} then clock_timestamp() end
  on conflict (key) do update set tries = known.tries + 1, withheld_at = excluded.withheld_at
  returning withheld_at is not null
"""
_SENT = """
update sigma.messages
set sent_at = clock_timestamp(), provider_id = coalesce(nullif(%(id)s, ''), provider_id), note = null
where key = %(key)s
"""
_DELAYED = "update sigma.messages set delayed_at = clock_timestamp(), note = %(note)s where key = %(key)s"
_REFUSED = "update sigma.messages set refused_at = clock_timestamp(), note = %(note)s where key = %(key)s"
_TOLD = text("select sigma.note_told(:id)")
_KEPT = text("""
select kind, state, queued_at, sent_at, delayed_at, refused_at, withheld_at, delivered_at, bounced_at, complained_at,
  note
from sigma.messages where digest = :digest order by queued_at, id
""")
_FORGET = text("delete from sigma.messages where digest = :digest")
_FORGET_OLD = text("delete from sigma.messages where queued_at < now() - :age")
