"""Telling of events: which endpoints want one, and the secret that signs for the application's own.

Endpoints are `webhook_endpoint` objects, as at Stripe. Where there is none, events go to the server that this process
serves, or would serve: its own `/webhooks/stripe`.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakKeyDictionary

from sigma_app.core.database import SERVICE, Database, Step, get_database
from sigma_app.embedded.stripe import faults
from sigma_app.embedded.stripe.books import Books, Thing
from sigma_app.settings import get_settings

PATH = "/webhooks/stripe"
OWN = ""  # stands for the application's own endpoint, which is no object
_MAKE = (
    "insert into sigma.sandbox_settings (name, value) values ('signing secret', to_jsonb(%s::text))"
    " on conflict do nothing"
)
_READ = "select value #>> '{}' from sigma.sandbox_settings where name = 'signing secret'"

_untold: ContextVar[bool] = ContextVar("untold", default=False)
_secrets: WeakKeyDictionary[Database, str] = WeakKeyDictionary()  # a process has one database, and tests many


@contextmanager
def untold() -> Iterator[None]:
    """Deliver nothing of what happens inside the block: whoever does it knows, and reads it back."""
    token = _untold.set(True)
    try:
        yield
    finally:
        _untold.reset(token)


async def signing_secret() -> str:
    """What events for the application's own endpoint are signed with; made at the first need, one for a database.

    Raises:
        DatabaseUnavailable: it cannot be had.
    """
    database = get_database()
    if database not in _secrets:
        made = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
        rows = await database.run(Step(SERVICE, _MAKE, [made]), Step(SERVICE, _READ))
        _secrets[database] = rows[0][0]
    return _secrets[database]


async def deliver(books: Books, events: Sequence[Thing]) -> None:
    """Queue the deliveries of new events, as far as the sandbox is not told to do otherwise."""
    if not events or _untold.get():
        return
    endpoints = await books.all("webhook_endpoint")
    wrong = await books.setting(faults.DELIVERIES, {})
    for event in events:
        wanting = [one["id"] for one in endpoints if _wants(one, event)] if endpoints else [OWN]
        event["pending_webhooks"] = len(wanting)
        await books.put(event)
        for endpoint in wanting:
            await faults.queue(books, wrong, event["id"], endpoint)
    if wrong:
        await books.set(faults.DELIVERIES, wrong)


def _wants(endpoint: Thing, event: Thing) -> bool:
    return endpoint["status"] == "enabled" and bool({"*", event["type"]} & set(endpoint["enabled_events"]))


def own_endpoint() -> str:
    """Where the application's own webhook is, from this machine."""
    return f"{get_settings().local_url}{PATH}"
