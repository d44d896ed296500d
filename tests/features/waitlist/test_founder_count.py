"""How often the founders are counted, and who is in the count, on a real database and a clock of the tests' own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import psycopg
import pytest

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.features.waitlist import service
from sigma_app.features.waitlist.intake import FounderCount

pytestmark = pytest.mark.anyio


class Clock:
    """Time that passes when it is told to, and when somebody sleeps."""

    def __init__(self):
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)  # others run meanwhile
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def count(clock: Clock) -> FounderCount:
    return FounderCount(clock, clock.sleep)


@pytest.fixture
async def readings(database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[float]]:
    """When the database was asked; requests are served from it."""
    times: list[float] = []
    real = service.count_founders

    async def noted(session) -> int:
        times.append(clock.now)
        return await real(session)

    monkeypatch.setattr(service, "count_founders", noted)
    with serve_requests_from(database):
        yield times


def join(count: FounderCount, owner: psycopg.Connection) -> None:
    owner.execute("insert into leads (email) values (gen_random_uuid() || '@example.com')")
    count.expire()


async def test_who_joined_is_counted_at_once_when_the_last_reading_is_a_second_old(count, clock, owner, readings):
    assert await count.get() == 0
    clock.now += 1
    join(count, owner)
    assert await count.get() == 1
    assert clock.slept == [0, 0]


async def test_who_joined_just_after_a_reading_waits_for_the_rest_of_its_second(count, clock, owner, readings):
    assert await count.get() == 0
    clock.now += 0.25
    join(count, owner)
    assert await count.get() == 1
    assert clock.slept == [0, 0.75]


async def test_however_many_join_and_look_the_database_is_asked_once_a_second(count, clock, owner, readings):
    async def look(joined: int) -> None:
        assert await count.get() >= joined

    for joined in range(1, 101):
        join(count, owner)
        await asyncio.gather(*(look(joined) for _ in range(5)))
        clock.now += 0.0625
    gaps = [later - earlier for earlier, later in itertools.pairwise(readings)]
    assert min(gaps) >= 1
    assert len(readings) >= 100


@pytest.fixture
def join_while_reading(count, owner, readings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody joins during every reading, after it has counted."""
    noted = service.count_founders

    async def joined_meanwhile(session) -> int:
        counted = await noted(session)
        join(count, owner)
        return counted

    monkeypatch.setattr(service, "count_founders", joined_meanwhile)


@pytest.mark.usefixtures("join_while_reading")
async def test_who_joined_during_a_reading_is_in_the_next(count):
    assert [await count.get() for _ in range(3)] == [0, 1, 2]


@pytest.mark.usefixtures("join_while_reading")
async def test_nobody_waits_for_two_readings_while_joins_pour_in(count, clock, readings):
    await count.get()
    assert await asyncio.gather(*(count.get() for _ in range(20))) == [1] * 20
    assert readings == [100, 101]


async def test_without_a_join_the_count_is_kept_for_five_seconds(count, clock, owner, readings):
    join(count, owner)
    assert await count.get() == 1
    owner.execute("insert into leads (email) values ('elsewhere@example.com')")
    clock.now += 4.9
    assert await count.get() == 1
    clock.now += 0.1
    assert await count.get() == 2
    assert len(readings) == 2


async def test_a_database_that_is_away_is_asked_no_more_often(count, clock, owner, database):
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await count.get()
    with serve_requests_from(database):
        with pytest.raises(DatabaseUnavailable):
            await count.get()
        clock.now += 5
        assert await count.get() == 0
        join(count, owner)
    assert await count.get() == 0  # away again
    with serve_requests_from(database):
        clock.now += 5
        assert await count.get() == 1
