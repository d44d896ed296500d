"""Group commit: who is written with whom, and who hears of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sigma_app.core.batches import Batches
from sigma_app.core.errors import DatabaseUnavailable

pytestmark = pytest.mark.anyio


class Store:
    """Keeps the batches it was given; refuses what it was told to, and can be held up."""

    def __init__(self):
        self.batches: list[list[str]] = []
        self.tried: list[list[str]] = []
        self.refuses: dict[str, Exception] = {}
        self.began = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def write(self, items: Sequence[str]) -> None:
        self.tried.append(list(items))
        self.began.set()
        await self.open.wait()
        for item in items:
            if item in self.refuses:
                raise self.refuses[item]
        self.batches.append(list(items))


@pytest.fixture
async def store():
    return Store()


async def while_the_first_is_written(store: Store, batches: Batches[str], *items: str) -> list[asyncio.Task]:
    """Tasks that add `items`, the first one's write under way, the others waiting."""
    store.open.clear()
    first = asyncio.create_task(batches.add(items[0]))
    await store.began.wait()
    others = [asyncio.create_task(batches.add(item)) for item in items[1:]]
    await asyncio.sleep(0)
    return [first, *others]


async def outcomes(store: Store, tasks: Sequence[asyncio.Task]) -> list[object]:
    store.open.set()
    return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)


async def test_the_first_is_written_at_once_and_alone(store):
    await Batches(store.write).add("alice")
    assert store.batches == [["alice"]]


async def test_those_who_come_while_a_write_is_under_way_are_written_together_and_in_order(store):
    tasks = await while_the_first_is_written(store, Batches(store.write), "alice", "bob", "carol")
    assert not any(task.done() for task in tasks)
    assert await outcomes(store, tasks) == [None, None, None]
    assert store.batches == [["alice"], ["bob", "carol"]]


async def test_a_batch_has_a_largest_size(store):
    tasks = await while_the_first_is_written(store, Batches(store.write, most=2), "alice", "bob", "carol", "dave")
    await outcomes(store, tasks)
    assert store.batches == [["alice"], ["bob", "carol"], ["dave"]]


async def test_one_that_cannot_be_stored_takes_no_other_with_it(store):
    store.refuses["bob"] = refusal = ValueError("no bobs")
    tasks = await while_the_first_is_written(store, Batches(store.write), "alice", "bob", "carol")
    assert await outcomes(store, tasks) == [None, refusal, None]
    assert store.batches == [["alice"], ["carol"]]


async def test_when_the_database_is_away_everybody_hears_it_after_one_try(store):
    store.refuses["bob"] = away = DatabaseUnavailable()
    tasks = await while_the_first_is_written(store, Batches(store.write), "alice", "bob", "carol")
    assert await outcomes(store, tasks) == [None, away, away]
    assert store.tried == [["alice"], ["bob", "carol"]]


async def test_one_who_left_is_written_and_keeps_nobody_waiting(store):
    tasks = await while_the_first_is_written(store, Batches(store.write), "alice", "bob", "carol")
    tasks[1].cancel()
    assert isinstance((await outcomes(store, tasks))[1], asyncio.CancelledError)
    assert store.batches == [["alice"], ["bob", "carol"]]


async def test_after_a_pause_the_next_is_written_again(store):
    batches = Batches(store.write)
    await batches.add("alice")
    await batches.add("bob")
    assert store.batches == [["alice"], ["bob"]]
