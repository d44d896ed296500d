"""The documented shape of errors, whatever a route says of its own; and what is left as it is."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from sigma_app.core.error_shape import shaped
from sigma_app.core.requests import identified

pytestmark = pytest.mark.anyio

KEYS = {"message", "error", "details", "hint", "code"}


async def in_pieces(_: Request) -> Response:
    async def pieces():
        for piece in ("Not ", "like ", "that."):
            yield piece

    return StreamingResponse(pieces(), 422, media_type="text/plain")


async def dies_on_the_way(_: Request) -> Response:
    async def pieces():
        yield "Not "
        raise ValueError

    return StreamingResponse(pieces(), 422, media_type="text/plain")


ANSWERS: dict[str, Response] = {
    "/plain": PlainTextResponse("Please wait.", 429, {"retry-after": "7"}),
    "/form": JSONResponse({"message": "Too short.", "field": "password"}, 422),
    "/own": JSONResponse({"error": "No.", "code": "23505", "hint": "Another one."}, 409),
    "/status": JSONResponse({"ready": False, "checks": {}}, 503),
    "/list": JSONResponse(["no"], 400),
    "/stripe": JSONResponse({"error": {"message": "No such price"}}, 400),
    "/page": HTMLResponse("<h1>No</h1>", 404),
    "/fine": PlainTextResponse("Thank you."),
    "/large": PlainTextResponse("x" * 100_000, 400),
    "/auth/v1/x": PlainTextResponse("404 page not found", 404),
    "/picture": Response(b"\x89PNG", 404, media_type="image/png"),
}


async def ask(path: str, method: str = "GET", accept: str = "*/*") -> httpx.Response:
    async def tell(request: Request) -> Response:
        return ANSWERS[request.url.path]

    routes = [Route(known, tell) for known in ANSWERS]
    routes += [Route("/pieces", in_pieces), Route("/dies", dies_on_the_way)]
    app = identified(shaped(Router(routes)), 0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path, headers={"accept": accept})


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/plain", {"message": "Please wait.", "error": "Please wait.", "code": "429", "hint": None}),
        ("/form", {"message": "Too short.", "error": "Too short.", "code": "422", "field": "password"}),
        ("/own", {"message": "No.", "error": "No.", "code": "23505", "hint": "Another one."}),
        ("/pieces", {"message": "Not like that.", "code": "422"}),
        ("/nothing", {"message": "Not Found", "code": "404"}),
    ],
)
async def test_what_refuses_has_the_shape_and_keeps_what_it_says(path: str, known: dict):
    answer = await ask(path)
    said = answer.json()
    assert set(said) >= KEYS
    assert {name: said[name] for name in known} == known
    assert said["details"] == f"Request {answer.headers['x-request-id']}"
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_headers_stay():
    assert (await ask("/plain")).headers["retry-after"] == "7"


@pytest.mark.parametrize("path", ["/status", "/list", "/stripe", "/page", "/fine", "/large", "/auth/v1/x", "/picture"])
async def test_what_is_no_refusal_of_ours_stays_as_it_is(path: str):
    expected = ANSWERS[path]
    answer = await ask(path)
    assert (answer.status_code, answer.content) == (expected.status_code, expected.body)
    assert answer.headers["content-type"] == expected.headers["content-type"]


async def test_who_reads_html_reads_the_line():
    assert (await ask("/plain", accept="text/html,*/*")).text == "Please wait."


async def test_a_wrong_method_has_the_shape_and_says_which_are_right():
    answer = await ask("/fine", "DELETE")
    allowed = set(answer.headers["allow"].split(", "))
    assert (answer.status_code, answer.json()["message"], allowed) == (
        405,
        "Method Not Allowed",
        {"GET", "HEAD"},
    )
    assert (await ask("/nothing", "HEAD")).content == b""


async def test_one_that_dies_before_it_was_sent_is_a_failure():
    answer = await ask("/dies")
    assert (answer.status_code, set(answer.json())) == (500, KEYS)
