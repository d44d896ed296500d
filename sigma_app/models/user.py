"""A user: an account of Supabase Auth, whose table it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TIMESTAMP, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

WHEN = TIMESTAMP(timezone=True)


class User(SQLModel, table=True):
    """What may be shown of a row of `auth.users`: no hash, no token.

    The table has more columns, and on Supabase it changes without us, so autogenerate leaves the schema
    `auth` out; a test holds that each column here is there.
    """

    __tablename__ = "users"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = {"schema": "auth"}

    id: UUID = Field(primary_key=True)
    email: str | None = Field(default=None, max_length=255)
    role: str | None = Field(default=None, max_length=255)
    email_confirmed_at: datetime | None = Field(default=None, sa_type=WHEN)
    invited_at: datetime | None = Field(default=None, sa_type=WHEN)
    last_sign_in_at: datetime | None = Field(default=None, sa_type=WHEN)
    raw_app_meta_data: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    raw_user_meta_data: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    phone: str | None = Field(default=None, sa_type=Text)
    banned_until: datetime | None = Field(default=None, sa_type=WHEN)
    is_anonymous: bool = False
    created_at: datetime | None = Field(default=None, sa_type=WHEN)
    updated_at: datetime | None = Field(default=None, sa_type=WHEN)
    deleted_at: datetime | None = Field(default=None, sa_type=WHEN)
