"""The real Python clients, async and sync, over the builders that they offer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from postgrest.exceptions import APIError
from postgrest.types import CountMethod, ReturnMethod
from supabase import AsyncClient, AsyncClientOptions, Client, ClientOptions, acreate_client, create_client

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fresh_rows")]

ORIGIN = "http://localhost:3000"


class Bridge(httpx.BaseTransport):
    """Lets a synchronous client, in a thread, reach the application in this event loop."""

    def __init__(self, app, loop: asyncio.AbstractEventLoop):
        self._transport = httpx.ASGITransport(app)
        self._loop = loop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._transport.handle_async_request(
                httpx.Request(request.method, request.url, headers=request.headers.raw, content=request.read())
            )
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(30)


@pytest.fixture
async def client_of(supabase_app) -> Callable:
    async def make(key: str) -> AsyncClient:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(supabase_app))
        return await acreate_client(ORIGIN, key, AsyncClientOptions(httpx_client=http))

    return make


@pytest.fixture
async def client(client_of, keys) -> AsyncClient:
    return await client_of(keys.service_role)


async def test_select_with_filters_order_and_range(client):
    answer = await client.table("things").select("id,name", count=CountMethod.exact).gt("id", 1).order("id").execute()
    assert [row["id"] for row in answer.data] == [2, 3, 4, 5]
    assert answer.count == 4
    answer = (
        await client.table("things").select("id").order("amount", desc=True, nullsfirst=False).range(1, 2).execute()
    )
    assert [row["id"] for row in answer.data] == [3, 2]
    answer = await client.table("things").select("id").in_("name", ["apple", 'a,b.c(d)"e"\\f']).order("id").execute()
    assert [row["id"] for row in answer.data] == [1, 4]
    answer = await client.table("things").select("id").or_("id.eq.1,and(id.gt.1,id.lt.3)").order("id").execute()
    assert [row["id"] for row in answer.data] == [1, 2]
    answer = await client.table("things").select("id").contains("tags", ["fruit"]).order("id").execute()
    assert [row["id"] for row in answer.data] == [1, 2]
    answer = await client.table("things").select("id").match({"flag": "true", "amount": "1"}).execute()
    assert [row["id"] for row in answer.data] == [1]
    answer = (
        await client.table("things").select("id").not_.is_("name", "null").ilike("name", "%A%").order("id").execute()
    )
    assert [row["id"] for row in answer.data] == [1, 2, 4]
    answer = await client.table("things").select("*", count=CountMethod.exact, head=True).execute()
    assert answer.count == 5


async def test_single_and_maybe_single(client):
    assert (await client.table("things").select("name").eq("id", 1).single().execute()).data == {"name": "apple"}
    assert (await client.table("things").select("name").eq("id", 1).maybe_single().execute()).data == {"name": "apple"}
    assert await client.table("things").select("name").eq("id", 77).maybe_single().execute() is None
    with pytest.raises(APIError) as error:
        await client.table("things").select("name").single().execute()
    assert error.value.code == "PGRST116"


async def test_csv_and_explain(client):
    answer = await client.table("things").select("id,name").eq("id", 1).csv().execute()
    assert answer.data == "id,name\n1,apple"
    with pytest.raises(APIError) as error:
        await client.table("things").select("id").explain().execute()
    assert error.value.code == "PGRST107"


async def test_insert_update_upsert_and_delete(client):
    made = await client.table("pairs").insert([{"a": 8, "b": "q"}, {"a": 9, "b": "q", "note": "n"}]).execute()
    assert made.data == [{"a": 8, "b": "q", "note": None}, {"a": 9, "b": "q", "note": "n"}]
    changed = await client.table("pairs").update({"note": "changed"}).eq("a", 8).execute()
    assert changed.data == [{"a": 8, "b": "q", "note": "changed"}]
    both = (
        await client.table("pairs")
        .upsert([{"a": 8, "b": "q", "note": "x"}, {"a": 10, "b": "q", "note": "y"}])
        .execute()
    )
    assert [row["note"] for row in both.data] == ["x", "y"]
    ignored = await client.table("pairs").upsert({"a": 8, "b": "q", "note": "z"}, ignore_duplicates=True).execute()
    assert ignored.data == []
    other = await client.table("things").upsert({"name": "apple", "amount": 5}, on_conflict="name").execute()
    assert (other.data[0]["id"], other.data[0]["amount"]) == (1, 5)
    gone = await client.table("pairs").delete().gte("a", 8).execute()
    assert len(gone.data) == 3
    quiet = await client.table("pairs").insert({"a": 11, "b": "q"}, returning=ReturnMethod.minimal).execute()
    assert quiet.data == []
    with pytest.raises(APIError) as error:
        await client.table("pairs").delete().execute()
    assert error.value.code == "21000"


async def test_functions(client):
    assert (await client.rpc("add", {"a": 1, "b": 2}).execute()).data == 3
    assert (await client.rpc("add", {"a": 1}, get=True).execute()).data == 11
    rows = await client.rpc("things_above", {"low": 1}).select("id").order("id").limit(2).execute()
    assert rows.data == [{"id": 2}, {"id": 3}]
    assert (await client.rpc("nothing", {}).execute()).data in (None, [])


async def test_a_visitor_joins_and_a_repeat_is_told(client_of, keys):
    visitor = await client_of(keys.anon)
    lead = {"email": "ada@example.com"}
    await visitor.table("leads").insert(lead, returning=ReturnMethod.minimal).execute()
    with pytest.raises(APIError) as error:
        await visitor.table("leads").insert(lead, returning=ReturnMethod.minimal).execute()
    assert error.value.code == "23505"
    with pytest.raises(APIError) as error:
        await visitor.table("leads").insert({"email": "bob@example.com"}).execute()
    assert error.value.code == "42501"


async def test_the_synchronous_client(supabase_app, keys):
    def use(client: Client) -> None:
        assert client.table("things").select("name").eq("id", 1).single().execute().data == {"name": "apple"}
        assert client.table("pairs").insert({"a": 5, "b": "z"}).execute().data == [{"a": 5, "b": "z", "note": None}]
        assert client.rpc("add", {"a": 1}).execute().data == 11
        with pytest.raises(APIError) as error:
            client.table("nope").select("*").execute()
        assert error.value.code == "PGRST205"

    http = httpx.Client(transport=Bridge(supabase_app, asyncio.get_running_loop()))
    await asyncio.to_thread(lambda: use(create_client(ORIGIN, keys.service_role, ClientOptions(httpx_client=http))))
    await asyncio.to_thread(http.close)
