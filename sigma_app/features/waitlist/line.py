"""The rules of what comes after joining: confirming, the place in line, leaving, being invited.

As service.py, it knows nothing of Reflex, HTTP or commits: the caller gives a session of SERVICE, which has checked
nothing; a link or a code is what a visitor proves here who they are with. Places, and everything that has to hold under
concurrency, are functions of the database (alembic/versions/0004_line.up.sql).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import delete, func, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.addresses import address_digest, digest_of
from sigma_app.core.jobs import queue_job
from sigma_app.core.links import Links, digest
from sigma_app.features.waitlist.consent import CONSENT_TEXT, CONSENT_VERSION
from sigma_app.models import Consent, Lead, LeadLink

Purpose = Literal["confirm", "place", "invite", "remind", "erase"]
INVITATIONS: tuple[Purpose, ...] = ("invite", "remind")

PLACES_PER_REFERRAL = 5
CODE_TRIES = 5  # that one code bears
DAILY_CODE_TRIES = 15  # for one address, whoever makes them
REMIND_AFTER = timedelta(days=7)
FORGET_AFTER = timedelta(days=30)
DOUBLE_CLICK = timedelta(minutes=1)  # a link used so recently was used by the same hand
LINK_LASTS = {
    "confirm": timedelta(days=3),
    "erase": timedelta(days=1),
    **dict.fromkeys(INVITATIONS, timedelta(days=30)),
}
"""From when its mail is first written; a link to a place never ends."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A link that leads somewhere, and to whom."""

    link: LeadLink
    lead: Lead
    state: Literal["valid", "used", "expired"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lead stands."""

    place: int | None
    """1 for the next to be invited; None for one that does not wait."""
    waiting: int
    """How many wait in all."""
    referrals: int
    share_code: str


class InvitationRequired(Exception):
    """The invitation is not valid, or was sent to another address."""


async def hold(session: AsyncSession) -> None:
    """Have the line to oneself until the transaction ends; before any row is read, by whoever will change it."""
    await _call(session, func.sigma.hold_line())


async def open_link(session: AsyncSession, token: str, *purposes: Purpose) -> Opened | None:
    """What the link that ends with `token` leads to; None for a link of no such purpose."""
    found = await session.exec(
        select(LeadLink, Lead)
        .join(Lead, col(Lead.id) == col(LeadLink.lead_id))
        .where(LeadLink.digest == digest(token), col(LeadLink.purpose).in_(purposes))
    )
    row = found.first()
    if row is None:
        return None
    link, lead = row
    if link.used_at is not None:
        return Opened(link, lead, "used")
    return Opened(link, lead, "expired" if link.expires_at and link.expires_at <= datetime.now(UTC) else "valid")


async def confirm(session: AsyncSession, opened: Opened) -> bool:
    """Put the lead in line by its link; whether it is, which a second click of the same hand does not change.

    The caller holds the line since before it opened the link.
    """
    used_at = opened.link.used_at
    if used_at and datetime.now(UTC) - used_at < DOUBLE_CLICK:
        return True
    if opened.state != "valid":
        return False
    await _confirm(session, opened.link.lead_id)
    return True


async def confirm_by_code(session: AsyncSession, email: str, code: str, links: Links) -> UUID | None:
    """Put the lead in line by the six digits of its latest mail; its id, or None for a wrong or worn-out code.

    A code bears five wrong tries and an address fifteen a day, whoever makes them. An address that is on no list is
    counted as well, so that the time an answer takes tells nothing. The caller holds the line.
    """
    tries = (await session.exec(select(func.sigma.count_code_try(email)))).one()
    found = await session.exec(
        select(LeadLink)
        .join(Lead, col(Lead.id) == col(LeadLink.lead_id))
        .where(func.lower(Lead.email) == func.lower(email), LeadLink.purpose == "confirm")
        .where(col(LeadLink.code_digest).is_not(None))
        .order_by(col(LeadLink.created_at).desc())
        .limit(1)
    )
    link = found.first()
    if link is None or link.id is None or link.code_digest is None or link.used_at is not None:
        return None
    if (
        tries > DAILY_CODE_TRIES
        or link.tries >= CODE_TRIES
        or (link.expires_at or datetime.now(UTC)) <= datetime.now(UTC)
    ):
        return None
    if not hmac.compare_digest(links.code_digest(link.id, code), link.code_digest):
        link.tries += 1
        return None
    await _confirm(session, link.lead_id)
    return link.lead_id


async def _confirm(session: AsyncSession, lead_id: UUID) -> None:
    """Every question to confirm that is still open is answered by this."""
    await session.exec(
        update(LeadLink)
        .where(col(LeadLink.lead_id) == lead_id, col(LeadLink.purpose) == "confirm", col(LeadLink.used_at).is_(None))
        .values(used_at=func.now())
    )
    session.add(Consent(lead_id=lead_id, version=CONSENT_VERSION, wording=CONSENT_TEXT, source="confirmation"))
    await _call(session, func.sigma.confirm(lead_id, PLACES_PER_REFERRAL))
    await _call(session, func.sigma.send_link(lead_id, "place"))


async def new_place_link(session: AsyncSession, lead_id: UUID, links: Links) -> str:
    """The token of a new link to the lead's place, for a visitor who has just proved who they are."""
    link_id = uuid4()
    token = links.token(link_id)
    session.add(LeadLink(id=link_id, lead_id=lead_id, purpose="place", digest=digest(token)))
    await session.flush()
    return token


async def read_place(session: AsyncSession, lead: Lead) -> Place:
    """Where `lead`, which has confirmed, stands."""
    place = (await session.exec(select(func.sigma.place(lead.id)))).one()
    waiting = (await session.exec(select(func.sigma.waiting()))).one()
    return Place(place, waiting, lead.referrals or 0, lead.share_code or "")


async def send_again(session: AsyncSession, email: str) -> None:
    """Mail the lead of `email`, if there is one, its link again; not more often than every ten minutes."""
    await _call(session, func.sigma.send_again([email]))


async def unsubscribe(session: AsyncSession, lead_id: UUID) -> None:
    """Take the lead out of the line, and its address out of every mail but those it asks for itself."""
    await _call(session, func.sigma.unsubscribe(lead_id))


async def ask_to_erase(session: AsyncSession, lead_id: UUID) -> None:
    """Mail the lead the link that erases it; not more often than every ten minutes."""
    await _call(session, func.sigma.ask_to_erase(lead_id))


async def erase(session: AsyncSession, lead: Lead) -> None:
    """Remove the lead with its links and consents, and queue the removal of its mails and events.

    Jobs that are still queued for it find nothing to do. The caller has forgotten the rows of files with its address
    (imports.py), and holds the line since: `service.erase` does both.
    """
    await _call(session, func.sigma.erase(lead.id))
    await queue_job(session, "mail:forget", digest=address_digest(lead.email or "").hex())


async def invite_next(session: AsyncSession) -> UUID | None:
    """Invite the first in line who gets mail; which lead that is, or None when nobody waits who does."""
    await hold(session)
    first = (await (await session.connection()).execute(_FIRST)).scalar_one_or_none()
    return first and (await session.exec(select(func.sigma.invite(first)))).one()


async def remind(session: AsyncSession) -> int:
    """Send one reminder to each lead that was invited a week ago and did nothing since; how many."""
    return (await session.exec(select(func.sigma.remind(REMIND_AFTER)))).one()


async def forget_links(session: AsyncSession) -> None:
    """Remove the links that ended a month ago; until then their page says that they did.

    Those to a place never end, and an invitation's has to unsubscribe for as long as its mail is kept.
    """
    ended = col(LeadLink.expires_at) < func.now() - FORGET_AFTER
    await session.exec(delete(LeadLink).where(ended, col(LeadLink.purpose).in_(["confirm", "erase"])))
    await _call(session, func.sigma.forget_code_tries())


async def invited_address(session: AsyncSession, token: str) -> str | None:
    """To which address the invitation that ends with `token` was sent; None where it admits nobody (any more)."""
    opened = await open_link(session, token, *INVITATIONS)
    return opened.lead.email if opened and opened.state == "valid" else None


async def admit(session: AsyncSession, email: str, token: str) -> None:
    """Let somebody in by an invitation, once they have an account; it is used up, its reminder with it.

    Args:
        session: of SERVICE.
        email: the address to sign up with.
        token: of the invitation.

    Raises:
        InvitationRequired: there is no such invitation for `email`, or it was used, or its time is over.
    """
    opened = await open_link(session, token, *INVITATIONS)
    if opened is None or opened.state != "valid" or (opened.lead.email or "").lower() != email.lower():
        raise InvitationRequired
    used = await session.exec(
        update(LeadLink)
        .where(col(LeadLink.lead_id) == opened.link.lead_id, col(LeadLink.purpose).in_(INVITATIONS))
        .where(col(LeadLink.used_at).is_(None))
        .values(used_at=func.now())
    )
    if used.rowcount == 0:  # somebody else was first
        raise InvitationRequired


async def find(session: AsyncSession, email: str) -> Lead | None:
    """The lead of this address, in any case."""
    return (await session.exec(select(Lead).where(func.lower(Lead.email) == func.lower(email)))).first()


_FIRST = text(f"""
select id from public.leads where line_key is not null
  and not exists (select from sigma.suppressions where digest = {digest_of("email")})
order by line_key, line_number desc limit 1
""")  # noqa: S608 - a piece of our own


async def _call(session: AsyncSession, function: Any) -> None:
    await session.exec(select(function))
