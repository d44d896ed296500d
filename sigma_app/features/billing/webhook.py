"""The door that Stripe tells events at: `POST /webhooks/stripe`, signed (https://docs.stripe.com/webhooks).

The signature is checked on the raw body, the event is stored once by its id together with its job, and the answer is
given: all in one round trip to the database. What follows from it is the job's affair (work.py).
"""

from __future__ import annotations

import json
import logging
from typing import Any

import psycopg
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sigma_app.core.body import BodyTooLarge, read_body
from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.core.metrics import WEBHOOKS
from sigma_app.core.webhooks import LARGEST_BODY
from sigma_app.features.billing.events import customer_of
from sigma_app.gateways.payments import ForgedSignature, verify_event

PATH = "/webhooks/stripe"
KEPT = ("id", "object", "customer", "payment_intent", "charge", "invoice", "parent")
"""What is kept of an event's object: what it takes to read it at Stripe and to say whose it is (kept.py), and no names,
addresses or cards."""

logger = logging.getLogger(__name__)


async def receive(request: Request) -> Response:
    """Keep an event and queue its job, once; anything but a 2xx makes Stripe tell it again, for three days."""
    try:
        payload = await read_body(request, LARGEST_BODY)
    except BodyTooLarge:
        return PlainTextResponse("That is more than an event holds.", 413)
    try:
        await verify_event(payload, request.headers.get("stripe-signature", ""))
        event = _read(payload)
        ((new,),) = await get_database().run(Step(SERVICE, _KEEP, event))
        WEBHOOKS.labels("stripe", "kept" if new else "known").inc()
    except ForgedSignature as forged:
        WEBHOOKS.labels("stripe", "forged").inc()
        logger.warning("Somebody told an event of Stripe's that Stripe did not sign, or not lately.")
        return PlainTextResponse(str(forged), forged.status)
    except ValueError as error:
        WEBHOOKS.labels("stripe", "refused").inc()
        return PlainTextResponse(str(error), 400)
    except DatabaseUnavailable as away:
        WEBHOOKS.labels("stripe", "failed").inc()
        return PlainTextResponse(str(away), away.status, {"retry-after": "5"})
    except psycopg.Error as error:  # a NUL or half a surrogate pair, which jsonb cannot hold
        WEBHOOKS.labels("stripe", "refused").inc()
        logger.error("An event of Stripe could not be kept: %s", without_message(error))
        return PlainTextResponse("This event cannot be kept.", 400)
    return PlainTextResponse("Thank you.")


def _read(payload: bytes) -> dict[str, Any]:
    """What is kept of an event.

    Raises:
        ValueError: it is none.
    """
    try:
        event = json.loads(payload)
        known = {"id": event["id"], "kind": event["type"], "at": event["created"], "customer": customer_of(event)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError("This is no event.") from None
    if not (isinstance(known["id"], str) and isinstance(known["kind"], str) and type(known["at"]) is int):
        raise ValueError("This is no event.")
    about = {name: value for name, value in event["data"]["object"].items() if name in KEPT}
    kept = {"id": event["id"], "type": event["type"], "created": event["created"], "data": {"object": about}}
    return known | {"body": json.dumps(kept)}


ROUTES = [Route(PATH, receive, methods=["POST"])]

_KEEP = "select sigma.keep_stripe_event(%(id)s, %(kind)s, %(customer)s, to_timestamp(%(at)s), %(body)s::jsonb)"
