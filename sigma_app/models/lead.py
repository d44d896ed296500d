"""A lead: somebody who joined the waitlist."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Index,
    Numeric,
    Text,
    literal_column,
    text,
)
from sqlmodel import Field, SQLModel

WHEN = TIMESTAMP(timezone=True)
UTC_NOW = text("timezone('utc'::text, now())")
_BEGINNING = literal_column("lower(email)").label("beginning")
_TIMES = ("confirmed_at", "invited_at", "signed_up_at", "customer_at")  # what the numbers of a day are counted by
_NEWEST = (text("created_at desc"), text("id desc"))  # the order of the console's lists
LENGTHS = {  # characters; a longer value is refused with 23514
    "email": 320,
    "utm_source": 200,
    "utm_medium": 200,
    "utm_campaign": 200,
    "utm_term": 200,
    "utm_content": 200,
    "referrer": 500,
    "landing_path": 500,
    "referral_code": 64,
    "consent_version": 64,
}

STATUS = (
    "case when customer_at is not null then 'customer' when signed_up_at is not null then 'signed up'"
    " when unsubscribed_at is not null then 'unsubscribed' when invited_at is not null then 'invited'"
    " when confirmed_at is not null then 'confirmed' else 'joined' end"
)


class Lead(SQLModel, table=True):
    """One address on the list, unique whatever its case (backend_operations.md, "leads"; product.md, item 1).

    A visitor may insert the first ten text columns and read none. `id`, `created_at` and `consent_at` are the
    database's, `disposable` is the operator's. What comes after is written by the functions of migration 0004.
    """

    __tablename__ = "leads"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (
        *(
            CheckConstraint(f"char_length({name}) <= {most}", name=f"leads_{name}_length")
            for name, most in LENGTHS.items()
        ),
        CheckConstraint("email is not null", name="leads_email_required"),
        CheckConstraint("email ~ '^[^\\s@][^\\s]*@[^\\s@]+$'", name="leads_email_format"),
        CheckConstraint("(consent_version is null) = (consent_at is null)", name="leads_consent_complete"),
        Index("leads_email_lower_key", text("lower(email)"), unique=True),
        Index("idx_leads_email", "email"),
        Index("idx_leads_created_at", "created_at"),
        Index("leads_share_code_key", "share_code", unique=True),
        Index("leads_mailbox", "mailbox"),
        Index("leads_line_number", "line_number"),
        Index("leads_line_key", "line_key", text("line_number desc"), unique=True),
        Index("leads_newest", *_NEWEST),
        Index("leads_newest_by_status", "status", *_NEWEST),
        Index("leads_newest_by_source", "utm_source", *_NEWEST),
        Index("leads_newest_flagged", *_NEWEST, postgresql_where=text("flag is not null")),
        Index("leads_email_prefix", _BEGINNING, postgresql_ops={"beginning": "text_pattern_ops"}),
        *(Index(f"leads_{time}", time, postgresql_where=text(f"{time} is not null")) for time in _TIMES),
    )

    id: UUID | None = Field(
        default=None, primary_key=True, sa_column_kwargs={"server_default": text("gen_random_uuid()")}
    )
    email: str | None = Field(default=None, sa_type=Text)
    created_at: datetime | None = Field(
        default=None, sa_type=WHEN, nullable=False, sa_column_kwargs={"server_default": UTC_NOW}
    )
    utm_source: str | None = Field(default=None, sa_type=Text)
    utm_medium: str | None = Field(default=None, sa_type=Text)
    utm_campaign: str | None = Field(default=None, sa_type=Text)
    utm_term: str | None = Field(default=None, sa_type=Text)
    utm_content: str | None = Field(default=None, sa_type=Text)
    referrer: str | None = Field(default=None, sa_type=Text)  # the page that led here, as the browser tells it
    landing_path: str | None = Field(default=None, sa_type=Text)  # the first page of ours, without the host
    referral_code: str | None = Field(default=None, sa_type=Text)  # the code that was used, not one's own
    consent_version: str | None = Field(default=None, sa_type=Text)  # the text that was agreed to
    consent_at: datetime | None = Field(default=None, sa_type=WHEN)  # when; set by the database
    disposable: bool | None = None  # whether its domain gives out throw-away addresses; None: not looked at
    confirmed_at: datetime | None = Field(default=None, sa_type=WHEN)
    invited_at: datetime | None = Field(default=None, sa_type=WHEN)
    reminded_at: datetime | None = Field(default=None, sa_type=WHEN)  # of an invitation, once
    signed_up_at: datetime | None = Field(default=None, sa_type=WHEN)
    customer_at: datetime | None = Field(default=None, sa_type=WHEN)
    unsubscribed_at: datetime | None = Field(default=None, sa_type=WHEN)
    status: str | None = Field(default=None, sa_column=Column("status", Text, Computed(STATUS, persisted=True)))
    share_code: str | None = Field(default=None, sa_type=Text)  # its own, for friends; since it confirmed
    mailbox: str | None = Field(default=None, sa_type=Text)  # where its address leads; since it confirmed
    flag: str | None = Field(default=None, sa_type=Text)  # why it earned nothing for whoever brought it
    referrals: int | None = Field(default=None, nullable=False, sa_column_kwargs={"server_default": text("0")})
    line_number: Decimal | None = Field(default=None, sa_type=Numeric)  # of two with one key, the higher is in front
    line_key: int | None = Field(default=None, sa_type=BigInteger)  # the order of the line; None: not in it
