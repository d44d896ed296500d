"""A portal with a till: Stripe's sandbox in process, the catalogue laid, and the webhook to tell events at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest
import stripe
from starlette.applications import Starlette

from sigma_app import worker
from sigma_app.core import jobs as queue
from sigma_app.embedded.stripe import acts
from sigma_app.embedded.stripe.books import opened
from sigma_app.embedded.stripe.events import signing_secret
from sigma_app.features.billing import checkout, http, jobs, thanks, webhook, work
from sigma_app.features.billing.reconcile import Report, back_fill, reconcile
from sigma_app.features.billing.setup import set_up
from sigma_app.gateways.payments import reaching_stripe, stripe_client
from sigma_app.session.store import Session
from sigma_app.settings import Settings
from tests.portal import (
    cookie,
    mailing,
    nothing_secret_is_logged,
    serving,
    session,
    settings,
    sign_in,
    tokens,
    turn_back,
    variables,
)

__all__ = [
    "cookie",
    "mailing",
    "nothing_secret_is_logged",
    "serving",
    "session",
    "settings",
    "sign_in",
    "tokens",
    "turn_back",
    "variables",
]

MONTHLY, YEARLY, FOR_GOOD = "sigma_monthly", "sigma_yearly", "sigma_for_good"

Event = dict[str, Any]
Posting = Callable[[], Awaitable[list[tuple[str, str]]]]


@dataclass
class Till:
    """The sandbox as a test stands at it, and what it tells."""

    door: httpx.AsyncClient
    told: set[str] = field(default_factory=set)

    @property
    def api(self) -> Any:
        """Stripe's API, by its SDK."""
        return stripe_client().v1

    async def news(self) -> list[Event]:
        """The events that this has not returned before, in the order in which they happened."""
        async with opened() as books:
            found = [event for event in await books.all("event") if event["id"] not in self.told]
        self.told |= {event["id"] for event in found}
        return found[::-1]

    async def tell(self, event: Event, signature: str | None = None) -> httpx.Response:
        """Tell an event at the webhook, rightly signed unless a signature is given."""
        body = json.dumps(event)
        return await self.tell_raw(body, await sign(body) if signature is None else signature)

    async def tell_raw(self, body: str, signature: str) -> httpx.Response:
        return await self.door.post(
            webhook.PATH, content=body.encode("utf-8", "surrogatepass"), headers={"stripe-signature": signature}
        )

    async def catch_up(self, events: Sequence[Event] | None = None) -> None:
        """Tell the events, all news unless given, and work them."""
        for event in await self.news() if events is None else events:
            assert (await self.tell(event)).status_code == 200
            await work.work(event["id"])

    async def buy(self, session: Session, plan: str, how: Callable[[str], Awaitable[Any]] = acts.pay) -> str:
        """Go to checkout for a plan and stand at it; the id of the checkout."""
        identity = (await checkout.open_checkout(session, plan)).rpartition("/")[2]
        await how(identity)
        return identity


async def sign(body: str, secret: str | None = None, at: int | None = None) -> str:
    """The header that signs a body, with the sandbox's own secret unless given, now unless given."""
    secret = await signing_secret() if secret is None else secret
    return stripe.WebhookSignature.generate_signature_header(body, secret, at)


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """Limits begin anew with each test."""
    http._limiter.cache_clear()
    thanks._limiter.cache_clear()


@pytest.fixture
async def door(serving: Settings) -> AsyncIterator[Till]:
    """The webhook and the forms, as whoever is not signed in reaches them."""
    transport = httpx.ASGITransport(Starlette(routes=[*webhook.ROUTES, *http.ROUTES]))
    async with reaching_stripe(), httpx.AsyncClient(transport=transport, base_url=serving.base_url) as client:
        yield Till(client)


@pytest.fixture
async def shop(door: Till) -> Till:
    """Plans are for sale, and nothing is bought yet."""
    await set_up(webhook=False)
    await back_fill(Report())
    await door.news()
    return door


@pytest.fixture
def post(login_url: str, owner: psycopg.Connection, shop: Till, mailing: None) -> Posting:
    """Tells and works all events and all jobs of billing; the mails so far: whom they went to, and their subjects."""
    assert jobs in worker.JOBS

    async def work() -> list[tuple[str, str]]:
        await shop.catch_up()
        await queue.work(login_url, (queue.QUEUE,), until_idle=True)
        rows = owner.execute("select recipients[1], subject from sigma.mailbox order by created_at").fetchall()
        return [(to, subject) for to, subject in rows]

    return work


async def subscription_of(shop: Till) -> str:
    """The latest subscription at Stripe."""
    return (await shop.api.subscriptions.list_async({"status": "all"})).data[0].id


async def charge_of(shop: Till) -> str:
    """The latest charge at Stripe."""
    return (await shop.api.charges.list_async()).data[0].id


async def compared() -> Report:
    """What the comparison with Stripe finds."""
    report = Report()
    await reconcile(report)
    return report


@dataclass(frozen=True)
class Standing:
    """What the database says about somebody's access."""

    access: bool
    price: str | None
    customer: str | None
    rules: list[str]
    """Of the record of their access, from the first to the last."""


Stands = Callable[[], Standing]


@pytest.fixture
def standing(owner: psycopg.Connection, session: Session) -> Stands:
    """How Alice stands."""

    def read() -> Standing:
        row = owner.execute(
            "select has_access, price_id, customer_id from profiles where id = %s", [session.user_id]
        ).fetchone()
        assert row
        rules = owner.execute(
            "select rule from billing.access_changes where user_id = %s order by id", [session.user_id]
        )
        return Standing(bool(row[0]), row[1], row[2], [rule for (rule,) in rules.fetchall()])

    return read
