"""Who people are, and their files, by Supabase's SDK: at SUPABASE_URL, or in process at the stand-in of our own.

The stand-in is reached as everybody reaches it, over HTTP with a key; only the socket is spared.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from sigma_app.embedded.supabase import app as embedded
from sigma_app.settings import Settings


def routes(settings: Settings) -> list[BaseRoute]:
    """Supabase's HTTP API, where Supabase does not serve it itself."""
    return [] if settings.is_hosted("auth") else embedded.routes(settings)
