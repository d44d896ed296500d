"""What somebody pays for, as rows of a table, as it was last read at Stripe."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.features.billing import service as billing
from sigma_app.features.console.parts import Row, table, when

HEADINGS = ("Since (UTC)", "What", "Price", "State", "More")


async def paid(cursor: AsyncCursor[dict[str, Any]], user: UUID) -> list[Row]:
    """What somebody bought and subscribed to, with what it costs and when it renews.

    Raises:
        psycopg.Error: it could not be read.
    """
    return [
        Row(
            one.id,
            [
                when(one.at),
                f"{one.what} ({one.kind} {one.id})",
                one.price or "not known",
                one.status,
                ", ".join(one.told),
            ],
        )
        for one in await billing.paid_for(cursor, user)
    ]


def paid_table(rows: Any) -> rx.Component:
    """A Var of these rows."""
    return table("Purchases and subscriptions", HEADINGS, rows, empty="Nothing bought, nothing subscribed to.")
