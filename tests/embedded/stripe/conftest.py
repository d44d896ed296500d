"""The sandbox as the application reaches it: through the SDK, in process, into a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import stripe

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.stripe.app import Transport
from sigma_app.embedded.stripe.books import shown
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.embedded.stripe.shapes import problems
from tests.settled import settled

Ask = Callable[..., Awaitable[httpx.Response]]


class Connections(stripe.HTTPClient):
    """What the SDK sends with here."""

    name = "httpx"

    def __init__(self, client: httpx.AsyncClient):
        super().__init__()
        self._client = client
        self.headers: list[Mapping[str, str]] = []

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            answer = await self._client.request(method, url, headers=dict(headers), content=post_data)
        except httpx.HTTPError as error:
            raise stripe.APIConnectionError(type(error).__name__, should_retry=True) from error
        self.headers.append(answer.headers)
        if answer.is_success:
            assert problems(answer.json()) == []
        return answer.content, answer.status_code, answer.headers

    async def sleep_async(self, secs: float) -> None:
        """Not at all."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with settled(settings_for(tmp_path)) as settings:
        yield settings


@pytest.fixture
async def wire(settings: Settings, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Requests as the SDK would not make them."""
    with serve_requests_from(database):
        async with httpx.AsyncClient(transport=Transport(), base_url="http://stripe.sandbox", timeout=0.2) as client:
            yield client


@pytest.fixture(autouse=True)
def everything_has_its_shape(owner: psycopg.Connection) -> Iterator[None]:
    """After every test, whatever is in the books and whatever was told of it is as Stripe publishes it."""
    yield
    for (body,) in owner.execute("select body from sigma.sandbox_objects").fetchall():
        if not body.get("deleted"):
            assert problems(shown(body)) == []
        if body["object"] == "event":
            assert problems(body["data"]["object"], body["type"]) == []


@pytest.fixture
def connections(wire: httpx.AsyncClient) -> Connections:
    return Connections(wire)


@pytest.fixture
def sdk(connections: Connections) -> Any:
    """The SDK's client, `v1` of it; untyped, since tests ask for what the types do not allow."""
    client = stripe.StripeClient(
        "sk_test_any",
        http_client=connections,
        base_addresses={"api": "http://stripe.sandbox"},
        max_network_retries=0,
    )
    return client.v1


@pytest.fixture
async def product(sdk: Any) -> Any:
    return await sdk.products.create_async({"id": "sigma", "name": "Sigma"})


@pytest.fixture
async def monthly(sdk: Any, product: Any) -> Any:
    """19.00 EUR a month."""
    return await sdk.prices.create_async(
        {"product": product.id, "currency": "eur", "unit_amount": 1900, "recurring": {"interval": "month"}}
    )


@pytest.fixture
async def yearly(sdk: Any, product: Any) -> Any:
    """190.00 EUR a year."""
    return await sdk.prices.create_async(
        {"product": product.id, "currency": "eur", "unit_amount": 19000, "recurring": {"interval": "year"}}
    )


@pytest.fixture
async def once(sdk: Any, product: Any) -> Any:
    """99.00 EUR, once."""
    return await sdk.prices.create_async({"product": product.id, "currency": "eur", "unit_amount": 9900})


@pytest.fixture
async def alice(sdk: Any) -> Any:
    """A customer, by the real time."""
    return await sdk.customers.create_async({"email": "alice@example.com", "name": "Alice"})


@pytest.fixture
def checkout(sdk: Any, alice: Any) -> Callable[..., Awaitable[Any]]:
    """Opens a checkout of Alice's for a price."""

    async def open_checkout(price: Any, **params: Any) -> Any:
        wanted = {
            "mode": "subscription" if price.recurring else "payment",
            "customer": alice.id,
            "line_items": [{"price": price.id, "quantity": 1}],
            "success_url": "http://sigma.test/thanks?session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://sigma.test/billing",
        }
        return await sdk.checkout.sessions.create_async(wanted | params)

    return open_checkout


@pytest.fixture
def told(owner: psycopg.Connection) -> Callable[..., list[str]]:
    """The types of the events since it was last asked, in their order, but for those of products and prices."""
    seen = [0]

    def types(*beside: str) -> list[str]:
        rows = owner.execute(
            "select number, body ->> 'type' from sigma.sandbox_objects where kind = 'event' and number > %s"
            " order by number",
            [seen[0]],
        ).fetchall()
        seen[0] = max((number for number, _ in rows), default=seen[0])
        return [kind for _, kind in rows if not kind.startswith(("product.", "price.", "test_helpers.", *beside))]

    return types
