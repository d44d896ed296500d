"""Which part of Sigma is served from where, in words: for the end of a start and for `status`."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from sigma_app.settings import PARTS, Part, Settings, origin_of


def describe_parts(
    settings: Settings, base_url: str | None = None, api_url: str | None = None
) -> Iterator[tuple[str, str, str]]:
    """For each part: its name, "local" or "hosted", and what serves it. Holds no secret.

    Args:
        settings: which part is where.
        base_url: where the server really is; the configured address unless given.
        api_url: where the stand-in for Supabase really is; the configured address unless given.
    """
    for part in PARTS:
        where = "hosted" if settings.is_hosted(part) else "local"
        yield part, where, _what_serves(part, settings, base_url or settings.base_url, api_url or settings.base_url)


def _what_serves(part: Part, settings: Settings, base_url: str, api_url: str) -> str:
    if part == "database":
        if settings.database_url is None:
            return "embedded Postgres; DATABASE_URL makes it hosted"
        return urlsplit(settings.database_url.get_secret_value()).hostname or "DATABASE_URL"
    if part == "auth":
        if settings.supabase_url:
            return f"{urlsplit(origin_of(settings.supabase_url)).netloc}, for /auth/v1, /rest/v1 and /storage/v1"
        return f"{api_url}/auth/v1, /rest/v1 and /storage/v1; VITE_SUPABASE_URL makes it hosted"
    if part == "mail":
        return describe_mail(settings, base_url)
    return describe_payments(settings)


def describe_payments(settings: Settings) -> str:
    """What takes the money, or pretends to."""
    if settings.stripe_secret_key is None:
        return "a sandbox in which no money moves; STRIPE_SECRET_KEY makes it hosted"
    kind = "live" if "_live_" in settings.stripe_secret_key.get_secret_value() else "test mode, no money moves"
    return f"Stripe, {kind}"


def describe_mail(settings: Settings, base_url: str) -> str:
    """What takes the mails."""
    if settings.is_hosted("mail"):
        return f"Resend, from {settings.mail_sender}"
    if settings.env == "production":
        return "kept in the database and sent to nobody; RESEND_API_KEY makes it hosted"
    return f"the mailbox at {base_url}/dev/mailbox; RESEND_API_KEY makes it hosted"
