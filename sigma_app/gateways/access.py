"""Where Supabase is and which keys open it: what a client is made with, hosted or at the stand-in of our own."""

from __future__ import annotations

from dataclasses import dataclass, field

from sigma_app.embedded.supabase.keys import keys_in
from sigma_app.settings import Settings


@dataclass(frozen=True)
class Access:
    """What a client of Supabase is made with."""

    url: str
    anon_key: str
    service_role_key: str = field(repr=False)


def access(settings: Settings, base_url: str | None = None) -> Access:
    """How to reach Supabase.

    Args:
        settings: which one.
        base_url: where the stand-in is served, if it is one; the configured address unless given.
    """
    if settings.supabase_url and settings.supabase_anon_key and settings.supabase_service_role_key:
        return Access(
            str(settings.supabase_url).rstrip("/"),
            settings.supabase_anon_key.get_secret_value(),
            settings.supabase_service_role_key.get_secret_value(),
        )
    keys = keys_in(settings.data_dir)
    return Access(base_url or settings.base_url, keys.anon, keys.service_role)
