"""Delivers events: signed as Stripe signs them, over HTTP, again and again until they are acknowledged."""

from __future__ import annotations

import json
from base64 import b64encode

import httpx
import stripe

from sigma_app.core.jobs import JobError, job, queue
from sigma_app.embedded.stripe.books import Books, Thing, new_id, opened, shown
from sigma_app.embedded.stripe.clocks import advance_all
from sigma_app.embedded.stripe.events import own_endpoint, signing_secret

QUEUE = "sandbox"
TIMEOUT = 10.0  # seconds
_MOST_KEPT = 20  # tries of an event
_OTHER_SECRET = f"whsec_{b64encode(b'of somebody else entirely, who knows').decode()}"


class NotAcknowledged(JobError):
    """The webhook's endpoint did not answer with a 2xx."""


@job("stripe:deliver", queue=QUEUE)
async def deliver(event: str, endpoint: str, forged: str = "") -> None:
    """Deliver an event.

    Args:
        event: its id.
        endpoint: the id of the endpoint that it goes to; "" for the application's own.
        forged: "signature" or "body" for one that must be refused.

    Raises:
        NotAcknowledged: it was not taken; the job tries again.
    """
    async with opened() as books:
        told = await books.find("event", event)
        known = await books.find("webhook_endpoint", endpoint)
    if told is None or (endpoint and known is None):
        return
    url, secret = (known["url"], known["_secret"]) if known else (own_endpoint(), await signing_secret())
    if forged == "signature":
        secret, told = _OTHER_SECRET, {**told, "id": new_id("evt")}
    body = json.dumps(shown(told))
    headers = {"content-type": "application/json; charset=utf-8", "stripe-signature": sign(body, secret)}
    if forged == "body":
        body = body.replace('"livemode": false', '"livemode": true')
    said = await _post(url, body, headers)
    async with opened() as books:
        if kept := await books.find("event", event):
            await _note(books, kept, f"{forged and 'forged, '}{said}", said[:1] == "2" and not forged)
    if not forged and said[:1] != "2":
        raise NotAcknowledged(f"The webhook's endpoint said: {said}.")


def sign(body: str, secret: str) -> str:
    """The header that signs a body now (https://docs.stripe.com/webhooks/signature)."""
    return stripe.WebhookSignature.generate_signature_header(body, secret)


async def _post(url: str, body: str, headers: dict[str, str]) -> str:
    """What the endpoint said: a status, or why there is none."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            return str((await client.post(url, content=body, headers=headers)).status_code)
    except httpx.HTTPError as error:
        return type(error).__name__


async def _note(books: Books, event: Thing, said: str, is_taken: bool) -> None:
    """Keep with the event what was said to it; the dashboard shows it."""
    event["_deliveries"] = [*event.get("_deliveries", []), {"at": await books.now(), "said": said}][-_MOST_KEPT:]
    event["pending_webhooks"] = max(0, event["pending_webhooks"] - is_taken)
    await books.put(event)


@queue.periodic(cron="* * * * *")
@queue.task(name="stripe:let_time_pass", queue=QUEUE, queueing_lock="stripe:let_time_pass")
async def let_time_pass(timestamp: int) -> None:
    """Once a minute, do what is due for customers without a test clock: renewals, retries, ends."""
    await advance_all()
