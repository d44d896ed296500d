"""What is counted, and who may read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import PlainTextResponse
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from sigma_app.core import jobs
from sigma_app.core.database import SERVICE, Database, serve_requests_from
from sigma_app.core.metrics import WEBSOCKETS, event_label, kind_of, measured
from sigma_app.features.operations import metrics
from tests.conftest import settings_for
from tests.settled import settled
from tests.waiting import until, until_said

pytestmark = pytest.mark.anyio

TOKEN = "0123456789abcdef"


@pytest.fixture
def settle(tmp_path: Path) -> Callable[..., AbstractContextManager[None]]:
    """Makes these the settings inside a block."""

    @contextmanager
    def made(**variables: str) -> Iterator[None]:
        with settled(settings_for(tmp_path, **variables)):
            yield

    return made


@pytest.fixture
async def served(database: Database) -> AsyncIterator[None]:
    with serve_requests_from(database):
        yield


async def ask(address: str = "127.0.0.1", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(Router(metrics.ROUTES), client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/metrics", headers={name.replace("_", "-"): value for name, value in headers.items()})


async def read(name: str, **labels: str) -> float:
    """A number of the answer; 0 where it is not there yet."""
    for family in text_string_to_metric_families((await ask()).text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return 0


@pytest.mark.parametrize(
    ("address", "variables", "headers", "status"),
    [
        ("127.0.0.1", {}, {}, 200),
        ("::1", {}, {}, 200),
        ("192.0.2.7", {}, {}, 403),
        ("10.0.0.7", {}, {}, 403),
        ("somewhere", {}, {}, 403),
        ("127.0.0.1", {}, {"x_forwarded_for": "192.0.2.7"}, 403),
        ("127.0.0.1", {"TRUSTED_PROXIES": "1"}, {"x_forwarded_for": "192.0.2.7"}, 403),
        ("127.0.0.1", {"TRUSTED_PROXIES": "1"}, {"x_forwarded_for": "127.0.0.1"}, 200),
        ("192.0.2.7", {"SIGMA_METRICS_TOKEN": TOKEN}, {"authorization": f"Bearer {TOKEN}"}, 200),
        ("192.0.2.7", {"SIGMA_METRICS_TOKEN": TOKEN}, {"authorization": f"Bearer {TOKEN}x"}, 403),
        ("127.0.0.1", {"SIGMA_METRICS_TOKEN": TOKEN}, {}, 403),
    ],
)
async def test_this_machine_may_read_it_or_who_has_the_token(settle, served, address, variables, headers, status):
    with settle(**variables):
        assert (await ask(address, **headers)).status_code == status


async def test_requests_are_counted_by_kinds_and_no_others(settle, served):
    app = measured(Router([Route("/{path:path}", lambda _: PlainTextResponse("ok"), methods=["GET", "POST"])]))
    with settle():
        before = await read("sigma_requests_total", kind="rest", method="GET", status="200")
        pages = await read("sigma_request_seconds_count", kind="page")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            await client.get("/rest/v1/leads")
            await client.get("/whatever/somebody/types")
            await client.request("BREW", "/coffee")
        assert await read("sigma_requests_total", kind="rest", method="GET", status="200") == before + 1
        assert await read("sigma_request_seconds_count", kind="page") == pages + 1
        assert await read("sigma_requests_total", kind="form", method="other", status="405") == 1
        assert "whatever" not in (await ask()).text


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/assets/app.js", "asset"),
        ("GET", "/fonts/sans.woff2", "asset"),
        ("POST", "/auth/v1/token", "auth"),
        ("GET", "/rest/v1/leads", "rest"),
        ("PUT", "/storage/v1/object/avatars/a", "storage"),
        ("POST", "/webhooks/stripe", "webhook"),
        ("GET", "/", "page"),
        ("HEAD", "/pricing", "page"),
        ("POST", "/join", "form"),
    ],
)
def test_a_request_is_of_one_kind(method: str, path: str, kind: str):
    assert kind_of({"method": method, "path": path}) == kind


async def test_connections_and_who_waits_for_one_are_told(settle, served, database: Database):
    async def take_one() -> None:
        async with database.cursor(SERVICE):
            pass

    with settle():
        async with AsyncExitStack() as held:
            for _ in range(3):
                await held.enter_async_context(database.cursor(SERVICE))
            assert await read("sigma_pool_connections", state="lent") == 3
            await held.enter_async_context(database.cursor(SERVICE))
            waits = asyncio.create_task(take_one())
            asked = asyncio.create_task(ask())  # which waits, too, once it has looked
            await until(lambda: metrics.WAITING._value.get() == 1)
        await asyncio.gather(waits, asked)
        assert await read("sigma_pool_connections", state="lent") == 0
        assert await read("sigma_pool_connections", state="idle") > 0
        assert await read("sigma_pool_waiting") == 0


async def test_how_long_the_oldest_job_waits_is_told_and_kept_by_nobody(settle, served, owner):
    owner.execute("select sigma.queue_job('test:late', '{}')")
    owner.execute("update procrastinate.procrastinate_events set at = now() - interval '4 minutes'")
    with settle():
        assert 240 <= await read("sigma_queue_oldest_seconds") < 300
        assert (await ask()).headers["cache-control"] == "no-store"


async def test_websockets_are_counted_while_they_are_open():
    seen: list[float] = []

    async def door(websocket: WebSocket) -> None:
        seen.append(WEBSOCKETS._value.get())

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(_: Message) -> None:
        pass

    before = WEBSOCKETS._value.get()
    app = measured(Router([WebSocketRoute("/", door)]))
    await app({"type": "websocket", "path": "/", "headers": [], "query_string": b""}, receive, send)
    assert seen == [before + 1]
    assert WEBSOCKETS._value.get() == before


async def test_jobs_and_the_queue_are_counted(settle, served, login_url: str, owner):
    async def note(fail: bool) -> None:
        if fail:
            raise jobs.JobError

    jobs.job("test:counted", retry=False)(note)
    try:
        with settle():
            for fail in (True, False, False):
                owner.execute("select sigma.queue_job('test:counted', jsonb_build_object('fail', %s::boolean))", [fail])
            assert await read("sigma_queue_jobs", status="todo") == 3
            done, failed = [
                await read("sigma_jobs_total", job="test:counted", outcome=how) for how in ("done", "failed")
            ]
            await jobs.work(login_url, until_idle=True)
            assert await read("sigma_jobs_total", job="test:counted", outcome="done") == done + 2
            assert await read("sigma_jobs_total", job="test:counted", outcome="failed") == failed + 1
            assert await read("sigma_queue_jobs", status="failed") == 1
            assert await read("sigma_queue_jobs", status="todo") == 0
    finally:
        del jobs.queue.tasks["test:counted"]


async def test_the_workers_that_live_are_counted(settle, served, login_url: str, owner):
    async def some_worker() -> bool:
        return await read("sigma_workers") == 1

    with settle():
        async with jobs.working(login_url):
            await until_said(some_worker)
            assert await read("sigma_worker_silent_seconds") < jobs.SILENCE.total_seconds()
            owner.execute("update procrastinate.procrastinate_workers set last_heartbeat = now() - interval '1 minute'")
            assert await read("sigma_workers") == 0


async def test_what_readyz_looks_at_and_the_disk_are_there(settle, served, owner):
    with settle():
        assert {await read("sigma_check_ok", check=name) for name in ("database", "migrations", "queue", "disk")} == {1}
        assert await read("sigma_disk_free_bytes") > 0
        owner.execute("update sigma.alembic_version set version_num = '0001'")
        assert await read("sigma_check_ok", check="migrations") == 0


def test_events_are_named_by_their_handlers():
    from sigma_app.features.waitlist.state import WaitlistState

    assert event_label(f"{WaitlistState.get_full_name()}.join") == "waitlist_state.join"
    assert event_label("reflex___state____state.hydrate") == "state.hydrate"


async def test_without_a_database_it_says_so(settle, database: Database, served):
    with settle():
        assert await read("sigma_database_up") == 1
        assert (
            await read("sigma_pool_connections", state="idle") + await read("sigma_pool_connections", state="lent") > 0
        )
        assert await read("sigma_check_ok", check="queue") == 1
        await database.close()
        assert await read("sigma_database_up") == 0
        said = (await ask()).text
        assert 'sigma_check_ok{check="database"} 0.0' in said
        assert 'sigma_check_ok{check="migrations"}' not in said
        assert "sigma_queue_oldest_seconds NaN" in said
        assert "sigma_workers NaN" in said
        assert "sigma_queue_jobs{" not in said  # nothing as it was before


async def test_it_says_what_runs(settle, served):
    with settle():
        said = (await ask()).text
        assert "sigma_build_info{" in said
        assert "process_resident_memory_bytes" in said
