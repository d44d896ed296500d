"""What a worker of its own says of itself: that it works, and that the database hears of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import Router

from sigma_app.core import jobs
from sigma_app.core.database import Database, serve_requests_from
from sigma_app.features.operations import worker_http
from tests.conftest import settings_for
from tests.settled import settled
from tests.waiting import until, until_said

pytestmark = pytest.mark.anyio

LONG = jobs.SILENCE.total_seconds() + 1


@pytest.fixture(autouse=True)
def settings(tmp_path: Path) -> Iterator[None]:
    with settled(settings_for(tmp_path)):
        yield


@pytest.fixture(autouse=True)
def nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not worked."""
    monkeypatch.setattr(jobs._heard, "heard_at", None)
    monkeypatch.setattr(jobs._heard, "tried_at", None)


@pytest.fixture
async def monitor(database: Database) -> AsyncIterator[Callable]:
    """Asks for a path; its status."""
    transport = httpx.ASGITransport(Router(worker_http.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def ask(path: str) -> int:
            return (await client.get(path)).status_code

        with serve_requests_from(database):
            yield ask


async def test_before_it_works_it_is_neither(monitor):
    assert [await monitor(path) for path in ("/healthz", "/readyz")] == [503, 503]


async def test_it_is_both_while_the_database_hears_of_it(monitor, login_url: str):
    async def ready() -> bool:
        return await monitor("/readyz") == 200

    async with jobs.working(login_url):
        await until_said(ready)
        assert await monitor("/healthz") == 200


async def test_its_heartbeats_are_noted(login_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs, "HEARTBEAT", jobs.HEARTBEAT / 100)
    async with jobs.working(login_url):
        await until(lambda: jobs.silent_for() is not None)
        first = jobs._heard.heard_at
        await until(lambda: jobs._heard.heard_at != first)


async def test_while_the_database_is_away_it_lives_and_is_not_ready(monitor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jobs._heard, "heard_at", time.monotonic() - LONG)
    async with jobs.working("postgresql://authenticator@127.0.0.1:1/nowhere"):
        await until(lambda: jobs._heard.tried_at is not None)
        assert await monitor("/healthz") == 200
        assert await monitor("/readyz") == 503


async def test_one_that_is_stuck_does_not_live(monitor, monkeypatch: pytest.MonkeyPatch):
    for noted in ("heard_at", "tried_at"):
        monkeypatch.setattr(jobs._heard, noted, time.monotonic() - LONG)
    assert [await monitor(path) for path in ("/healthz", "/readyz")] == [503, 503]


async def test_its_numbers_are_there(monitor):
    assert await monitor("/metrics") == 200
