"""How far a body is read, whoever reads it, and who answers when it is too large."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core.body import BodyTooLarge, bounded, read_body

pytestmark = pytest.mark.anyio

MOST = 1024 * 1024 + 64 * 1024  # what a door takes that is not known to take more, and room to say so itself
LARGER = {"/pictures": 2 * 1024 * 1024}

Heard = list[Message]


def saying(length: int) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", str(length).encode())]


async def ask(
    app: ASGIApp, *chunks: bytes, path: str = "/join", headers: Iterable[tuple[bytes, bytes]] = (), kind: str = "http"
) -> tuple[Heard, int]:
    """What is answered to a request with such a body, and how many of its chunks were read."""
    sent: Heard = []
    read = 0

    async def receive() -> Message:
        nonlocal read
        read += 1
        body = chunks[read - 1] if read <= len(chunks) else b""
        return {"type": "http.request", "body": body, "more_body": read < len(chunks)}

    async def send(message: Message) -> None:
        sent.append(message)

    await bounded(app, LARGER)({"type": kind, "path": path, "headers": list(headers)}, receive, send)
    return sent, read


def statuses(sent: Heard) -> list[int]:
    return [message["status"] for message in sent if message["type"] == "http.response.start"]


async def answer(send: Send, words: bytes = b"read") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": words})


async def reading(_: Scope, receive: Receive, send: Send) -> None:
    """Reads all that there is, and answers whatever came of it."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await answer(send)


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/join", MOST, 200),
        ("/join", MOST + 1, 413),
        ("/pictures", MOST + 1, 200),
        ("/pictures", 2 * 1024 * 1024 + 64 * 1024 + 1, 413),
        ("/rest/v1/leads", 100 * MOST, 200),
    ],
)
async def test_a_body_may_be_so_large_whether_it_says_so_or_not(path: str, length: int, status: int):
    said, _ = await ask(reading, b"", path=path, headers=saying(length))
    assert statuses(said) == [status]
    came, _ = await ask(reading, bytes(length - 1), b"a", path=path)
    assert statuses(came) == [status]


async def test_one_that_says_it_is_too_large_is_not_read():
    _, read = await ask(reading, b"a", headers=saying(MOST + 1))
    assert read == 0


async def test_nothing_is_read_on_once_it_is_too_large():
    disconnects: list[str] = []

    async def stubborn(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        disconnects.extend([(await receive())["type"] for _ in range(3)])

    sent, read = await ask(stubborn, bytes(MOST), b"a", b"a", b"a")
    assert disconnects == ["http.disconnect"] * 3
    assert read == 2
    assert statuses(sent) == [413]


async def test_an_answer_that_has_begun_is_not_followed_by_another():
    async def hasty(_: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await send({"type": "http.response.body", "body": b"more"})

    sent, _ = await ask(hasty, bytes(MOST + 1))
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_what_is_no_request_passes():
    async def open_up(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})

    sent, _ = await ask(open_up, kind="websocket", headers=saying(MOST + 1))
    assert sent == [{"type": "websocket.accept"}]


@pytest.mark.parametrize(("most", "fits"), [(6, True), (5, False)])
async def test_a_door_reads_no_further_than_it_says(most: int, fits: bool):
    chunks = iter([b"abc", b"def", b"ghi"])

    async def receive() -> Message:
        body = next(chunks)
        return {"type": "http.request", "body": body, "more_body": body != b"def"}

    request = Request({"type": "http", "headers": []}, receive)
    if fits:
        assert await read_body(request, most) == b"abcdef"
    else:
        with pytest.raises(BodyTooLarge):
            await read_body(request, most)
