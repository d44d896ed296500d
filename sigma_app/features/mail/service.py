"""Sending mail to people, each on record: not to addresses where mail came back, or whose people called it spam."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.addresses import address_digest
from sigma_app.core.jobs import LONGEST, JobError, queue_job
from sigma_app.core.webhooks import put_back
from sigma_app.features.mail import record
from sigma_app.features.mail.record import forget as forget_record
from sigma_app.features.mail.record import what_is_kept as on_record
from sigma_app.gateways import mail as gateway
from sigma_app.gateways.mail import Mail, MailDelayed, MailRefused

APPLY_EVENT = "mail:apply_event"
FORGET = "mail:forget"
_REPEATABLE = timedelta(hours=23)  # Resend knows an idempotency key for 24


class TooLate(JobError):
    """The mail was first tried so long ago that a repetition could be a second one; it may have been sent."""

    retry = False


def refuse_late(since: datetime) -> None:
    """Refuse to repeat a mail when that could bring it twice.

    Args:
        since: when it may have been sent for the first time.

    Raises:
        TooLate: that was almost a day ago, for which the provider knows that it is the same.
    """
    if datetime.now(UTC) - since > _REPEATABLE:
        raise TooLate


async def send(mail: Mail, key: str, *, kind: str | None, account: bool = False) -> bool:
    """Send a mail unless its address is suppressed; for jobs, whose `Backoff` understands the errors.

    Args:
        mail: to one person; a repetition must bring the same one.
        key: names the cause, and stays the same when it is tried again (`gateways.mail.send`).
        kind: what it says, for the record, such as "accounts:signup"; None for one that must not be kept: its reader is
            to be forgotten.
        account: whether the person asked for this mail themselves, to sign in say; then it goes to suppressed
            addresses too, since they would be locked out without it.

    Returns:
        Whether it was sent.

    Raises:
        MailRefused, MailDelayed: from the gateway.
        DatabaseUnavailable: whether the address is suppressed could not be asked, and nothing was sent; or that it was
            sent could not be noted. Either way the same call does the rest.
    """
    if kind is None:
        await gateway.send(mail, key)
        return True
    if not await record.begin(mail.to, key, kind, account=account):
        return False
    try:
        provider_id = await gateway.send(mail, key)
    except MailDelayed as error:
        await record.delayed(key, str(error))
        raise
    except MailRefused as error:
        await record.refused(key, str(error))
        raise
    await record.sent(key, provider_id)
    return True


async def is_suppressed(session: AsyncSession, email: str) -> bool:
    """Whether the address, in any case, gets no mail; in a transaction of SERVICE."""
    connection = await session.connection()
    return (await connection.execute(_IS_SUPPRESSED, {"digest": address_digest(email)})).scalar_one()


async def suppress(session: AsyncSession, email: str, reason: str) -> None:
    """Send no more mail to the address, in any case; the first reason stays. In a transaction of SERVICE."""
    connection = await session.connection()
    await connection.execute(_SUPPRESS, {"digest": address_digest(email), "reason": reason})


async def unsuppress(session: AsyncSession, email: str) -> str | None:
    """Send mail to the address again, in any case; why it got none, or None where it did.

    In a transaction of SERVICE.
    """
    connection = await session.connection()
    return (await connection.execute(_UNSUPPRESS, {"digest": address_digest(email)})).scalar_one_or_none()


async def forget(session: AsyncSession, digest: bytes) -> int:
    """Remove what names the address with this digest: events, how many, and what is on record of mails.

    That it is suppressed stays. In a transaction of SERVICE.
    """
    await forget_record(session, digest)
    connection = await session.connection()
    return (await connection.execute(_FORGET, {"digest": digest})).rowcount


async def forget_later(session: AsyncSession, digest: bytes) -> None:
    """Queue the forgetting of what is under way to an address, or comes back from it, for when that has come in; in a
    transaction of SERVICE."""
    await queue_job(session, FORGET, after=2 * LONGEST, digest=digest.hex(), again=False)


async def what_is_kept(session: AsyncSession, email: str) -> dict[str, Any]:
    """What is on record of the mails to an address, those that were kept, the events that name it, and whether it gets
    none; as SERVICE."""
    digest = address_digest(email)
    connection = await session.connection()
    events = (await connection.execute(_EVENTS, {"digest": digest})).mappings()
    suppressed = (await connection.execute(_SUPPRESSED, {"digest": digest})).mappings().first()
    return {
        "on_record": await on_record(session, email),
        "mails": [asdict(mail) for mail in await gateway.kept_for(session, digest)],
        "events": [dict(event) for event in events],
        "suppressed": dict(suppressed) if suppressed else None,
    }


async def replay(transaction: AsyncSession, event_id: str) -> bool:
    """Have an event of Resend's worked again, also one that was worked, in a transaction of SERVICE; whether there is
    such a one."""
    known = await put_back(transaction, "resend", event_id)
    if known:
        await queue_job(transaction, APPLY_EVENT, source="resend", event_id=event_id)
    return known


_IS_SUPPRESSED = text("SELECT EXISTS (SELECT FROM sigma.suppressions WHERE digest = :digest)")
_SUPPRESS = text("INSERT INTO sigma.suppressions (digest, reason) VALUES (:digest, :reason) ON CONFLICT DO NOTHING")
_SUPPRESSED = text("SELECT reason, suppressed_at FROM sigma.suppressions WHERE digest = :digest")
_UNSUPPRESS = text("DELETE FROM sigma.suppressions WHERE digest = :digest RETURNING reason")
_NAMING = (  # in the words of the index webhook_events_to
    "FROM sigma.webhook_events WHERE source = 'resend'"
    " AND sigma.digests_of(body #> '{data,to}') && ARRAY[CAST(:digest AS bytea)]"
)
_FORGET = text(f"DELETE {_NAMING}")
_EVENTS = text(f"SELECT id, type, body, received_at {_NAMING} ORDER BY received_at")
