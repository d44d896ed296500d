"""A session of the portal: a browser in which somebody is signed in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import TIMESTAMP, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

_WHEN = TIMESTAMP(timezone=True)
_NOW = text("now()")


class PortalSession(SQLModel, table=True):
    """One signed-in browser. The database knows its cookie by its hash, and Supabase's tokens sealed (session/)."""

    __tablename__ = "sessions"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (
        Index("sessions_user", "user_id", text("seen_at desc")),
        Index("sessions_seen", "seen_at"),
        {"schema": "sigma"},
    )

    id: UUID = Field(primary_key=True, sa_column_kwargs={"server_default": text("gen_random_uuid()")})
    digest: bytes = Field(sa_type=LargeBinary, unique=True)
    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE")
    email: str = Field(sa_type=Text)
    tokens: bytes = Field(sa_type=LargeBinary)
    tokens_end_at: datetime = Field(sa_type=_WHEN)
    recovered: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    user_agent: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    created_at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": _NOW})
    seen_at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": _NOW})
