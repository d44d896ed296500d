"""A portal without its pages: sessions in a fresh database, and the stand-in for Supabase in process.

The fixtures of tests/session and tests/features/accounts, whose conftest.py name them.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import Tokens
from sigma_app.gateways.mail import sending_mail
from sigma_app.session import store
from sigma_app.session.store import Session
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.logged import logged
from tests.settled import settled

PASSWORD = "correct horse battery"

SignIn = Callable[[str], Awaitable[Tokens]]


def one_time_token(owner: psycopg.Connection, email: str, kind: str) -> tuple[UUID, str]:
    """The id and the hash of what the latest mail of a kind to an address brings; `kind` as `auth.one_time_tokens`."""
    found = owner.execute(
        "select id, token_hash from auth.one_time_tokens where relates_to = %s and token_type::text = %s", [email, kind]
    ).fetchone()
    assert found, f"No {kind} for {email}"
    return found[0], found[1]


@pytest.fixture
def variables() -> dict[str, str]:
    """Environment variables that a test module changes; by their names in `.env.example`."""
    return {}


@pytest.fixture
def settings(tmp_path: Path, variables: dict[str, str]) -> Iterator[Settings]:
    """The settings of this process."""
    with settled(settings_for(tmp_path, **variables)) as settings:
        yield settings


@pytest.fixture
async def serving(settings: Settings, database: Database) -> AsyncIterator[Settings]:
    """This process serves requests from the test's database."""
    with serve_requests_from(database):
        yield settings


@pytest.fixture
async def mailing(serving: Settings) -> AsyncIterator[None]:
    """Mails go to the mailbox."""
    async with sending_mail():
        yield


@pytest.fixture
def sign_in(serving: Settings) -> SignIn:
    """Signs somebody in at Supabase, who gets an account first where there is none."""
    known: set[str] = set()

    async def tokens(name: str = "alice") -> Tokens:
        email = f"{name}@example.com"
        if email not in known:
            await accounts.create_confirmed(email, PASSWORD)
            known.add(email)
        return await accounts.sign_in(email, PASSWORD)

    return tokens


@pytest.fixture
async def tokens(sign_in: SignIn) -> Tokens:
    """Alice's at Supabase."""
    return await sign_in("alice")


@pytest.fixture
async def cookie(tokens: Tokens) -> str:
    """Of the browser in which Alice is signed in."""
    return await store.open_session(tokens, "Alice's browser")


@pytest.fixture
async def session(cookie: str) -> Session:
    """Alice's, in that browser."""
    found = await store.find(cookie)
    assert found
    return found


@pytest.fixture
def turn_back(owner: psycopg.Connection) -> Callable[..., None]:
    """Makes every session older: `turn_back(created_at="2 days", tokens_end_at="1 hour")`."""

    def turn(**columns: str) -> None:
        for column, interval in columns.items():
            owner.execute(f"update sigma.sessions set {column} = {column} - %s::interval".encode(), [interval])

    return turn


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever is logged, by whomever and however chatty: no cookie and no token of Alice's is in it."""
    caplog.set_level(logging.DEBUG)
    yield
    given = request.node.funcargs
    secrets = [given["cookie"]] if "cookie" in given else []
    secrets += [given["tokens"].access, given["tokens"].refresh] if "tokens" in given else []
    text = logged(caplog)
    assert [secret for secret in [*secrets, PASSWORD] if secret in text] == []
