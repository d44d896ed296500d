"""PostgREST's HTTP API over schema `public`, as the token's role: row level security decides."""

from starlette.applications import Starlette

from sigma_app.embedded.supabase.gate import Service
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings


def service(settings: Settings, keys: Keys) -> Service:
    """The service, to be mounted."""
    return Service(
        Starlette(),
        exposed_headers=(
            *("Content-Encoding", "Content-Location", "Content-Range", "Content-Type", "Date", "Location", "Server"),
            *("Transfer-Encoding", "Range-Unit"),
        ),
    )
