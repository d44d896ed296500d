"""A profile: what somebody with an account tells about themselves, and what they paid for."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import TIMESTAMP, Index, Text, text
from sqlmodel import Field, SQLModel

WHEN = TIMESTAMP(timezone=True)
UTC_NOW = text("(now() at time zone 'UTC'::text)")


class Profile(SQLModel, table=True):
    """One per user, made by `handle_new_user()` at sign-up, gone with the user.

    Columns as in backend_operations.md, "profiles". The user edits `name`, `email` and `image`. The three
    billing columns are checkout's: a change by anybody whom row level security binds is refused with 42501
    (product.md, item 2).
    """

    __tablename__ = "profiles"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (Index("idx_profiles_email", "email"), Index("idx_profiles_updated_at", "updated_at"))

    id: UUID = Field(primary_key=True, foreign_key="auth.users.id", ondelete="CASCADE")
    name: str | None = Field(default=None, sa_type=Text)
    email: str | None = Field(default=None, sa_type=Text)
    image: str | None = Field(default=None, sa_type=Text)
    customer_id: str | None = Field(default=None, sa_type=Text)  # Stripe's customer
    price_id: str | None = Field(default=None, sa_type=Text)  # Stripe's price
    has_access: bool | None = Field(default=None, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime | None = Field(default=None, sa_type=WHEN, sa_column_kwargs={"server_default": UTC_NOW})
    updated_at: datetime | None = Field(default=None, sa_type=WHEN, sa_column_kwargs={"server_default": UTC_NOW})
