"""The jobs of accounts: auth's mails, which it queues with the id of a token.

Each may run twice: a token always gives the same mail and the same idempotency key, so the second time sends nothing
new.
"""

from __future__ import annotations

from uuid import UUID

from sigma_app.core.jobs import job
from sigma_app.features.accounts.letters import letter
from sigma_app.features.mail import service as mail
from sigma_app.gateways.identity import auth_mail
from sigma_app.gateways.mail import Mail
from sigma_app.settings import get_settings
from sigma_app.ui.mail import render


@job("accounts:send_auth_mail")
async def send_auth_mail(token: str, kind: str, redirect_to: str) -> None:
    """Write and send the mail of a token, unless it was used or replaced meanwhile, or its time is over.

    Args:
        token: the id of its row in `auth.one_time_tokens`.
        kind: one of `letters`.
        redirect_to: where its link leads in the end.

    Raises:
        TooLate: it was asked for almost a day ago, for which the provider knows that it is the same.
    """
    written = await auth_mail(UUID(token), kind, redirect_to)
    if written is None:
        return
    mail.refuse_late(written.made_at)
    words = letter(written, get_settings().auth_code_seconds)
    await mail.send(Mail(written.to, *render(words)), f"auth/{token}/{kind}", account=True)
