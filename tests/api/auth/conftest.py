"""Auth for tests: a module shares one database, in which each test has people of its own.

`here.ask(…)` is a request of a visitor, or with `bearer` of somebody signed in; `here.manage(…)` one of an
administrator; `here.under(…)` the same service under other settings.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row
from starlette.applications import Starlette

from sigma_app.core import login
from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase import app
from sigma_app.embedded.supabase.auth import mails
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings
from tests.api.conftest import ORIGIN
from tests.conftest import Server, settings_for

PASSWORD = "correct horse"
PASSWORD_HASH = "$2a$10$nifK4BSjyX3TX6dk6yu8ne77dUydWXxhce6CJcFGlYYKk2eeYN4cO"  # of PASSWORD
AUTH = f"{ORIGIN}/auth/v1"
NEWER = {"X-Supabase-Api-Version": "2024-01-01"}
_numbers = itertools.count(1)


def address(name: str = "alice") -> str:
    """An address that nobody has."""
    return f"{name}{next(_numbers)}@example.com"


@dataclass(frozen=True)
class Member:
    """Somebody who confirmed their address and is signed in."""

    id: str
    email: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True)
class Pending:
    """A mail that was asked for: what its link and its code are."""

    id: UUID
    hash: str
    code: str


@dataclass(frozen=True)
class Here:
    """The service, and the eyes of whoever owns the database."""

    served: Starlette
    settings: Settings
    keys: Keys
    owner: psycopg.Connection[dict[str, Any]]

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.served, raise_app_exceptions=False)
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return httpx.AsyncClient(transport=transport, headers=encoded)

    def under(self, **variables: str) -> Here:
        settings = settings_for(self.settings.data_dir, **variables)
        return replace(self, settings=settings, served=Starlette(routes=app.routes(settings, self.keys)))

    async def ask(
        self, method: str, path: str, body: Any = None, *, bearer: str | None = None, **headers: str
    ) -> httpx.Response:
        given = {"apikey": self.keys.anon} | {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer:
            given["Authorization"] = f"Bearer {bearer}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client(**given) as client:
            return await client.request(method, f"{AUTH}{path}", content=content)

    async def manage(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return await self.ask(method, path, body, bearer=self.keys.service_role, **headers)

    async def member(self, email: str | None = None, **more: Any) -> Member:
        email = email or address()
        body = {"email": email, "password_hash": PASSWORD_HASH, "email_confirm": True} | more
        made = await self.manage("POST", "/admin/users", body)
        assert made.status_code == 200, made.text
        link = await self.manage("POST", "/admin/generate_link", {"type": "magiclink", "email": email})
        tokens = await self.ask("POST", "/verify", {"type": "magiclink", "token_hash": link.json()["hashed_token"]})
        assert tokens.status_code == 200, tokens.text
        self.change(email, "recovery_sent_at = null")  # so that the next mail need not wait
        return Member(made.json()["id"], email, tokens.json()["access_token"], tokens.json()["refresh_token"])

    async def newcomer(self, email: str | None = None, **more: Any) -> str:
        """The address of somebody who signed up and did not confirm it."""
        email = email or address()
        answer = await self.ask("POST", "/signup", {"email": email, "password": PASSWORD} | more)
        assert answer.status_code == 200, answer.text
        return email

    async def sign_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return await self.ask("POST", "/token?grant_type=password", {"email": email, "password": password})

    async def refresh(self, token: str) -> httpx.Response:
        return await self.ask("POST", "/token?grant_type=refresh_token", {"refresh_token": token})

    async def who(self, access_token: str) -> httpx.Response:
        return await self.ask("GET", "/user", bearer=access_token)

    def row(self, query: str, *values: Any) -> dict[str, Any]:
        found = self.owner.execute(query.encode(), values).fetchone()
        assert found is not None
        return found

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return self.owner.execute(query.encode(), values).fetchall()

    def user(self, email: str) -> dict[str, Any]:
        return self.row("select * from auth.users where email = %s", email)

    def change(self, email: str, assignments: str) -> None:
        self.owner.execute(f"update auth.users set {assignments} where email = %s".encode(), [email])

    def pending(self, email: str, kind: str = "confirmation_token") -> Pending:
        """The mail of a kind that was asked for last, and went to this address."""
        row = self.row(
            "select * from auth.one_time_tokens where relates_to = %s and token_type::text = %s", email, kind
        )
        return Pending(
            row["id"], row["token_hash"], mails.code_of(self.keys, row["id"], self.settings.auth_code_length)
        )

    def mails(self, email: str) -> list[dict[str, Any]]:
        """The arguments of the queued jobs whose mails would go to somebody now."""
        return [
            row["args"]
            for row in self.rows(
                """select job.args from procrastinate.procrastinate_jobs as job
                join auth.one_time_tokens as token on token.id::text = job.args ->> 'token'
                where job.task_name = 'accounts:send_auth_mail' and token.relates_to = %s order by job.id""",
                email,
            )
        ]


@pytest.fixture(scope="module")
def module_url(server: Server, template: str) -> Iterator[str]:
    """The owner's address of a database for the tests of a module."""
    name = server.create(template)
    yield server.address(name)
    server.drop(name)


@pytest.fixture(scope="module")
async def here(module_url: str, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Here]:
    settings = settings_for(tmp_path_factory.mktemp("auth"))
    with psycopg.Connection[dict[str, Any]].connect(module_url, autocommit=True, row_factory=dict_row) as owner:
        async with Database(login.login_url(module_url), pool_size=4) as database:
            database._pool.timeout = 60.0  # of fifty who come at once, the last waits for all others
            with serve_requests_from(database):
                yield Here(Starlette(routes=app.routes(settings, keys)), settings, keys, owner)
