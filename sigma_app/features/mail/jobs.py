"""The mail jobs: what follows from an event that Resend reported."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Any

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.jobs import job
from sigma_app.core.webhooks import mark_handled, unhandled
from sigma_app.features.mail import service

APPLY_EVENT = "mail:apply_event"


@job(APPLY_EVENT)
async def apply_event(source: str, event_id: str) -> None:
    """Send no more mail where it came back for good, or to whom called it spam; all other events mean nothing to us.

    Args:
        source: "resend".
        event_id: of the event kept in `sigma.webhook_events`.
    """
    async with get_database().transaction(SERVICE) as session:
        event = await unhandled(session, source, event_id)
        if event is None:
            return
        if reason := _reason_to_suppress(event):
            for address in event["data"].get("to") or ():
                await service.suppress(session, parseaddr(address)[1] or address, reason)
        await mark_handled(session, source, event_id)


def _reason_to_suppress(event: dict[str, Any]) -> str | None:
    """Why the event's recipients get no more mail, if so (https://resend.com/docs/webhooks/event-types)."""
    kind, data = event.get("type"), event.get("data")
    if not isinstance(data, dict):
        return None
    if kind == "email.bounced":  # of several types; the others are full mailboxes and the like
        return "bounced" if (data.get("bounce") or {}).get("type") == "Permanent" else None
    return {"email.complained": "complained", "email.suppressed": "suppressed by Resend"}.get(str(kind))
