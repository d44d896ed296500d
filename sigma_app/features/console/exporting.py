"""Leads as a CSV file that streams: a million of them take no memory here, and a spreadsheet computes nothing of it.

The file has those who were on the list when it was asked for, the newest first, read a thousand at a time. One that
breaks off is no whole answer, and browsers say so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from psycopg.sql import SQL, Identifier
from sqlalchemy import func
from sqlmodel import select

from sigma_app.core.csv_cells import defused
from sigma_app.features.console.leads import LeadFilter
from sigma_app.features.console.service import acting, reading
from sigma_app.session.store import Session

COLUMNS = (
    *("id", "email", "created_at", "status", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"),
    *("referrer", "landing_path", "referral_code", "referrals", "flag", "consent_version", "consent_at"),
    *("confirmed_at", "invited_at", "signed_up_at", "customer_at", "unsubscribed_at"),
)
AT_ONCE = 1000


async def lines(session: Session, wanted: LeadFilter) -> AsyncIterator[bytes]:
    """The file, piece by piece; the first piece comes once the export is on record.

    Args:
        session: the operator's.
        wanted: which leads.

    Raises:
        NotAnOperator, DatabaseUnavailable: the file ends here.
    """
    async with acting(session, "leads.export", None, filter=wanted.on_record()) as transaction:
        # By the clock that says when they joined: this machine's may be behind it
        asked_at = (await transaction.exec(select(func.now()))).one()
    yield _written([dict(zip(COLUMNS, COLUMNS, strict=True))])
    condition, values = wanted.condition()
    statement = SQL(
        "select {} from {} where {} and created_at <= %(asked_at)s"
        " and (%(last_at)s::timestamptz is null or (created_at, id) < (%(last_at)s, %(last)s::uuid))"
        " order by created_at desc, id desc limit %(most)s"
    ).format(SQL(", ").join(map(Identifier, COLUMNS)), wanted.table, condition)
    place: dict[str, Any] = {"asked_at": asked_at, "last_at": None, "last": None, "most": AT_ONCE}
    while True:
        async with reading(session) as cursor:
            await cursor.execute(statement, {**values, **place})
            rows = await cursor.fetchall()
        if not rows:
            return
        yield _written(rows)
        place |= {"last_at": rows[-1]["created_at"], "last": rows[-1]["id"]}


def _written(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([_cell(row[column]) for column in COLUMNS] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return "" if value is None else defused(str(value))


def name_of(asked: Mapping[str, str]) -> str:
    """What the file is called, such as "leads-2026-11-28-filtered.csv"."""
    return f"leads-{datetime.now(UTC):%Y-%m-%d}{'-filtered' if any(asked.values()) else ''}.csv"
