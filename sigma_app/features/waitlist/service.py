"""The rules of the waitlist: what is kept with a lead, and how many founders there are; addresses from address.py.

Knows nothing of Reflex, HTTP or commits: the caller gives a connection inside a transaction under the right role.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, LiteralString
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from psycopg.sql import SQL, Identifier
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.features.waitlist import line
from sigma_app.features.waitlist.address import Address as Address
from sigma_app.features.waitlist.address import InvalidAddress as InvalidAddress
from sigma_app.features.waitlist.address import address_in as address_in
from sigma_app.features.waitlist.address import read_address as read_address
from sigma_app.features.waitlist.consent import CONSENTS
from sigma_app.features.waitlist.imports import forget_imports
from sigma_app.features.waitlist.imports import imports_of as imports_of
from sigma_app.features.waitlist.imports import keep_after_erasing as keep_after_erasing
from sigma_app.features.waitlist.line import InvitationRequired as InvitationRequired
from sigma_app.features.waitlist.line import admit as admit
from sigma_app.features.waitlist.line import invited_address as invited_address
from sigma_app.models import Consent, Lead, LeadLink
from sigma_app.models.lead import LENGTHS

# Control characters, and the halves of surrogate pairs, which no encoding of text can hold
_UNKEEPABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_QUERY_FIELDS = 50


Arrival = dict[str, str | None]
"""Where a visitor came from, as far as the browser told: for each of `ARRIVAL` a bounded text or None."""

NewLead = dict[str, str | None]
"""A lead that is not stored yet: a value for each column that a visitor may fill."""

ARRIVAL = (
    *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
    *("referrer", "landing_path", "referral_code"),
)


def read_arrival(landing_url: str, referrer: str) -> Arrival:
    """Where the visitor came from, out of the address of the page and the browser's referrer.

    Control characters are dropped and each part is cut to what its column holds: a strange link costs no lead.
    """
    page = _split(landing_url)
    # Of a parameter that comes twice the first counts
    query = dict(reversed(parse_qsl(page.query))) if page.query.count("&") < _QUERY_FIELDS else {}
    found = query | {"referrer": referrer, "landing_path": page.path, "referral_code": query.get("ref", "")}
    return {column: bounded(column, found.get(column, "")) for column in ARRIVAL}


def new_lead(address: Address, arrival: Arrival, consent_version: str) -> NewLead:
    """What a visitor brings along, by column.

    Args:
        address: from `read_address`.
        arrival: from `read_arrival`.
        consent_version: which words the visitor agreed to, from consent.py.
    """
    return {"email": address.email, "consent_version": consent_version} | arrival


def joining(leads: Sequence[NewLead]) -> tuple[SQL, list[str]]:
    """The statement that puts leads on the list; those whose address is on it stay as they are.

    Runs as `anon`, who may insert a lead and read none.
    """
    return _JOINING, [json.dumps(leads, ensure_ascii=False)]


def consenting(leads: Sequence[NewLead]) -> tuple[LiteralString, list[list[str]]]:
    """The statement that enters the consent each of `leads` gave into the ledger, anew at each join; as SERVICE."""
    versions = [str(lead["consent_version"]) for lead in leads]
    return _CONSENTING, [_emails(leads), versions, [CONSENTS[version] for version in versions]]


def sending_again(leads: Sequence[NewLead]) -> tuple[LiteralString, list[list[str]]]:
    """The statement that mails those who had joined before their link again, at most every ten minutes; as SERVICE.

    Those who are new were sent theirs by joining, so it does nothing for them.
    """
    return "SELECT sigma.send_again(%s)", [_emails(leads)]


def marking_disposable(emails: Sequence[str]) -> tuple[LiteralString, list[list[str]]]:
    """The statement that marks leads' addresses as throw-away ones, for the operator to see; as `service_role`."""
    return (
        "UPDATE leads SET disposable = true WHERE lower(email) IN (SELECT lower(unnest(%s::text[])))",
        [list(emails)],
    )


async def what_is_kept(session: AsyncSession, email: str) -> dict[str, Any] | None:
    """What we hold about an address on the list; None for one that is not on it.

    That is the lead, its consents with their wording, and when each link that it was mailed was made, mailed and used.
    In a transaction of SERVICE, for somebody who proved the address to be theirs.
    """
    lead = await line.find(session, email)
    if lead is None:
        return None
    given = await session.exec(select(Consent).where(Consent.lead_id == lead.id).order_by(col(Consent.given_at)))
    made = await session.exec(select(LeadLink).where(LeadLink.lead_id == lead.id).order_by(col(LeadLink.created_at)))
    opens = {"id", "lead_id", "digest", "code_digest"}
    return lead.model_dump() | {
        "consents": [consent.model_dump(exclude={"lead_id"}) for consent in given],
        "links": [link.model_dump(exclude=opens) for link in made],
    }


async def erase_address(session: AsyncSession, email: str) -> None:
    """Take whoever has this address off the list, with everything that names them.

    In a transaction of SERVICE, which holds the line from here on, and not before.
    """
    await forget_imports(session, [email])
    await line.hold(session)
    if lead := await line.find(session, email):
        await line.erase(session, lead)


async def invite(session: AsyncSession, lead_id: UUID) -> bool:
    """Invite a lead, wherever it stands in line, or anew when its invitation is over; whether it may be.

    In a transaction of SERVICE, which holds the line from here on.
    """
    return (await session.exec(select(func.sigma.invite(lead_id)))).one() is not None


async def erase(session: AsyncSession, leads: Sequence[UUID]) -> list[UUID]:
    """Take leads off the list, with everything that names them; those of them that were there. As `erase_address`."""
    asked = col(Lead.id).in_(leads)
    emails = (await session.exec(select(Lead.email).where(asked))).all()
    await forget_imports(session, [email for email in emails if email])
    await line.hold(session)
    there = (await session.exec(select(Lead).where(asked))).all()
    for lead in there:
        await line.erase(session, lead)
    return [lead.id for lead in there if lead.id]


async def flag(session: AsyncSession, lead_id: UUID, reason: str | None) -> tuple[bool, str | None]:
    """Flag a lead for a reason, or take its flag away; whether that changed it, and the flag of before.

    In a transaction of SERVICE. A flag is a mark for operators: it keeps nobody from anything.
    """
    lead = await session.get(Lead, lead_id, with_for_update=True)
    if lead is None or lead.flag == reason:
        return False, None
    before, lead.flag = lead.flag, reason
    await session.flush()
    return True, before


async def count_founders(session: AsyncSession) -> int:
    """How many founders are on the list; reveals no address (`public.founder_count`, SECURITY DEFINER)."""
    return (await session.exec(select(func.public.founder_count()))).one()


def _emails(leads: Sequence[NewLead]) -> list[str]:
    return [str(lead["email"]) for lead in leads]


def bounded(column: str, text: str) -> str | None:
    """`text` without what cannot be kept, cut to what `column` of a lead holds; None for nothing."""
    return (_UNKEEPABLE.sub("", text)[: LENGTHS[column]].strip() or None) if text else None


def _split(url: str):
    try:
        return urlsplit(url)
    except ValueError:  # such as a bracket that is not closed
        return urlsplit("")


def _inserting(columns: Sequence[str]) -> SQL:
    """The insert of leads, given as one JSON array, into `columns` of the model: no ORM work on the way of a visitor.

    `ON CONFLICT DO NOTHING` names no target, because inferring one needs SELECT, which `anon` has not.
    """
    names = SQL(", ").join(map(Identifier, columns))
    statement = SQL(
        "INSERT INTO {table} ({names})"
        " SELECT {names} FROM json_populate_recordset(null::{table}, %s) ON CONFLICT DO NOTHING"
    ).format(table=Identifier(str(Lead.__tablename__)), names=names)
    return SQL(statement.as_string())  # pyright: ignore[reportArgumentType] - text of our own, made from the model


# Arrays, since the planner knows how long they are, and looks each address up instead of reading the table.
_CONSENTING: LiteralString = (
    "INSERT INTO sigma.consents (lead_id, version, wording, source)"
    " SELECT leads.id, given.version, given.wording, 'form'"
    " FROM unnest(%s::text[], %s::text[], %s::text[]) AS given (email, version, wording)"
    " JOIN leads ON lower(leads.email) = lower(given.email)"
)
_JOINING = _inserting(("email", "consent_version", *ARRIVAL))
