"""What every webhook needs: each event kept once however often it is told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import SigmaError, without_message

LARGEST_BODY = 256 * 1024  # bytes of an event


async def keep_once(session: AsyncSession, source: str, event_id: str, kind: str, body: Any) -> bool:
    """Keep an event, in the transaction of `session`, which is one of SERVICE.

    Args:
        session: where the job that handles the event is queued as well.
        source: who tells it, such as "resend".
        event_id: the sender's own id, the same at each repetition.
        kind: its type in the sender's words.
        body: as parsed from JSON.

    Returns:
        Whether it is new.

    Raises:
        sqlalchemy.exc.DBAPIError: the body holds what `jsonb` cannot, a NUL or half a surrogate pair.
    """
    connection = await session.connection()
    values = {"source": source, "id": event_id, "type": kind, "body": json.dumps(body)}
    return (await connection.execute(_KEEP, values)).rowcount == 1


async def unhandled(session: AsyncSession, source: str, event_id: str) -> dict[str, Any] | None:
    """The body of a kept event, locked for this transaction; None if it was handled, or is gone."""
    connection = await session.connection()
    return (await connection.execute(_UNHANDLED, {"source": source, "id": event_id})).scalar_one_or_none()


async def mark_handled(session: AsyncSession, source: str, event_id: str) -> None:
    """Note that nothing is left to do for an event, and nothing wrong with it any more."""
    connection = await session.connection()
    await connection.execute(_HANDLED, {"source": source, "id": event_id})


async def mark_failed(source: str, event_id: str, error: Exception) -> None:
    """Note why an event could not be worked, in a transaction of its own: that of the work is gone.

    Raises:
        DatabaseUnavailable: it is not noted.
    """
    # Our own messages are fit to be kept; others repeat what they complain of.
    said = str(error) if isinstance(error, SigmaError) else without_message(error).partition("\n")[0]
    about = {"source": source, "id": event_id, "error": f"{type(error).__name__}: {said}"}
    await get_database().run(Step(SERVICE, _FAILED, about))


async def put_back(session: AsyncSession, source: str, event_id: str) -> bool:
    """Let an event wait as if it had not been worked yet, in a transaction of SERVICE; whether there is such a one."""
    connection = await session.connection()
    return (await connection.execute(_PUT_BACK, {"source": source, "id": event_id})).rowcount == 1


async def forget_old(session: AsyncSession, handled: timedelta, unhandled: timedelta) -> None:
    """Remove the events that came so long ago: what was handled, and what nobody has handled all that time."""
    connection = await session.connection()
    await connection.execute(_FORGET, {"handled": handled, "unhandled": unhandled})


_KEEP = text(
    "INSERT INTO sigma.webhook_events (source, id, type, body) VALUES (:source, :id, :type, CAST(:body AS jsonb))"
    " ON CONFLICT DO NOTHING"
)
_UNHANDLED = text(
    "SELECT body FROM sigma.webhook_events WHERE source = :source AND id = :id AND handled_at IS NULL FOR UPDATE"
)
_HANDLED = text("UPDATE sigma.webhook_events SET handled_at = now(), error = NULL WHERE source = :source AND id = :id")
_FAILED = (
    "UPDATE sigma.webhook_events SET tries = tries + 1, error = %(error)s"
    " WHERE source = %(source)s AND id = %(id)s AND handled_at IS NULL"
)
_PUT_BACK = text("UPDATE sigma.webhook_events SET handled_at = NULL, error = NULL WHERE source = :source AND id = :id")
_FORGET = text(
    "DELETE FROM sigma.webhook_events"
    " WHERE received_at < now() - CASE WHEN handled_at IS NULL THEN CAST(:unhandled AS interval)"
    " ELSE CAST(:handled AS interval) END"
)
