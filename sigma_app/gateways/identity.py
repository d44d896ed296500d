"""Who people are, and their files, by Supabase's SDK: at SUPABASE_URL, or in process at the stand-in of our own.

The stand-in is reached as everybody reaches it, over HTTP with a key; only the socket is spared.
"""

from __future__ import annotations

from uuid import UUID

from starlette.routing import BaseRoute

from sigma_app.embedded.supabase import app as embedded
from sigma_app.embedded.supabase.auth import mails
from sigma_app.embedded.supabase.auth.mails import AuthMail
from sigma_app.embedded.supabase.keys import keys_in
from sigma_app.settings import Settings, get_settings


def routes(settings: Settings) -> list[BaseRoute]:
    """Supabase's HTTP API, where Supabase does not serve it itself."""
    return [] if settings.is_hosted("auth") else embedded.routes(settings)


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
