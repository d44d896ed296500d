"""One database for a module's tests, with the tables of `tables.sql` beside the documented ones.

`rest` asks as the service, `visitor` as anon; `as_person(person)` as somebody signed in. Modules that write lay the
rows anew for each test (`fresh_rows`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from sigma_app.core import login
from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase import app, tokens
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings
from tests.conftest import Person, settings_for

ORIGIN = "http://localhost:3000"
TABLES = (Path(__file__).parent / "tables.sql").read_text()
ROWS = (Path(__file__).parent / "rows.sql").read_text()


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """Environment variables that a test module changes."""
    return {}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]) -> Settings:
    return settings_for(tmp_path_factory.mktemp("rest") / "data", **variables)


@pytest.fixture(scope="module")
def owner_url(server, template) -> Iterator[str]:
    name = server.create(template)
    yield server.address(name)
    server.drop(name)


@pytest.fixture(scope="module")
def owner(owner_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(TABLES.encode())
        connection.execute(ROWS.encode())
        yield connection


@pytest.fixture
def fresh_rows(owner: psycopg.Connection) -> None:
    """The rows as they were at first, whatever an earlier test did to them."""
    owner.execute("delete from public.leads; delete from auth.users")
    owner.execute(ROWS.encode())


@pytest.fixture(scope="module")
async def database(owner: psycopg.Connection, owner_url: str) -> AsyncIterator[Database]:
    async with Database(login.login_url(owner_url), pool_size=4) as opened:
        yield opened


@pytest.fixture(scope="module")
def supabase_app(settings: Settings, keys: Keys, database: Database) -> Iterator[Starlette]:
    with serve_requests_from(database):
        yield Starlette(routes=app.routes(settings, keys))


@pytest.fixture(scope="module")
async def connect(supabase_app: Starlette) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of /rest/v1, each with its own headers."""
    opened: list[httpx.AsyncClient] = []

    def make(**headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(supabase_app)  # what the application raises, the test raises
        client = httpx.AsyncClient(transport=transport, base_url=f"{ORIGIN}/rest/v1", headers=headers)
        opened.append(client)
        return client

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture(scope="module")
def rest(connect: Callable[..., httpx.AsyncClient], keys: Keys) -> httpx.AsyncClient:
    """A server of ours."""
    return connect(apikey=keys.service_role)


@pytest.fixture(scope="module")
def visitor(connect: Callable[..., httpx.AsyncClient], keys: Keys) -> httpx.AsyncClient:
    """Nobody signed in."""
    return connect(apikey=keys.anon)


@pytest.fixture(scope="module")
def sign(keys: Keys) -> Callable[..., str]:
    """Makes tokens: `sign(role=…, sub=…)`, good for an hour unless `exp` says otherwise."""
    return lambda **claims: tokens.sign({"exp": int(time.time()) + 3600, **claims}, keys.secret)


@pytest.fixture(scope="module")
def bearing(connect: Callable[..., httpx.AsyncClient], keys: Keys) -> Callable[[str], httpx.AsyncClient]:
    """Makes a client with the anon key and this Authorization header."""
    return lambda authorization: connect(apikey=keys.anon, authorization=authorization)


@pytest.fixture(scope="module")
def as_person(bearing, sign) -> Callable[[Person], httpx.AsyncClient]:
    """Makes a client of somebody signed in."""
    return lambda person: bearing(f"Bearer {sign(role='authenticated', aud='authenticated', sub=str(person.id))}")


@pytest.fixture
def sign_up(owner: psycopg.Connection, fresh_rows: None) -> Callable[[str], Person]:
    def register(name: str) -> Person:
        person = Person(uuid4(), f"{name}@example.com")
        owner.execute("insert into auth.users (id, email) values (%s, %s)", [person.id, person.email])
        return person

    return register
