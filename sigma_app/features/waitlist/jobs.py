"""The waitlist's jobs: mails with a link, and the reminders of invitations.

The database queues them, with the id of the link (`sigma.send_link`). Each may run twice: a link's row always gives the
same mail and the same idempotency key, so the second time sends nothing new.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.jobs import JobError, job, queue
from sigma_app.core.links import Links, digest
from sigma_app.features.mail import service as mail
from sigma_app.features.waitlist import letters, line
from sigma_app.features.waitlist.address import InvalidAddress, read_address
from sigma_app.gateways.keys import get_links
from sigma_app.gateways.mail import Mail
from sigma_app.models import Consent, Lead, LeadLink
from sigma_app.settings import Settings, get_settings
from sigma_app.ui.mail import Letter, render


@dataclass(frozen=True, slots=True)
class Message:
    """A letter, to whom it goes, and the headers it carries."""

    to: str
    letter: Letter
    headers: Mapping[str, str]
    is_own_wish: bool
    """Whether the person asked for exactly this mail, and gets it even where others came back."""
    kind: str
    """What it says, such as "waitlist:confirm"."""


class OtherKey(JobError):
    """Links are made with another key here than where this mail was written first; see gateways/keys.py."""


@job("waitlist:send_link")
async def send_link(link: str) -> None:
    """Write and send the mail of one row of `sigma.lead_links`, unless there is no more reason to."""
    async with get_database().transaction(SERVICE) as session:
        message = await write(session, UUID(link), get_links(), get_settings())
    if message:
        letter = Mail(message.to, *render(message.letter), message.headers)
        await mail.send(letter, f"lead-link/{link}", kind=message.kind, account=message.is_own_wish)


@queue.periodic(cron="5 * * * *")
@queue.task(name="waitlist:remind", queueing_lock="waitlist:remind")
async def remind(timestamp: int) -> None:
    """Once an hour, remind those who were invited a week ago."""
    async with get_database().transaction(SERVICE) as session:
        await line.remind(session)


@queue.periodic(cron="35 3 * * *")
@queue.task(name="waitlist:forget_links", queueing_lock="waitlist:forget_links")
async def forget_links(timestamp: int) -> None:
    """Once a night, forget the links whose time is long over."""
    async with get_database().transaction(SERVICE) as session:
        await line.forget_links(session)


async def write(session: AsyncSession, link_id: UUID, links: Links, settings: Settings) -> Message | None:
    """The mail of a link, whose hashes are stored on the way; None where it has become pointless.

    That is where the lead was erased; where it is to confirm and has confirmed; where it unsubscribed, or never agreed,
    and did not ask for this mail itself; and where its address, which came over the REST API, is none.

    Raises:
        TooLate: it was first written almost a day ago, for which the provider knows that it is the same.
        OtherKey: it was written with another key.
    """
    found = await session.exec(
        select(LeadLink, Lead)
        .join(Lead, col(Lead.id) == col(LeadLink.lead_id))
        .where(LeadLink.id == link_id)
        .with_for_update(of=LeadLink)
    )
    row = found.first()
    if row is None:
        return None
    link, lead = row
    if not await _is_wanted(session, link, lead):
        return None
    token = links.token(link_id)
    if link.written_at is None:
        link.written_at = datetime.now(UTC)
        lasts = line.LINK_LASTS.get(link.purpose)
        link.expires_at = link.written_at + lasts if lasts else None
        link.digest = digest(token)
        if link.purpose == "confirm":
            link.code_digest = links.code_digest(link_id, links.code(link_id))
    else:
        mail.refuse_late(link.written_at)
        if link.digest != digest(token):
            raise OtherKey
    return _message(link, lead, token, links.code(link_id), settings.base_url)


def _message(link: LeadLink, lead: Lead, token: str, code: str, base_url: str) -> Message:
    unsubscribe = f"{base_url}/unsubscribe/{token}"
    if link.purpose == "confirm":
        letter = letters.confirm(f"{base_url}/confirm/{token}", code, f"{base_url}/confirm")
    elif link.purpose == "place":
        letter = letters.place(f"{base_url}/place/{token}", unsubscribe)
    elif link.purpose == "erase":
        letter = letters.erase(f"{base_url}/erase/{token}")
    else:
        is_reminder = link.purpose == "remind"
        letter = letters.invite(f"{base_url}/invitation/{token}", day(link), unsubscribe, reminder=is_reminder)
    one_click = {  # RFC 8058: the mail program's own button posts, and asks nothing more
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    headers = one_click if letter.unsubscribe else {}
    return Message(str(lead.email), letter, headers, link.purpose == "erase", f"waitlist:{link.purpose}")


def day(link: LeadLink) -> str:
    """The day on which a link expires, in words such as "4 March 2027" (UTC)."""
    return clock.day(link.expires_at) if link.expires_at else ""


async def _is_wanted(session: AsyncSession, link: LeadLink, lead: Lead) -> bool:
    if not _is_address(lead.email or ""):
        return False
    is_in_line = lead.confirmed_at is not None and lead.unsubscribed_at is None
    if link.purpose == "confirm":
        return not is_in_line
    return link.purpose == "erase" or (is_in_line and await _agreed(session, lead))


def _is_address(text: str) -> bool:
    """Whether it is an address and nothing but: `Win money <ann@example.com>` would be a mail in a stranger's words."""
    try:
        address = read_address(text, allow_test_domains=True)
    except InvalidAddress:
        return False
    return address.email.lower() == unicodedata.normalize("NFC", text.lower())


async def _agreed(session: AsyncSession, lead: Lead) -> bool:
    return (await session.exec(select(Consent.id).where(Consent.lead_id == lead.id).limit(1))).first() is not None
