"""The door that Resend tells events at: `POST /webhooks/resend`, signed (https://resend.com/docs/webhooks)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import resend
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.core.jobs import queue_job
from sigma_app.core.metrics import WEBHOOKS
from sigma_app.core.webhooks import LARGEST_BODY, keep_once
from sigma_app.features.mail.service import APPLY_EVENT
from sigma_app.settings import get_settings

logger = logging.getLogger(__name__)


async def receive(request: Request) -> Response:
    """Keep an event and queue what follows from it, once; anything but a 200 makes Resend tell it again later."""
    secret = get_settings().resend_webhook_secret
    if secret is None:
        return PlainTextResponse("RESEND_WEBHOOK_SECRET is not set here, so no event can be verified.", 503)
    event_id = request.headers.get("svix-id", "")
    try:
        event = resend.Webhooks.verify(
            {
                "payload": (await read_body(request, LARGEST_BODY)).decode(),
                "webhook_secret": secret.get_secret_value(),
                "headers": {
                    "id": event_id,
                    "timestamp": request.headers.get("svix-timestamp", ""),
                    "signature": request.headers.get("svix-signature", ""),
                },
            }
        )
    except BodyTooLarge:
        return PlainTextResponse("That is more than an event holds.", 413)
    except ValueError:  # the SDK's for all that does not verify, and decode()'s
        WEBHOOKS.labels("resend", "forged").inc()
        return PlainTextResponse("This is no event with a valid signature of the last five minutes.", 400)
    if not isinstance(event, dict):
        WEBHOOKS.labels("resend", "refused").inc()
        return PlainTextResponse("An event is a JSON object.", 400)
    try:
        await _keep(event_id, event)
    except DatabaseUnavailable:
        WEBHOOKS.labels("resend", "failed").inc()
        return PlainTextResponse("The database is away for a moment.", 503, {"retry-after": "5"})
    except DBAPIError as error:
        WEBHOOKS.labels("resend", "refused").inc()
        logger.error("An event of Resend could not be kept: %s", without_message(error))
        return PlainTextResponse("This event cannot be kept.", 400)
    return PlainTextResponse("Thank you.")


async def _keep(event_id: str, event: Mapping[str, Any]) -> None:
    async with get_database().transaction(SERVICE) as session:
        new = await keep_once(session, "resend", event_id, str(event.get("type", "")), event)
        if new:
            await queue_job(session, APPLY_EVENT, source="resend", event_id=event_id)
    WEBHOOKS.labels("resend", "kept" if new else "known").inc()


ROUTES = [Route("/webhooks/resend", receive, methods=["POST"])]
