"""Whether a process says truly that it can do its work."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from starlette.routing import Router

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.features.operations import health, http
from tests.conftest import settings_for
from tests.settled import settled

pytestmark = pytest.mark.anyio

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path) -> Iterator[None]:
    with settled(settings_for(tmp_path)):
        yield


@pytest.fixture
async def monitor(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Asks, and gets a fresh answer each time."""
    monkeypatch.setattr(http, "_FRESH", -1)
    transport = httpx.ASGITransport(Router(http.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with serve_requests_from(database):
            yield client


async def test_it_lives(monitor: httpx.AsyncClient):
    answer = await monitor.get("/healthz")
    assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (200, "ok", "no-store")


async def test_it_is_ready_when_everything_is(monitor: httpx.AsyncClient):
    answer = await monitor.get("/readyz")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    said = answer.json()
    assert said["ready"]
    assert {name: check["ok"] for name, check in said["checks"].items()} == {
        "database": True,
        "migrations": True,
        "queue": True,
        "disk": True,
    }


async def test_without_a_database_it_is_not_and_lives(monitor: httpx.AsyncClient, database: Database):
    await database.close()
    answer = await monitor.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]["ok"]) == (503, False)
    assert (await monitor.get("/healthz")).status_code == 200


async def test_with_another_schema_it_is_not(monitor: httpx.AsyncClient, owner):
    owner.execute("update sigma.alembic_version set version_num = '0001'")
    answer = await monitor.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["migrations"]["says"]) == (
        503,
        f"At 0001, not {health._head()}.",
    )


@pytest.mark.parametrize("table", ["procrastinate.procrastinate_jobs", "sigma.alembic_version"])
async def test_a_database_without_what_is_asked_for_is_said_not_to_answer(
    monitor: httpx.AsyncClient, owner: psycopg.Connection, table: str
):
    owner.execute(f"alter table {table} rename to away".encode())
    answer = await monitor.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["database"]["ok"]) == (503, False)


@pytest.mark.parametrize(("ago", "ok"), [("4 minutes", True), ("6 minutes", False)])
async def test_a_queue_that_is_behind_is_said_and_keeps_nobody_out(monitor: httpx.AsyncClient, owner, ago, ok):
    owner.execute(
        "select sigma.queue_job('test:late', '{}'), sigma.queue_job('test:later', '{}', now() + interval '1 h')"
    )
    owner.execute(f"update procrastinate.procrastinate_events set at = now() - interval '{ago}'".encode())
    answer = await monitor.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["queue"]["ok"]) == (200, ok)


@pytest.mark.parametrize(("short", "status"), [(1, 503), (0, 200)])
async def test_a_disk_that_is_nearly_full_is_no_place_to_go_on(monitor: httpx.AsyncClient, monkeypatch, short, status):
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: Usage(1, 1, 256 * 1024**2 - short))
    answer = await monitor.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["disk"]["ok"]) == (status, status == 200)


@pytest.mark.parametrize(
    ("free", "said"), [(0, "0.0 bytes"), (200 * 1024**2, "200.0 MiB"), (71153 * 1024**2, "69.5 GiB")]
)
async def test_what_is_free_is_told_in_the_unit_that_people_read(monitor: httpx.AsyncClient, monkeypatch, free, said):
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: Usage(1, 1, free))
    assert (await monitor.get("/readyz")).json()["checks"]["disk"]["says"] == f"{said} free."


HOSTED_DATABASE = {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}
HOSTED_AUTH = {
    "VITE_SUPABASE_URL": "https://x.supabase.co",
    "VITE_SUPABASE_ANON_KEY": "sb_publishable_1",
    "SUPABASE_SERVICE_ROLE_KEY": "sb_secret_1",
}


@pytest.mark.parametrize(
    ("hosted", "files", "database", "least"),
    [
        ({}, 3, 2, 2),
        ({}, 2, 3, 2),
        (HOSTED_DATABASE, 3, 2, 3),
        (HOSTED_DATABASE | HOSTED_AUTH, 3, 2, None),
        ({}, None, 2, 1),  # not there yet: where it will be is somewhere below the root
    ],
)
def test_the_disk_is_looked_at_where_something_is_kept(tmp_path: Path, monkeypatch, hosted, files, database, least):
    free = {tmp_path / "files": files, tmp_path / "database": database, "/": 1}
    for place, units in free.items():
        if units and place != "/":
            Path(place).mkdir()
    monkeypatch.setattr(health.shutil, "disk_usage", lambda place: Usage(9, 9, free[place]))
    monkeypatch.setattr(health, "database_directory", lambda _: tmp_path / "database")
    with settled(settings_for(tmp_path / "files", **hosted)):
        assert health.free_space() == least


async def test_who_asks_in_a_loop_costs_the_database_one_question(monitor: httpx.AsyncClient, monkeypatch):
    monkeypatch.setattr(http, "_FRESH", 60)
    monkeypatch.setattr(http, "_known", None)
    asked = []
    checks = health.checks

    async def counted():
        asked.append(1)
        return await checks()

    monkeypatch.setattr(health, "checks", counted)
    for _ in range(5):
        assert (await monitor.get("/readyz")).status_code == 200
    assert len(asked) == 1
    monkeypatch.setattr(http, "_known", None)
