"""What settings bound, and a database that is away."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from sigma_app.core import login
from sigma_app.core.database import SERVICE, Database
from sigma_app.embedded.supabase import app
from sigma_app.embedded.supabase.rest import media

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_rows")]


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"PGRST_DB_MAX_ROWS": "2", "PGRST_DB_SAFE_UPDATE": "false", "PGRST_MAX_BODY": "2000"}


@pytest.mark.parametrize("query", ["", "limit=4", "limit=2", "offset=0"])
async def test_no_more_rows_than_allowed_come_at_once(rest, query):
    answer = await rest.get(f"/things?select=id&order=id&{query}")
    assert [row["id"] for row in answer.json()] == [1, 2]
    assert answer.headers["content-range"] == "0-1/*"


async def test_what_is_bounded_is_counted_in_full(rest):
    answer = await rest.get("/things?select=id&offset=1", headers={"prefer": "count=exact"})
    assert (answer.status_code, answer.headers["content-range"]) == (206, "1-2/5")
    answer = await rest.get("/things?select=id&id=lt.3", headers={"prefer": "count=estimated"})
    assert (answer.status_code, answer.headers["content-range"]) == (200, "0-1/2")
    answer = await rest.get("/things?select=id", headers={"prefer": "count=estimated"})
    first, _, total = answer.headers["content-range"].partition("/")
    assert first == "0-1"
    assert int(total) >= 3  # more than the bound, and then the planner's guess
    answer = await rest.get("/rpc/numbers_to?n=5")
    assert answer.json() == [1, 2]


async def test_writing_is_not_bounded(rest):
    answer = await rest.patch(
        "/things?id=gt.0&select=id", json={"amount": 1}, headers={"prefer": "return=representation"}
    )
    assert len(answer.json()) == 5


async def test_everything_may_be_changed_and_deleted_where_that_is_allowed(rest, owner):
    assert (await rest.patch("/things", json={"amount": 1})).headers["content-range"] == "0-4/*"
    assert (await rest.delete("/things")).status_code == 204
    assert owner.execute("select count(*) from public.things").fetchone() == (0,)


async def test_a_body_that_is_too_large(rest):
    answer = await rest.post("/loose", json=[{"a": 1, "b": "x" * 3000}])
    assert answer.status_code == 413
    assert answer.json()["message"] == "The body has more than 2000 bytes"
    assert (await rest.post("/rpc/hello", content=b" " * 3000)).status_code == 413


async def test_a_database_that_is_away(settings, keys, monkeypatch):
    monkeypatch.setattr("sigma_app.core.database.WAIT_SECONDS", 0.2)
    async with Database("postgresql://nobody@127.0.0.1:1/nothing") as database:
        monkeypatch.setattr("sigma_app.core.database._serving", database)  # the module's own serves again afterwards
        transport = httpx.ASGITransport(Starlette(routes=app.routes(settings, keys)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000/rest/v1") as client:
            client.headers["apikey"] = keys.anon
            answer = await client.get("/leads")
            assert (answer.status_code, answer.json()["code"]) == (503, "PGRST002")
            assert answer.headers["retry-after"] == "1"
            refused = await client.get("/leads", headers={"authorization": "Bearer x.y"})
            assert refused.status_code == 401


async def test_a_database_all_of_whose_connections_are_in_use(settings, keys, owner_url, monkeypatch):
    async with Database(login.login_url(owner_url), pool_size=1) as database:
        monkeypatch.setattr("sigma_app.core.database._serving", database)
        transport = httpx.ASGITransport(Starlette(routes=app.routes(settings, keys)))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000/rest/v1") as client:
            client.headers["apikey"] = keys.service_role
            assert (await client.get("/things?limit=1")).status_code == 200
            async with database.cursor(SERVICE):
                with monkeypatch.context() as hasty:
                    hasty.setattr(database._pool, "timeout", 0.2)
                    answer = await client.get("/things?limit=1")
            assert (answer.status_code, answer.json()["code"]) == (504, "PGRST003")
            assert answer.headers["retry-after"] == "1"
            assert (await client.get("/things?limit=1")).status_code == 200


async def test_a_connection_that_breaks(rest, owner):
    assert (await rest.get("/things?limit=1")).status_code == 200
    answer = await rest.post("/rpc/end_me", json={})
    assert answer.status_code == 404
    owner.execute(
        "create or replace function public.end_me() returns void language sql volatile security definer as"
        " 'select pg_terminate_backend(pg_backend_pid())'"
    )
    while answer.status_code == 404:
        answer = await rest.post("/rpc/end_me", json={})
    assert answer.status_code == 503
    assert answer.json()["code"] == "PGRST000"
    assert (await rest.get("/things?limit=1")).status_code == 200


def test_a_long_accept_header_is_read_in_one_pass():
    """A second pass for each comma would take hours here."""
    assert len(media.accepted(',"' * 500_000)) > 0
    assert media.accepted('text/csv;x="a,b" , application/json') == ['text/csv;x="a,b"', "application/json"]
