"""The jobs of accounts: auth's mails, which it queues with the id of a token, and what is left of those who leave.

Each may run twice: a token always gives the same mail and the same idempotency key, so the second time sends nothing
new.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sigma_app.core.addresses import address_digest
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.jobs import job, queue
from sigma_app.features.accounts.leaving import finish
from sigma_app.features.accounts.letters import (
    data_downloaded,
    farewell,
    known_address,
    letter,
    password_changed,
    password_chosen,
)
from sigma_app.features.mail import service as mail
from sigma_app.gateways.identity import auth_mail
from sigma_app.gateways.keys import unseal
from sigma_app.gateways.mail import Mail
from sigma_app.session import store
from sigma_app.settings import get_settings
from sigma_app.ui.mail import Letter, render


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
    settings = get_settings()
    # Where this is the stand-in of a portal elsewhere, the page for the code is there
    portal_url = str(settings.auth_site_url or settings.base_url).rstrip("/")
    words = letter(written, settings.auth_code_seconds, portal_url)
    await mail.send(Mail(written.to, *render(words)), f"auth/{token}/{kind}", kind=f"accounts:{kind}", account=True)


@job("accounts:send_known_address")
async def send_known_address(sealed: str, hour: str) -> None:
    """Tell somebody that their address was typed to sign up, and that they have an account; once in an hour.

    Args:
        sealed: the address, sealed (gateways/keys.py): a job that fails stays, and is no place for one.
        hour: when it was typed, such as "2026-11-26T07".

    Raises:
        TooLate: almost a day ago.
    """
    since = datetime.fromisoformat(f"{hour}:00+00:00")
    await _tell(sealed, known_address(get_settings().base_url), since, f"known/{{}}/{hour}", "accounts:known_address")


@job("accounts:send_password_changed")
async def send_password_changed(sealed: str, at: str, first: bool = False) -> None:
    """Tell somebody that the password of their account was changed.

    Args:
        sealed: their address, sealed.
        at: when, by ISO 8601.
        first: whether the account is so new that this is the first one that counts.

    Raises:
        TooLate: almost a day ago.
    """
    await _tell(
        sealed,
        (password_chosen if first else password_changed)(get_settings().base_url),
        datetime.fromisoformat(at),
        f"password/{{}}/{at}",
        "accounts:password_changed",
    )


@job("accounts:send_data_downloaded")
async def send_data_downloaded(sealed: str, at: str) -> None:
    """Tell somebody that all that is held about them was downloaded by whoever is signed in to their account.

    Args:
        sealed: their address, sealed.
        at: when, by ISO 8601.

    Raises:
        TooLate: almost a day ago.
    """
    words = data_downloaded(get_settings().base_url)
    await _tell(sealed, words, datetime.fromisoformat(at), f"downloaded/{{}}/{at}", "accounts:data_downloaded")


@job("accounts:finish_leaving")
async def finish_leaving(user: str, sealed: str = "") -> None:
    """Delete what may be left of an account whose owner wanted it gone.

    Args:
        user: the id of the account.
        sealed: their address, sealed, which `finish` takes out of the queue for the farewell; "" once it has.
    """
    await finish(UUID(user))


@job("accounts:send_farewell")
async def send_farewell(sealed: str, user: str) -> None:
    """Tell somebody that their account is gone, and see to it that this is forgotten as well.

    A worker that dies once it was sent, and before that is noted, sends it again: at Resend it is known by its key, the
    mailbox may have forgotten it meanwhile.

    Args:
        sealed: their address, sealed: it is nowhere else any more.
        user: the id of the account that was.
    """
    # Nobody of whom nothing is to be left is noted for this.
    email = unseal(sealed)
    await mail.send(Mail(email, *render(farewell())), f"farewell/{user}", kind=None, account=True)
    async with get_database().transaction(SERVICE) as transaction:  # the account may have taken a day to go
        await mail.forget_later(transaction, address_digest(email))


@queue.periodic(cron="*/5 * * * *")
@queue.task(name="accounts:end_sessions", queueing_lock="accounts:end_sessions")
async def end_sessions(timestamp: int) -> None:
    """Every five minutes, end the sessions whose time is over, and so close their tabs."""
    await store.end_expired()


async def _tell(sealed: str, words: Letter, since: datetime, key: str, kind: str) -> None:
    """Mail an address what happened at `since`; `key` names the mail, with room for the hash of the address."""
    email = unseal(sealed)
    mail.refuse_late(since)
    named = key.format(address_digest(email).hex())
    await mail.send(Mail(email, *render(words)), named, kind=kind, account=True)


def this_hour() -> str:
    """The hour it is, as `send_known_address` takes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H")
