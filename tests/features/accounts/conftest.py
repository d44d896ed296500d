"""A portal, and browsers without scripts at its doors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from sigma_app.core.headers import hardened
from sigma_app.features.accounts import entrance_http, files_http, portal_http
from sigma_app.session import doors
from sigma_app.settings import Settings
from tests.portal import (
    cookie,
    mailing,
    nothing_secret_is_logged,
    one_time_token,
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

DOORS = [*entrance_http.ROUTES, *portal_http.ROUTES, *files_http.ROUTES]

NewBrowser = Callable[..., httpx.AsyncClient]
Mailed = Callable[..., str]


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    """Limits begin anew with each test, by its own settings."""
    for module in (doors, entrance_http, portal_http, files_http):
        for name, limiter in vars(module).items():
            if name.endswith("_limiter"):
                limiter.cache_clear()


@pytest.fixture
async def new_browser(serving: Settings) -> AsyncIterator[NewBrowser]:
    """Makes a browser with cookies of its own, whose forms come from a page of ours; follows no redirect."""
    opened: list[httpx.AsyncClient] = []

    def new(cookie: str | None = None, network: str = "192.0.2.1") -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(hardened(Starlette(routes=DOORS), ""), client=(network, 50_000)),
            base_url=serving.base_url,
            headers={"origin": serving.base_url},
        )
        if cookie:
            client.cookies.set("sigma_session", cookie, domain="localhost.local")  # as the jar has those of localhost
        opened.append(client)
        return client

    yield new
    for client in opened:
        await client.aclose()


@pytest.fixture
def browser(new_browser: NewBrowser) -> httpx.AsyncClient:
    """Somebody's who is not signed in."""
    return new_browser()


@pytest.fixture
def hers(new_browser: NewBrowser, cookie: str) -> httpx.AsyncClient:
    """Alice's, who is signed in."""
    return new_browser(cookie)


@pytest.fixture
def mailed(owner: psycopg.Connection) -> Mailed:
    """What the link of the latest mail to an address has in it."""

    def token_hash(email: str, kind: str = "confirmation_token") -> str:
        return one_time_token(owner, email, kind)[1]

    return token_hash
