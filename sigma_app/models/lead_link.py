"""A link in a mail to a lead, and the six digits that do the same."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import TIMESTAMP, CheckConstraint, Index, LargeBinary, SmallInteger, Text, text
from sqlmodel import Field, SQLModel

_WHEN = TIMESTAMP(timezone=True)


class LeadLink(SQLModel, table=True):
    """One link. The database knows it by its hash only (core/links.py)."""

    __tablename__ = "lead_links"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (
        CheckConstraint(
            "purpose in ('confirm', 'place', 'invite', 'remind', 'erase')", name="lead_links_purpose_check"
        ),
        Index("lead_links_lead", "lead_id", "purpose", text("created_at desc")),
        {"schema": "sigma"},
    )

    id: UUID | None = Field(
        default=None, primary_key=True, sa_column_kwargs={"server_default": text("gen_random_uuid()")}
    )
    lead_id: UUID = Field(foreign_key="leads.id", ondelete="CASCADE")
    purpose: str = Field(sa_type=Text)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary, unique=True)
    code_digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    tries: int = Field(default=0, sa_type=SmallInteger, sa_column_kwargs={"server_default": text("0")})
    created_at: datetime | None = Field(
        default=None, sa_type=_WHEN, nullable=False, sa_column_kwargs={"server_default": text("now()")}
    )
    written_at: datetime | None = Field(default=None, sa_type=_WHEN)
    expires_at: datetime | None = Field(default=None, sa_type=_WHEN)
    used_at: datetime | None = Field(default=None, sa_type=_WHEN)
