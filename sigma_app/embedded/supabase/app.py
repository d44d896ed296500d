"""Where the three services are mounted, each behind the gate."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount

from sigma_app.embedded.supabase import auth, rest, storage
from sigma_app.embedded.supabase.gate import guarded, with_line_breaks
from sigma_app.embedded.supabase.keys import Keys, keys_in
from sigma_app.settings import Settings


def routes(settings: Settings, keys: Keys | None = None) -> list[BaseRoute]:
    """`/auth/v1`, `/rest/v1` and `/storage/v1`, over the database of this process's requests.

    Args:
        settings: what each may and may not.
        keys: what opens them; those of the data directory unless given.
    """
    keys = keys or keys_in(settings.data_dir)
    return with_line_breaks(
        Mount("/auth/v1", guarded(auth.service(settings, keys), keys)),
        Mount("/rest/v1", guarded(rest.service(settings, keys), keys)),
        Mount("/storage/v1", guarded(storage.service(settings, keys), keys)),
    )
