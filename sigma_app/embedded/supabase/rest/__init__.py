"""PostgREST's HTTP API over schema `public`, as the token's role: row level security decides.

A request is read (request, query, grammar, preferences, media, payload), looked up in the catalog, made into one
statement (read, write, rpc over sql and records) and run as a transaction, whose one row holds the answer's body as
Postgres wrote it.
"""

from sigma_app.embedded.supabase.gate import Service
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.embedded.supabase.rest.api import Rest
from sigma_app.settings import Settings


def service(settings: Settings, keys: Keys) -> Service:
    """The service, to be mounted."""
    return Service(
        Rest(settings, keys),
        exposed_headers=(
            *("Content-Encoding", "Content-Location", "Content-Range", "Content-Type", "Date", "Location", "Server"),
            *("Transfer-Encoding", "Range-Unit"),
        ),
    )
