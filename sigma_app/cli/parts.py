"""Which part of Sigma is served from where, in words: for the end of a start and for `status`."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from sigma_app.settings import PARTS, Part, Settings


def describe_parts(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """For each part: its name, "local" or "hosted", and what serves it. Holds no secret."""
    for part in PARTS:
        yield part, "hosted" if settings.is_hosted(part) else "local", _what_serves(part, settings)


def _what_serves(part: Part, settings: Settings) -> str:
    if part == "database":
        if settings.database_url is None:
            return "embedded Postgres; DATABASE_URL makes it hosted"
        return urlsplit(settings.database_url.get_secret_value()).hostname or "DATABASE_URL"
    if part == "mail":
        return _what_takes_mail(settings)
    # Sigma has no auth or payments yet, neither a stand-in nor a use of the hosted one.
    if not settings.is_hosted(part):
        return "not in this version of Sigma; nothing to set yet"
    hosted = {"auth": settings.supabase_url and settings.supabase_url.host, "payments": "Stripe"}
    return f"{hosted[part]}; not used by this version of Sigma yet"


def _what_takes_mail(settings: Settings) -> str:
    if settings.is_hosted("mail"):
        return f"Resend, from {settings.mail_sender}"
    if settings.env == "production":
        return "kept in the database and sent to nobody; RESEND_API_KEY makes it hosted"
    return f"the mailbox at {settings.base_url}/dev/mailbox; RESEND_API_KEY makes it hosted"
