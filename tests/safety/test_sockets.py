"""Websockets of those who want too much: too many, too fast, too large, or from another site's page."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx
import pytest
from reflex_base.constants import Reflex
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from sigma_app.core import sockets
from tests.safety.raw import connect as connect_raw
from tests.safety.raw import hear, status_of, talk
from tests.sigma import Sigma

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unharmed")]

MOST = 4  # websockets of a network
ALICE, BOB, CHARLIE = "198.51.100.1", "198.51.100.2", "198.51.100.3"
HYDRATE = '42/_event,["event",{"name":"reflex___state____state.hydrate","payload":{},"router_data":{"pathname":"/"}}]'
HANDSHAKE = (
    "GET /_event/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
TOKEN = "a token of sixteen characters and more"
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"TRUSTED_PROXIES": "1", "SOCKET_LIMIT_PER_NETWORK": str(MOST), "SIGMA_METRICS_TOKEN": TOKEN}


def handshake(sigma: Sigma, network: str, origin: str | None = None) -> connect:
    """A page of a visitor from `network`, asking for its websocket."""
    return connect(
        f"ws://127.0.0.1:{sigma.port}/_event/?token={uuid4()}&EIO=4&transport=websocket",
        origin=Origin(origin or f"http://127.0.0.1:{sigma.port}"),
        subprotocols=[Subprotocol(Reflex.VERSION)],
        additional_headers={"X-Forwarded-For": network},
        max_queue=None,
    )


async def join(websocket: ClientConnection) -> None:
    """What a page says first."""
    await websocket.send("40/_event,")
    await told(websocket, "40/_event,")


async def told(websocket: ClientConnection, word: str) -> None:
    """Wait until the server says `word`."""
    async with asyncio.timeout(PATIENCE):
        while True:
            said = await websocket.recv()
            if said == "2":
                await websocket.send("3")
            elif word in str(said):
                return


async def metric(sigma: Sigma, name: str) -> float:
    """A number of /metrics; without labels, the sum of all that have them."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        text = (await client.get(f"{sigma.base_url}/metrics")).text
    return sum(map(float, re.findall(rf"^{re.escape(name)}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1:1"]
)
async def test_no_other_sites_page_gets_a_websocket(sigma: Sigma, origin: str):
    with pytest.raises(InvalidStatus) as refused:
        await handshake(sigma, ALICE, origin)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", None])
async def test_there_is_no_other_way_than_a_websocket(sigma: Sigma, origin: str | None):
    async with httpx.AsyncClient(headers={"origin": origin} if origin else {}) as client:
        answer = await client.get(f"{sigma.base_url}/_event/?EIO=4&transport=polling")
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


async def test_a_network_has_so_many_and_others_have_theirs(sigma: Sigma):
    async with AsyncExitStack() as stack:
        for _ in range(MOST):
            await join(await stack.enter_async_context(handshake(sigma, ALICE)))
        with pytest.raises(InvalidStatus) as refused:
            await handshake(sigma, ALICE)
        response = refused.value.response
        assert response.status_code == 429
        assert response.headers["retry-after"] == "60"
        assert b"Too many pages are open from your network." in response.body
        await join(await stack.enter_async_context(handshake(sigma, BOB)))
    assert "SOCKET_LIMIT_PER_NETWORK" in sigma.log.read_text()
    async with asyncio.timeout(PATIENCE):  # the places are free again, as soon as the server has heard of it
        while True:
            try:
                async with handshake(sigma, ALICE) as websocket:
                    return await join(websocket)
            except InvalidStatus:
                await asyncio.sleep(0.1)


async def test_whoever_connects_again_and_again_is_refused_after_a_while(sigma: Sigma):
    refused = 0
    for _ in range(4 * MOST):
        try:
            async with handshake(sigma, CHARLIE) as websocket:
                await join(websocket)
        except InvalidStatus as error:
            refused += error.response.status_code == 429
    assert refused


async def test_a_message_larger_than_any_form_ends_the_websocket(sigma: Sigma):
    async with handshake(sigma, "198.51.100.4") as websocket:
        await join(websocket)
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.send("42/_event," + json.dumps(["event", {"name": "x", "payload": {"a": "a" * 5_000_000}}]))
            await told(websocket, "nothing that it says")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_websocket_that_says_nothing_is_closed(sigma: Sigma):
    async with handshake(sigma, "198.51.100.5") as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            await told(websocket, "nothing that it says")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, sockets._SILENT)


async def test_whoever_sends_a_thousand_events_a_second_is_slowed_and_then_cut_off_while_others_keep_their_pace(
    sigma: Sigma,
):
    before = await metric(sigma, "sigma_events_total")
    async with handshake(sigma, "198.51.100.6") as abusive, handshake(sigma, "198.51.100.7") as other:
        await join(abusive)
        await join(other)

        async def flood() -> ConnectionClosed:
            try:
                for _ in range(50_000):
                    await abusive.send(HYDRATE)
                    await asyncio.sleep(0.001)
            except ConnectionClosed as closed:
                return closed
            raise AssertionError("Nobody cut it off.")

        flooding = asyncio.create_task(flood())
        others = 0
        while not flooding.done() and others < 50:
            await other.send(HYDRATE)
            await told(other, "is_hydrated")
            others += 1
        assert others == 50  # before the ten seconds are over for the other one
        async with asyncio.timeout(PATIENCE):
            closed = await flooding
    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (1008, sockets._TOO_FAST)
    read = await metric(sigma, "sigma_events_total") - before - others
    at_once, slowly = 20 * sockets.PAUSE_SECONDS, 20 * sockets.SLOWED_SECONDS
    assert at_once < read <= at_once + 2 * slowly
    assert await metric(sigma, 'sigma_refusals_total{reason="events"}') == 1


@pytest.mark.parametrize("more", ["X: " + "a" * 10_000, "Sec-WebSocket-Version: 12"])
def test_a_handshake_that_is_none_is_hung_up_on(sigma: Sigma, more: str):
    assert status_of(talk(sigma.port, f"{HANDSHAKE}{more}\r\n\r\n".encode())) == 400


def test_what_speaks_no_websocket_after_asking_for_one_is_hung_up_on(sigma: Sigma):
    with connect_raw(sigma.port) as connection:
        connection.sendall(f"{HANDSHAKE}Sec-WebSocket-Version: 13\r\n\r\n".encode())
        assert status_of(connection.recv(65536)) == 101
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        hear(connection)
