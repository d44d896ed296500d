"""Ids of requests: in answers, in the log, and in the jobs that requests cause; and what becomes of one that fails."""

from __future__ import annotations

import logging
import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigma_app.core import jobs
from sigma_app.core.database import SERVICE, Database, Step, serve_requests_from
from sigma_app.core.logs import request_id
from sigma_app.core.requests import identified

pytestmark = pytest.mark.anyio

GIVEN = "by-the-proxy-0001"


async def tell(_: Request) -> Response:
    return PlainTextResponse(request_id.get())


async def fail(request: Request) -> Response:
    raise ValueError(request.query_params.get("word"))


async def ask(path: str, proxies: int = 0, apology: str = "", **headers: str) -> httpx.Response:
    def apologize(identity: str) -> Response | None:
        return HTMLResponse(f"{apology} {identity}", 500) if apology else None

    routes = Starlette(routes=[Route("/", tell)])
    routes.router.routes += [Route("/fail", fail), Route("/fail/{rest:path}", fail)]
    app = identified(routes.router, proxies, apologize)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path, headers=headers)


async def test_each_has_one_of_its_own_and_is_told_it():
    first, second = [await ask("/") for _ in range(2)]
    assert first.text == first.headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", first.text)
    assert first.text != second.text
    assert request_id.get() == ""


@pytest.mark.parametrize(
    ("proxies", "given", "counts"),
    [(0, GIVEN, False), (1, GIVEN, True), (1, "short", False), (1, "x' or 1=1 --", False), (1, "a" * 65, False)],
)
async def test_only_one_that_a_proxy_of_ours_gives_counts(proxies: int, given: str, counts: bool):
    answer = await ask("/", proxies, **{"x-request-id": given})
    assert (answer.text == given) is counts


async def test_what_fails_is_logged_and_answered_with_the_id(caplog: pytest.LogCaptureFixture):
    answer = await ask("/fail?word=typed", accept="application/json")
    said = answer.json()
    assert (answer.status_code, said["code"], said["message"]) == (500, "500", said["error"])
    assert answer.headers["x-request-id"] in said["details"]
    assert "A request failed: GET /fail: ValueError" in caplog.text
    assert "typed" not in caplog.text + answer.text


async def test_what_opens_something_is_not_in_the_log(caplog: pytest.LogCaptureFixture):
    token = "q3v-Zk_81nX0aBcDeFgHiJkLmNoPqRsT"
    await ask(f"/fail/{token}/again")
    assert "A request failed: GET /fail/…/again: ValueError" in caplog.text
    assert token not in caplog.text


async def test_who_wants_a_page_gets_one(caplog: pytest.LogCaptureFixture):
    answer = await ask("/fail", apology="Sorry.", accept="text/html,*/*")
    assert (answer.status_code, answer.text) == (500, f"Sorry. {answer.headers['x-request-id']}")
    plain = await ask("/fail", accept="text/html")
    assert plain.headers["x-request-id"] in plain.text


async def told_by(app: ASGIApp, kind: str = "http") -> list[Message]:
    """What an identified application sends; the client says nothing more."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": kind, "path": "/", "query_string": b"", "headers": []}
    if kind == "http":
        scope["method"] = "POST"
    try:
        await identified(app, 0)(scope, receive, send)
    except ValueError:
        sent.append({"type": "raised"})
    return sent


async def test_what_fails_in_the_middle_of_an_answer_is_left_to_the_server_to_cut_off(caplog):
    async def half(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    assert [message["type"] for message in await told_by(half)] == ["http.response.start", "raised"]
    assert "A request failed: POST /: ValueError" in caplog.text


async def test_a_websocket_that_fails_gets_no_answer_of_http(caplog: pytest.LogCaptureFixture):
    async def broken(_: Scope, __: Receive, ___: Send) -> None:
        raise ValueError

    assert await told_by(broken, "websocket") == [{"type": "raised"}]
    assert "A request failed: websocket /: ValueError" in caplog.text


async def test_who_leaves_before_having_sent_all_is_no_failure(caplog: pytest.LogCaptureFixture):
    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()

    assert await told_by(reading) == []
    assert caplog.text == ""


@pytest.mark.parametrize("door", ["run", "transaction", "cursor"])
async def test_its_jobs_work_for_it(database: Database, login_url: str, owner, caplog, door: str):
    seen: list[tuple[str, str]] = []

    async def note(word: str) -> None:
        seen.append((request_id.get(), word))
        logging.getLogger("test").info("noted")

    jobs.job("test:request")(note)
    try:
        with serve_requests_from(database):
            known = request_id.set(GIVEN)
            queue = "select sigma.queue_job('test:request', '{\"word\": \"hello\"}')"
            if door == "run":
                await database.run(Step(SERVICE, queue))
            elif door == "cursor":
                async with database.cursor(SERVICE) as cursor:
                    await cursor.execute(queue)
            else:
                async with database.transaction(SERVICE) as session:
                    await jobs.queue_job(session, "test:request", word="hello")
            request_id.reset(known)
            await database.run(Step(SERVICE, queue))  # of no request
            await jobs.work(login_url, until_idle=True)
    finally:
        del jobs.queue.tasks["test:request"]
    assert sorted(seen) == [("", "hello"), (GIVEN, "hello")]


async def test_what_ends_a_link_is_not_in_the_log(caplog: pytest.LogCaptureFixture):
    token = "t" * 32
    app = identified(Starlette(routes=[Route("/place/{token}/erase", fail)]).router, 0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        await client.get(f"/place/{token}/erase")
    assert "A request failed: GET /place/…/erase: ValueError" in caplog.text
    assert token not in caplog.text
