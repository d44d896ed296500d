"""Which Postgres Sigma uses: the one DATABASE_URL names, else the embedded one; the code behind it is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.embedded import postgres
from sigma_app.settings import Settings, get_settings


def owner_url(settings: Settings) -> str:
    """The address with the owner's rights, for migrations, backups and psql; never for a request."""
    if settings.database_url:
        return settings.database_url.get_secret_value()
    return postgres.locate(settings).owner_url()


@asynccontextmanager
async def serving_requests() -> AsyncIterator[None]:
    """Keep this process's pool of connections open, as the login role that owns nothing."""
    settings = get_settings()
    given = settings.database_login_url.get_secret_value() if settings.database_login_url else None
    address = await to_thread.run_sync(login_url, owner_url(settings), given)
    async with Database(address, settings.database_pool_size) as database:
        with serve_requests_from(database):
            yield
