"""Sigma's numbers on a database of the test's own, on days that the test lays out."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from sigma_app.core import clock
from sigma_app.core.database import SERVICE, Database, serve_requests_from
from sigma_app.features.growth import jobs, service
from sigma_app.features.growth.service import Growth, Span
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.settled import settled

TODAY = date(2026, 11, 28)
PUBLIC = "https://www.sigma.example"

Lay = Callable[..., None]
Look = Callable[..., object]


def ago(days: int, time: str = "12:00:00") -> datetime:
    """A moment on the day that was so many days ago (UTC)."""
    return datetime.fromisoformat(f"{TODAY - timedelta(days=days)}T{time}+00:00")


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with settled(settings_for(tmp_path, BASE_URL=PUBLIC)) as settings:
        yield settings


@pytest.fixture
async def serving(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """This process serves from the test's database, and it is noon of `TODAY`."""
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC))
    with serve_requests_from(database):
        yield database


@pytest.fixture
def lead(owner: psycopg.Connection) -> Lay:
    """Puts a lead on the list, its columns as named."""
    numbers = itertools.count()

    def put(**columns: object) -> None:
        columns = {"email": f"lead-{next(numbers)}@example.com", "created_at": ago(0)} | columns
        names = ", ".join(columns)
        marks = ", ".join(["%s"] * len(columns))
        owner.execute(f"insert into leads ({names}) values ({marks})".encode(), list(columns.values()))

    return put


@pytest.fixture
def visited(owner: psycopg.Connection) -> Lay:
    """Keeps a visit, as `sigma.note_visits` would have it."""

    def put(at: datetime | None = None, times: int = 1, **values: str) -> None:
        told = {"page": "/", "source": "", "medium": "", "campaign": "", "referrer": "", "referral": ""} | values
        owner.execute(
            "insert into sigma.visits select %s, %s, %s, %s, %s, %s, %s from generate_series(1, %s)",
            [at or ago(0), *told.values(), times],
        )

    return put


@pytest.fixture
def look(serving: Database) -> Look:
    """What happened in the last `days`, as the service reads it."""

    async def read(days: int = 7, dimension: str = "") -> Growth:
        async with serving.cursor(SERVICE) as cursor:
            return await service.read(cursor, Span(TODAY - timedelta(days=days - 1), TODAY), dimension)

    return read


@pytest.fixture
def roll_up(serving: Database) -> Look:
    """Does what the job does each hour."""

    async def run() -> None:
        await jobs.roll_up(0)

    return run


@pytest.fixture
def attempt_as(login_url: str) -> Callable[[str, str], str | None]:
    """The SQLSTATE with which a role is refused a statement; None where it is let through."""

    def attempt(role: str, statement: str) -> str | None:
        with psycopg.connect(login_url) as connection:
            connection.execute(f"set role {role}".encode())
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                return error.sqlstate
            return None

    return attempt
