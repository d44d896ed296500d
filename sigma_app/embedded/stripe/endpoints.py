"""Webhook endpoints (https://docs.stripe.com/api/webhook_endpoints): who is told of events."""

from __future__ import annotations

import secrets
from base64 import b64encode

from sigma_app.embedded.stripe.books import Books, Thing, new_id
from sigma_app.embedded.stripe.errors import required
from sigma_app.embedded.stripe.form import flag, merged


async def create(books: Books, params: Thing) -> Thing:
    """An endpoint; the answer alone has its signing secret."""
    for name in ("url", "enabled_events"):
        if not params.get(name):
            raise required(name)
    endpoint: Thing = {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": params.get("api_version"),
        "application": None,
        "created": await books.now(),
        "description": params.get("description"),
        "enabled_events": list(params["enabled_events"]),
        "livemode": False,
        "metadata": params.get("metadata") or {},
        "status": "enabled",
        "url": params["url"],
        "_secret": f"whsec_{b64encode(secrets.token_bytes(24)).decode()}",
    }
    await books.put(endpoint)
    return {**endpoint, "secret": endpoint["_secret"]}


async def update(books: Books, params: Thing, identity: str) -> Thing:
    """Its address, its events, whether it is told of any."""
    endpoint = await books.get("webhook_endpoint", identity, "webhook_endpoint")
    for name in ("url", "description", "enabled_events"):
        if name in params:
            endpoint[name] = params[name]
    if "disabled" in params:
        endpoint["status"] = "disabled" if flag(params, "disabled") else "enabled"
    endpoint["metadata"] = merged(endpoint["metadata"], params)
    return await books.put(endpoint)


async def delete(books: Books, params: Thing, identity: str) -> Thing:
    """It is told of nothing any more."""
    await books.remove(await books.get("webhook_endpoint", identity, "webhook_endpoint"))
    return {"id": identity, "object": "webhook_endpoint", "deleted": True}
