"""What Sigma sells: products and their prices, as they were last read at Stripe."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import TIMESTAMP, BigInteger, CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

_WHEN = TIMESTAMP(timezone=True)
_NOW = text("now()")


class Product(SQLModel, table=True):
    """One of Stripe's products that is ours to sell; its name stands on /pricing."""

    __tablename__ = "products"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = {"schema": "billing"}

    id: str = Field(primary_key=True, sa_type=Text)
    name: str = Field(sa_type=Text)
    description: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    active: bool
    read_at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": _NOW})


class Price(SQLModel, table=True):
    """A price of a product: `amount` in the smallest unit of `currency`, once, or `every` so many (`every_count`)."""

    __tablename__ = "prices"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (
        CheckConstraint("every in ('day', 'week', 'month', 'year')", name="prices_every_check"),
        Index("prices_product", "product_id"),
        Index("prices_lookup_key", "lookup_key", unique=True),
        {"schema": "billing"},
    )

    id: str = Field(primary_key=True, sa_type=Text)
    product_id: str = Field(foreign_key="billing.products.id", ondelete="CASCADE", sa_type=Text)
    lookup_key: str | None = Field(default=None, sa_type=Text)
    active: bool
    currency: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    every: str | None = Field(default=None, sa_type=Text)
    every_count: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    read_at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": _NOW})
