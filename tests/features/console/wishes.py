"""Wishes for many leads, and their runs, for the tests of what is told before and of what is done."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import psycopg

from sigma_app.features.console import bulk
from sigma_app.features.console.bulk import Outlook, Wish
from sigma_app.features.console.leads import Count, LeadFilter
from sigma_app.features.console.service import reading
from sigma_app.session.store import Session

NOBODY = Outlook(Count(0), 0, False, {}, datetime.now(UTC))
"""An outlook on no lead at all."""


def state_of(owner: psycopg.Connection, run: UUID) -> tuple:
    row = owner.execute("select state, done, passed_over from sigma.bulk_runs where id = %s", [run]).fetchone()
    assert row
    return row


async def to_its_end(run: UUID) -> int:
    steps = 0
    while await bulk.carry_on(run):
        steps += 1
    return steps


def wish(action: str, ids=(), reason: str = "", **asked: str) -> Wish:
    return Wish.read(action, LeadFilter.read(asked), ids, reason)


async def begin(session: Session, wanted: Wish) -> UUID:
    """Ask for what the operator has looked at."""
    async with reading(session) as cursor:
        seen = await bulk.outlook(cursor, wanted)
    return await bulk.begin(session, wanted, seen)
