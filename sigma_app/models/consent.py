"""A consent: a row of the ledger of who agreed to which words, when and where."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import TIMESTAMP, BigInteger, Column, Identity, Index, Text, text
from sqlmodel import Field, SQLModel


class Consent(SQLModel, table=True):
    """One consent. Rows are added, and go with their lead; none is changed."""

    __tablename__ = "consents"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (Index("consents_lead", "lead_id"), {"schema": "sigma"})

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    lead_id: UUID = Field(foreign_key="leads.id", ondelete="CASCADE")
    version: str = Field(sa_type=Text)
    wording: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)  # such as "form" or "confirmation"
    given_at: datetime | None = Field(
        default=None,
        sa_type=TIMESTAMP(timezone=True),
        nullable=False,
        sa_column_kwargs={"server_default": text("now()")},
    )
