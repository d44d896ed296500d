"""Supabase Auth's HTTP API (supabase/auth, version 2.196), as far as e-mail and passwords go."""

from starlette.applications import Starlette

from sigma_app.embedded.supabase.gate import Service
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings


def service(settings: Settings, keys: Keys) -> Service:
    """The service, to be mounted."""
    return Service(
        Starlette(),
        # A mailed link opens in a bare browser.
        open_paths=("/verify", "/callback", "/authorize", "/.well-known/jwks.json"),
        exposed_headers=("X-Total-Count", "Link", "X-Supabase-Api-Version"),
    )
