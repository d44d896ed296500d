"""The embedded Supabase for tests: in process over a fresh database, with keys of its own.

`api` is plain httpx for what clients hide; `settings` in a test module, parametrized or overridden, changes what the
services may. The real clients are in their own fixtures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase import app
from sigma_app.embedded.supabase.keys import Keys, keys_in
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.sigma import Supabase

ORIGIN = "http://localhost:3000"


@pytest.fixture
def variables() -> dict[str, str]:
    """Environment variables that a test module changes; by their names in `.env.example`."""
    return {}


@pytest.fixture
def settings(tmp_path: Path, variables: dict[str, str]) -> Settings:
    return settings_for(tmp_path / "data", **variables)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return keys_in(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def supabase_app(settings: Settings, keys: Keys, database: Database) -> Iterator[Starlette]:
    """The three services, over this test's database."""
    with serve_requests_from(database):
        yield Starlette(routes=app.routes(settings, keys))


@pytest.fixture
async def connect(supabase_app: Starlette) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the API, each with its own headers: `connect(apikey=…, authorization=…)`."""
    opened: list[httpx.AsyncClient] = []

    def make(**headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(supabase_app, raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
def anon(connect: Callable[..., httpx.AsyncClient], keys: Keys) -> httpx.AsyncClient:
    """A visitor: the anon key, and nobody signed in."""
    return connect(apikey=keys.anon)


@pytest.fixture
def service(connect: Callable[..., httpx.AsyncClient], keys: Keys) -> httpx.AsyncClient:
    """A server of ours: the service key."""
    return connect(apikey=keys.service_role)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supabase]:
    """The stand-in in a process of its own, over real HTTP, for all who ask: each with people and rows of their own."""
    supabase = Supabase(tmp_path_factory.mktemp("served") / "data", variables={"GOTRUE_SMTP_MAX_FREQUENCY": "0"})
    supabase.start()
    yield supabase
    supabase.remove()
