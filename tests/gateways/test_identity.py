"""The application's own door to Supabase: in process at the stand-in, over HTTP at one elsewhere; the same client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from sigma_app.embedded.supabase.keys import keys_in
from sigma_app.gateways import identity
from sigma_app.gateways.access import access
from sigma_app.gateways.identity import reaching_supabase
from sigma_app.settings import get_settings
from tests.conftest import settings_for

pytestmark = pytest.mark.anyio


async def repeat(request: Request) -> JSONResponse:
    """What came in, as the row that the client asked for."""
    return JSONResponse(
        [{"url": str(request.url), "apikey": request.headers["apikey"], "as": request.headers["authorization"]}]
    )


async def fail(_: Request) -> JSONResponse:
    raise ZeroDivisionError


ROUTES = [Mount("/rest/v1", routes=[Route("/seen", repeat), Route("/broken", fail)])]


@pytest.fixture
def variables() -> dict[str, str]:
    return {}


@pytest.fixture
def environment(tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process has the settings of a fresh checkout and these variables, and the routes above for a stand-in."""
    monkeypatch.setitem(identity.Settings.model_config, "env_file", None)
    for name, value in {"SIGMA_DATA_DIR": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(identity.embedded, "routes", lambda _: ROUTES)
    for cached in (get_settings, identity.routes):
        cached.cache_clear()
    yield
    for cached in (get_settings, identity.routes):
        cached.cache_clear()


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("as_service", [False, True], ids=["visitor", "service"])
async def test_it_reaches_the_stand_in_in_process_with_the_key_of_who_it_is(tmp_path: Path, as_service: bool):
    async with reaching_supabase(as_service=as_service) as client:
        (seen,) = (await client.table("seen").select("*").execute()).data
    keys = keys_in(tmp_path)
    key = keys.service_role if as_service else keys.anon
    assert seen == {"url": "http://localhost:3000/rest/v1/seen?select=%2A", "apikey": key, "as": f"Bearer {key}"}


@pytest.mark.usefixtures("environment")
async def test_an_error_of_the_stand_in_is_an_answer_as_it_would_be_over_the_network():
    async with reaching_supabase() as client:
        with pytest.raises(Exception) as failed:  # noqa: PT011 - the client's own, whichever
            await client.table("broken").select("*").execute()
    assert not isinstance(failed.value, ZeroDivisionError)


class TestHosted:
    """With a Supabase elsewhere."""

    ended = False

    @pytest.fixture
    async def elsewhere(self) -> AsyncIterator[str]:
        """Where one row is served over a real socket, and nothing checked."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            key = next(line.partition(": ")[2] for line in head.splitlines() if line.startswith("apikey"))
            body = f'[{{"apikey": "{key}"}}]'
            writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
            await reader.read()  # until the other side closes
            self.ended = True
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()

    @pytest.fixture
    def variables(self, elsewhere: str) -> dict[str, str]:
        return {
            "VITE_SUPABASE_URL": elsewhere,
            "VITE_SUPABASE_ANON_KEY": "anon.key.there",
            "SUPABASE_SERVICE_ROLE_KEY": "service.key.there",
        }

    @pytest.mark.usefixtures("environment")
    async def test_it_is_reached_over_http_with_its_own_keys_and_the_connection_ends_with_the_block(self):
        assert identity.routes() == []
        async with reaching_supabase() as client:
            assert (await client.table("seen").select("*").execute()).data == [{"apikey": "anon.key.there"}]
        async with asyncio.timeout(5):
            while not self.ended:  # noqa: ASYNC110 - of the other side of a socket
                await asyncio.sleep(0.01)

    @pytest.mark.usefixtures("environment")
    async def test_its_address_is_the_hosted_one_wherever_the_app_is_served(self, elsewhere: str):
        found = access(get_settings(), "http://localhost:1234")
        assert (found.url, found.anon_key) == (elsewhere, "anon.key.there")
        assert "service.key.there" not in repr(found)


def test_the_stand_in_is_where_the_server_really_is(tmp_path: Path):
    settings = settings_for(tmp_path)
    assert access(settings).url == "http://localhost:3000"
    assert access(settings, "http://localhost:1234").url == "http://localhost:1234"
