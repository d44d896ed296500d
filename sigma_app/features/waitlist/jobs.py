"""The waitlist's jobs: mails with a link, and the reminders of invitations.

The database queues them, with the id of the link (`sigma.send_link`). Each may run twice: a link's row always gives the
same mail and the same idempotency key, so the second time sends nothing new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.jobs import job, queue
from sigma_app.core.links import Links, digest
from sigma_app.features.mail import service as mail
from sigma_app.features.waitlist import letters, line
from sigma_app.gateways.keys import get_links
from sigma_app.gateways.mail import Mail
from sigma_app.models import Consent, Lead, LeadLink
from sigma_app.settings import get_settings
from sigma_app.ui.mail import Letter, render


@dataclass(frozen=True, slots=True)
class Message:
    """A letter, to whom it goes, and the headers it carries."""

    to: str
    letter: Letter
    headers: Mapping[str, str]


@job("waitlist:send_link")
async def send_link(link: str) -> None:
    """Write and send the mail of one row of `sigma.lead_links`, unless there is no more reason to."""
    async with get_database().transaction(SERVICE) as session:
        message = await write(session, UUID(link), get_links(), get_settings().base_url)
    if message:
        await mail.send(Mail(message.to, *render(message.letter), message.headers), f"lead-link/{link}")


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


async def write(session: AsyncSession, link_id: UUID, links: Links, base_url: str) -> Message | None:
    """The mail of a link, whose hashes are stored on the way; None where it has become pointless.

    That is where the lead was erased; where it is to confirm and has confirmed; and where it unsubscribed, or never
    agreed, and did not ask for this mail itself.
    """
    found = await session.exec(
        select(LeadLink, Lead).join(Lead, col(Lead.id) == col(LeadLink.lead_id)).where(LeadLink.id == link_id)
    )
    row = found.first()
    if row is None:
        return None
    link, lead = row
    is_in_line = lead.confirmed_at is not None and lead.unsubscribed_at is None
    wanted = {"confirm": not is_in_line, "erase": True}.get(link.purpose, is_in_line and await _agreed(session, lead))
    if not wanted or lead.email is None:
        return None
    token = links.token(link_id)
    link.digest = digest(token)
    unsubscribe = f"{base_url}/unsubscribe/{token}"
    by_purpose = {
        "confirm": lambda: letters.confirm(f"{base_url}/confirm/{token}", links.code(link_id), f"{base_url}/confirm"),
        "place": lambda: letters.place(f"{base_url}/place/{token}", unsubscribe),
        "invite": lambda: letters.invite(
            f"{base_url}/invitation/{token}", day(link), unsubscribe, reminder=lead.reminded_at is not None
        ),
        "erase": lambda: letters.erase(f"{base_url}/erase/{token}"),
    }
    if link.purpose == "confirm":
        link.code_digest = links.code_digest(link_id, links.code(link_id))
    letter = by_purpose[link.purpose]()
    one_click = {  # RFC 8058: the mail program's own button posts, and asks nothing more
        "List-Unsubscribe": f"<{unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    return Message(lead.email, letter, one_click if letter.unsubscribe else {})


def day(link: LeadLink) -> str:
    """The day on which a link expires, in words such as "4 March 2027" (UTC)."""
    return f"{link.expires_at.day} {link.expires_at:%B %Y}" if link.expires_at else ""


async def _agreed(session: AsyncSession, lead: Lead) -> bool:
    return (await session.exec(select(Consent.id).where(Consent.lead_id == lead.id).limit(1))).first() is not None
