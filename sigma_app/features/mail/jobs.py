"""The mail jobs: what follows from an event that Resend reported."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parseaddr
from typing import Any

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.jobs import job, queue
from sigma_app.core.webhooks import forget_old, mark_failed, mark_handled, unhandled
from sigma_app.features.mail import record, service
from sigma_app.gateways import mail as gateway

KEPT = timedelta(days=30)  # Resend repeats an event for two days, Stripe for three
KEPT_UNHANDLED = timedelta(days=90)  # what is wrong with it is mended by then, or never; no mail is on record longer


@job(service.APPLY_EVENT)
async def apply_event(source: str, event_id: str) -> None:
    """Note what became of a mail; send no more where it came back for good, or to whom called it spam.

    Args:
        source: "resend".
        event_id: of the event kept in `sigma.webhook_events`, with the reason if it cannot be worked.
    """
    try:
        await _apply_event(source, event_id)
    except Exception as error:
        await mark_failed(source, event_id, error)
        raise


@job(service.FORGET)
async def forget(digest: str, again: bool = True) -> None:
    """Remove what names a person who was erased, mails and events; and once more when what was under way has come in.

    Args:
        digest: of the address, as hexadecimal digits; the address itself is to be forgotten here, too.
        again: whether to do it once more.
    """
    await gateway.forget(bytes.fromhex(digest))
    async with get_database().transaction(SERVICE) as session:
        await service.forget(session, bytes.fromhex(digest))
        if again:
            await service.forget_later(session, bytes.fromhex(digest))


@queue.periodic(cron="25 3 * * *")
@queue.task(name="mail:forget_events", queueing_lock="mail:forget_events")
async def forget_events(timestamp: int) -> None:
    """Once a night, forget the events that nobody can repeat any more, and the mails of long ago: they name people."""
    async with get_database().transaction(SERVICE) as session:
        await forget_old(session, KEPT, KEPT_UNHANDLED)
        await record.forget_old(session)


async def _apply_event(source: str, event_id: str) -> None:
    async with get_database().transaction(SERVICE) as session:
        event = await unhandled(session, source, event_id)
        if event is None:
            return
        if reason := _reason_to_suppress(event):
            recipients = event["data"].get("to") or ()
            for address in [recipients] if isinstance(recipients, str) else recipients:
                await service.suppress(session, parseaddr(address)[1] or address, reason)
        if isinstance(event.get("data"), dict) and isinstance(email_id := event["data"].get("email_id"), str):
            await record.told(session, email_id)
        await mark_handled(session, source, event_id)


def _reason_to_suppress(event: dict[str, Any]) -> str | None:
    """Why the event's recipients get no more mail, if so (https://resend.com/docs/webhooks/event-types)."""
    kind, data = event.get("type"), event.get("data")
    if not isinstance(data, dict):
        return None
    if kind == "email.bounced":  # of several types; the others are full mailboxes and the like
        return "bounced" if (data.get("bounce") or {}).get("type") == "Permanent" else None
    return {"email.complained": "complained", "email.suppressed": "suppressed by Resend"}.get(str(kind))
