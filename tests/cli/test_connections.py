"""What one connection may take of the server: uvicorn in this process, with clocks that run faster."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sigma_app.cli import connections
from sigma_app.core.metrics import REFUSALS
from tests.safety.raw import status_of

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 32 * 1024 * 1024  # bytes; far more than the system's own buffers hold
PATIENCE = 30  # seconds, for what should be over after some tenths


class App:
    """Answers after it has read the whole body, or at once where the path is /early; /large is large."""

    def __init__(self) -> None:
        self.left: list[str] = []  # paths whose clients were gone before all was said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                size = len(message.get("text") or "")
                await send({"type": "websocket.send", "text": str(size)})
            return
        more = scope["path"] not in ("/early", "/late")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.append(scope["path"])
                return
            more = message.get("more_body", False)
        if scope["path"] == "/late":  # at work for longer than any body may take
            await asyncio.sleep(4 * connections.BODY_SECONDS)
        body = bytes(LARGE if scope["path"] == "/large" else 2)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        for start in range(0, len(body), 65536):
            await send(
                {
                    "type": "http.response.body",
                    "body": body[start : start + 65536],
                    "more_body": start + 65536 < len(body),
                }
            )


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def port(app: App, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Where it is served, with a tenth of a second for whatever has seconds otherwise."""
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "ANSWER_SECONDS", "_LINGER_SECONDS"):
        monkeypatch.setattr(connections, name, 0.3)
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(connections, "ANSWER_PACE", 1024 * 1024)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, **connections.bounded_protocols(), log_config=None, timeout_keep_alive=1, ws_max_size=100_000
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield listener.getsockname()[1]
    assert not server.server_state.connections  # whatever was tried, nothing of it is left
    server.should_exit = True
    await serving


class Client:
    """A connection that a test writes to and reads from as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader = reader
        self.writer = writer

    async def say(self, *parts: bytes, pause: float = 0) -> None:
        """Send `parts` until the server hangs up."""
        for part in parts:
            if self.reader.at_eof() or self.writer.is_closing():
                return
            self.writer.write(part)
            await asyncio.sleep(pause)

    async def hear(self) -> bytes:
        """All that the server says until it hangs up."""
        async with asyncio.timeout(PATIENCE):
            heard = b""
            try:
                while chunk := await self.reader.read(65536):
                    heard += chunk
            except ConnectionResetError:
                pass
        self.writer.close()
        return heard


async def client(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


async def test_whoever_connects_and_says_nothing_is_hung_up_on(port: int):
    assert await (await client(port)).hear() == b""


async def test_nothing_but_line_breaks_is_nothing(port: int):
    silent = await client(port)
    saying = asyncio.create_task(silent.say(*[b"\r\n"] * 1000, pause=0.05))
    assert await silent.hear() == b""
    saying.cancel()


@pytest.mark.parametrize("dribble", [GET[:-2] + b"X: a" * 1000, b"G" * 1000])
async def test_a_head_that_comes_byte_by_byte_is_told_so_and_hung_up_on(port: int, dribble: bytes):
    slow = await client(port)
    saying = asyncio.create_task(slow.say(*(dribble[at : at + 1] for at in range(1000)), pause=0.05))
    assert status_of(await slow.hear()) in (408, 400)  # a method of a thousand letters is none
    saying.cancel()


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"Content-Length: 1000\r\n\r\n", b"a"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),  # an extension that does not end
        (b"Content-Length: 1000\r\n\r\n" + b"a" * 999, b""),  # a length that is a lie
    ],
)
async def test_a_body_that_comes_byte_by_byte_is_told_so_and_hung_up_on(app: App, port: int, head: bytes, part: bytes):
    slow = await client(port)
    saying = asyncio.create_task(slow.say(POST + head, *[part] * 1000, pause=0.05))
    assert status_of(await slow.hear()) == 408
    saying.cancel()
    assert app.left == ["/"]


async def test_a_large_body_may_take_as_long_as_its_size_allows(port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "BODY_PACE", 1000)
    patient = await client(port)
    await patient.say(POST + b"Content-Length: 20000\r\nConnection: close\r\n\r\n", *[b"a" * 1000] * 20, pause=0.05)
    assert status_of(await patient.hear()) == 200


async def test_the_applications_own_time_is_not_the_clients(port: int):
    patient = await client(port)
    await patient.say(POST.replace(b" / ", b" /late ") + b"Connection: close\r\n\r\n")
    assert status_of(await patient.hear()) == 200


async def test_whoever_was_answered_early_may_send_no_longer_than_it_takes_to_read_that(port: int):
    eager = await client(port)
    head = POST.replace(b" / ", b" /early ") + b"Content-Length: 1000000000\r\n\r\n"
    slow = REFUSALS.labels("slow")
    before = slow._value.get()
    saying = asyncio.create_task(eager.say(head, *[b"a" * 1000] * 100_000, pause=0.001))
    assert status_of(await eager.hear()) == 200
    saying.cancel()
    assert slow._value.get() == before + 1  # and not only the second in which a connection may be idle


async def test_whoever_does_not_read_the_answer_is_cut_off(port: int):
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", port)) as deaf:
        deaf.setblocking(False)
        await loop.sock_sendall(deaf, GET.replace(b" / ", b" /large "))
        async with asyncio.timeout(PATIENCE):  # without reading what it sent
            while not deaf.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_whoever_reads_slowly_but_reads_is_not(port: int):
    reader = await client(port)
    await reader.say(GET.replace(b" / ", b" /large ").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    heard = 0
    while chunk := await reader.reader.read(512 * 1024):
        heard += len(chunk)
        await asyncio.sleep(0.01)
    reader.writer.close()
    assert heard > LARGE


async def test_a_connection_is_used_again(port: int):
    polite = await client(port)
    for _ in range(3):
        await polite.say(GET)
        assert status_of(await polite.reader.readuntil(bytes(2))) == 200
    await polite.say(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert status_of(await polite.hear()) == 200


async def test_a_websockets_message_has_an_end(port: int):
    async with connect(f"ws://127.0.0.1:{port}/", compression=None) as websocket:
        await websocket.send(["a"] * 10)
        assert await websocket.recv() == "10"
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.send([""] * 10_000)
            await websocket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_websockets_message_is_so_large(port: int, compression: str | None):
    async with connect(f"ws://127.0.0.1:{port}/", compression=compression) as websocket:
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.send("a" * 50_000_000)
            await websocket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_handshake_that_only_one_of_the_parsers_takes_is_no_traceback(
    port: int, caplog: pytest.LogCaptureFixture
):
    odd = await client(port)
    head = b"Upgrade: websocket\r\nConnection: Upgrade\r\nX: %s\r\n\r\n" % (b"a" * 10_000)
    await odd.say(GET[:-2] + head)
    assert status_of(await odd.hear()) == 400
    assert not caplog.records
