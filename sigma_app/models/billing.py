"""What somebody pays for: their customer at Stripe, checkouts, purchases, subscriptions, and changes of access."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import TIMESTAMP, BigInteger, CheckConstraint, Column, Identity, Index, Text, text
from sqlmodel import Field, SQLModel

_WHEN = TIMESTAMP(timezone=True)
_NOW = text("now()")


class Customer(SQLModel, table=True):
    """Who somebody is at Stripe. One that was deleted there stays, with what was bought as it; a user has one other."""

    __tablename__ = "customers"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (
        Index("customers_user", "user_id", unique=True, postgresql_where=text("deleted_at is null")),
        Index("customers_all_of_user", "user_id"),
        {"schema": "billing"},
    )

    id: str = Field(primary_key=True, sa_type=Text)
    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE")
    created_at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": _NOW})
    deleted_at: datetime | None = Field(default=None, sa_type=_WHEN)


class Checkout(SQLModel, table=True):
    """A checkout that we opened: a second click finds it, and another plan's takes its place."""

    __tablename__ = "checkouts"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (
        CheckConstraint("status in ('open', 'complete', 'expired')", name="checkouts_status_check"),
        Index("checkouts_open", "customer_id", postgresql_where=text("status = 'open'")),
        {"schema": "billing"},
    )

    id: str = Field(primary_key=True, sa_type=Text)
    customer_id: str = Field(foreign_key="billing.customers.id", ondelete="CASCADE", sa_type=Text)
    price_id: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=_WHEN)


class Purchase(SQLModel, table=True):
    """Something bought once, by the checkout of the same id. Amounts are in the smallest unit of `currency`."""

    __tablename__ = "purchases"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (
        CheckConstraint("status in ('processing', 'paid', 'failed', 'gone')", name="purchases_status_check"),
        CheckConstraint("dispute in ('open', 'won', 'lost')", name="purchases_dispute_check"),
        Index("purchases_customer", "customer_id"),
        Index("purchases_payment_intent", "payment_intent"),
        {"schema": "billing"},
    )

    id: str = Field(primary_key=True, sa_type=Text)
    customer_id: str = Field(foreign_key="billing.customers.id", ondelete="CASCADE", sa_type=Text)
    price_id: str = Field(sa_type=Text)
    payment_intent: str | None = Field(default=None, sa_type=Text)
    status: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    refunded: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    currency: str = Field(sa_type=Text)
    dispute: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=_WHEN)
    read_at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": _NOW})


class Subscription(SQLModel, table=True):
    """Something paid for again and again. `status` is Stripe's word for it, or 'gone' where Stripe knows it no more."""

    __tablename__ = "subscriptions"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (Index("subscriptions_customer", "customer_id"), {"schema": "billing"})

    id: str = Field(primary_key=True, sa_type=Text)
    customer_id: str = Field(foreign_key="billing.customers.id", ondelete="CASCADE", sa_type=Text)
    price_id: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    current_period_end: datetime = Field(sa_type=_WHEN)
    cancel_at: datetime | None = Field(default=None, sa_type=_WHEN)
    trial_end: datetime | None = Field(default=None, sa_type=_WHEN)
    past_due_since: datetime | None = Field(default=None, sa_type=_WHEN)
    paid_once: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    collecting: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    ended_at: datetime | None = Field(default=None, sa_type=_WHEN)
    end_reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=_WHEN)
    read_at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": _NOW})


class AccessChange(SQLModel, table=True):
    """A change of somebody's access, or of why they have it: before, after, the rule, and what caused it.

    Rows are only ever added: `sigma.set_access` adds those of billing, a trigger those of whoever else writes it.
    """

    __tablename__ = "access_changes"  # pyright: ignore[reportAssignmentType] - as SQLModel documents it
    __table_args__ = (Index("access_changes_user", "user_id", text("id desc")), {"schema": "billing"})

    id: int | None = Field(default=None, sa_column=Column("id", BigInteger, Identity(always=True), primary_key=True))
    user_id: UUID = Field(foreign_key="auth.users.id", ondelete="CASCADE")
    before: bool
    after: bool
    rule: str = Field(sa_type=Text)
    price_id: str | None = Field(default=None, sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    cause: str = Field(sa_type=Text)
    event_id: str | None = Field(default=None, sa_type=Text)
    at: datetime = Field(sa_type=_WHEN, sa_column_kwargs={"server_default": text("clock_timestamp()")})
