"""Which part of Sigma is served from where, in words: for the end of a start and for `status`."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from sigma_app.settings import PARTS, Part, Settings

_LOCAL: dict[Part, str] = {
    "database": "embedded Postgres",
    "auth": "not built yet",
    "payments": "not built yet",
    "mail": "not built yet",
}
_SWITCH: dict[Part, str] = {
    "database": "DATABASE_URL",
    "auth": "VITE_SUPABASE_URL",
    "payments": "STRIPE_SECRET_KEY",
    "mail": "RESEND_API_KEY",
}


def describe_parts(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """For each part: its name, "local" or "hosted", and what serves it. Holds no secret."""
    for part in PARTS:
        if settings.is_hosted(part):
            yield part, "hosted", _hosted_at(part, settings)
        else:
            yield part, "local", f"{_LOCAL[part]}; {_SWITCH[part]} makes it hosted"


def _hosted_at(part: Part, settings: Settings) -> str:
    if part == "database" and settings.database_url:
        return urlsplit(settings.database_url.get_secret_value()).hostname or "DATABASE_URL"
    if part == "auth":
        return str(settings.supabase_url)
    return {"payments": "Stripe", "mail": "Resend"}[part]
