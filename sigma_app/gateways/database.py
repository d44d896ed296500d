"""Which Postgres Sigma uses: the one DATABASE_URL names, else the embedded one; the code behind it is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from anyio import to_thread

from sigma_app.core.database import SILENCE_SECONDS, Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.embedded import postgres
from sigma_app.settings import Settings, get_settings

_ON_ITS_WAY = 2.0  # seconds for the answer of a statement that ended at its limit


def owner_url(settings: Settings) -> str:
    """The address with the owner's rights, for migrations, backups and psql; never for a request."""
    if settings.database_url:
        return settings.database_url.get_secret_value()
    return postgres.locate(settings).owner_url()


def database_directory(settings: Settings) -> Path:
    """Where the embedded Postgres keeps its files."""
    return postgres.locate(settings).layout.home


@cache
def login_address() -> str:
    """The address that this process's requests connect with; asked of the database once, which may take a while.

    Raises:
        StartError: the database does not answer, or not to this login.
    """
    settings = get_settings()
    given = settings.database_login_url.get_secret_value() if settings.database_login_url else None
    return login_url(owner_url(settings), given)


@asynccontextmanager
async def serving_requests() -> AsyncIterator[None]:
    """Keep this process's pool of connections open, as the login role that owns nothing.

    `run` has asked for the address before, and knows it; under `make dev` this process is the first to ask.
    """
    address, settings = await to_thread.run_sync(login_address), get_settings()
    # A statement of REST may be allowed to run for longer than ours
    silence = max(SILENCE_SECONDS, settings.rest_statement_seconds + _ON_ITS_WAY)
    async with Database(address, settings.database_pool_size, silence) as database:
        with serve_requests_from(database):
            yield
