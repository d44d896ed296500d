"""Who people are, and their files, by Supabase's SDK: at SUPABASE_URL, or in process at the stand-in of our own.

The stand-in is reached as everybody reaches it, over HTTP with a key; only the socket is spared.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from sigma_app.embedded.supabase import app as embedded
from sigma_app.embedded.supabase.auth import mails
from sigma_app.embedded.supabase.auth.mails import AuthMail
from sigma_app.embedded.supabase.keys import keys_in
from sigma_app.gateways.access import access
from sigma_app.settings import Settings, get_settings

if TYPE_CHECKING:
    from supabase import AsyncClient

TIMEOUT = httpx.Timeout(20, connect=3)  # seconds; the longer one is for files


@cache
def routes() -> list[BaseRoute]:
    """Supabase's HTTP API, where Supabase does not serve it itself: one for this process, whoever asks."""
    settings = get_settings()
    return [] if settings.is_hosted("auth") else embedded.routes(settings)


@asynccontextmanager
async def reaching_supabase(
    *, as_service: bool = False, access_token: str = "", visitor: str = ""
) -> AsyncIterator[AsyncClient]:
    """A client of Supabase for the length of the block, for nobody in particular until somebody signs in with it.

    It writes a session nowhere, and never refreshes one by itself.

    Args:
        as_service: with the service's key, which row level security does not bind.
        access_token: of the user on whose behalf files are read and written.
        visitor: the address of the network that somebody comes from, by which the stand-in limits them. A project
            elsewhere sees this server's.
    """
    from supabase import AsyncClientOptions, acreate_client  # takes a while, and a start need not wait for it

    settings = get_settings()
    here = access(settings)
    async with AsyncExitStack() as stack:
        connections = _kept or await stack.enter_async_context(_connections(settings, visitor))
        # A flow with PKCE would end in the process that began it; here whoever has the mail goes on.
        options = AsyncClientOptions(
            httpx_client=connections, auto_refresh_token=False, persist_session=False, flow_type="implicit"
        )
        if access_token:
            options.headers["Authorization"] = f"Bearer {access_token}"
        yield await acreate_client(here.url, here.service_role_key if as_service else here.anon_key, options)


@asynccontextmanager
async def keeping_connections() -> AsyncIterator[None]:
    """Keep connections to a Supabase elsewhere open inside the block: a new one costs each call several round trips."""
    global _kept
    settings = get_settings()
    if not settings.is_hosted("auth"):
        yield
        return
    async with _connections(settings) as _kept:
        try:
            yield
        finally:
            _kept = None


_kept: httpx.AsyncClient | None = None


def _connections(settings: Settings, visitor: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=_transport(settings, visitor), timeout=TIMEOUT, follow_redirects=True)


def _transport(settings: Settings, visitor: str) -> httpx.AsyncBaseTransport | None:
    """In process at the stand-in; None, which is the network, at a Supabase elsewhere."""
    if settings.is_hosted("auth"):
        return None
    # An error of ours is a 500 as it would be over the network.
    return httpx.ASGITransport(
        Starlette(routes=routes()), raise_app_exceptions=False, client=(visitor or "127.0.0.1", 0)
    )


async def auth_mail(token: UUID, kind: str, redirect_to: str) -> AuthMail | None:
    """What a mail of the stand-in has to bring; None when its token is gone, or Supabase sends the mails itself.

    Args:
        token: the id of its row in `auth.one_time_tokens`.
        kind: one of `AuthMail.kind`.
        redirect_to: where its link leads in the end.

    Raises:
        OtherSecret: this process makes other codes than the one that asked for the mail.
        DatabaseUnavailable: the token could not be read.
    """
    settings = get_settings()
    if settings.is_hosted("auth"):
        return None
    return await mails.mail_of(token, kind, redirect_to, settings, keys_in(settings.data_dir))
