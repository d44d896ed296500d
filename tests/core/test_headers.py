"""What every answer carries, whoever gives it."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from sigma_app.core.headers import hardened

pytestmark = pytest.mark.anyio


async def plain(_: Request) -> PlainTextResponse:
    return PlainTextResponse("data")


async def knowing(_: Request) -> PlainTextResponse:
    return PlainTextResponse("page", headers={"Content-Security-Policy": "default-src 'self'"})


async def unchanged(_: Request) -> Response:
    return Response(status_code=304)


async def shouting(_: Scope, __: Receive, send: Send) -> None:
    """An application that is no Starlette's, and writes names of headers as it likes."""
    said = [(b"X-Content-Type-Options", b"of its own")]
    await send({"type": "http.response.start", "status": 200, "headers": said})
    await send({"type": "http.response.body", "body": b""})


async def get(path: str, base_url: str) -> httpx.Headers:
    pages = [Route("/", plain), Route("/knowing", knowing), Route("/unchanged", unchanged)]
    app = hardened(Starlette(routes=[*pages, Mount("/shouting", shouting)]), base_url)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return (await client.get(path)).headers


@pytest.mark.parametrize("path", ["/", "/none"])
async def test_an_answer_without_a_word_of_its_own_gets_them_all(path: str):
    headers = await get(path, "http://localhost:3000")
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    asked_for = ("camera", "microphone", "geolocation", "payment", "usb", "browsing-topics")
    assert headers["permissions-policy"] == ", ".join(f"{what}=()" for what in asked_for)


async def test_an_answers_own_word_counts():
    headers = await get("/knowing", "http://localhost:3000")
    assert headers.get_list("content-security-policy") == ["default-src 'self'"]


async def test_it_counts_however_its_name_is_written():
    assert (await get("/shouting/", "http://localhost:3000")).get_list("x-content-type-options") == ["of its own"]


async def test_what_a_browser_has_already_keeps_the_headers_that_it_came_with():
    assert "content-security-policy" not in await get("/unchanged", "http://localhost:3000")


async def test_only_behind_https_a_browser_is_told_to_come_by_nothing_else():
    assert "strict-transport-security" not in await get("/", "http://localhost:3000")
    assert (await get("/", "https://sigma.example"))["strict-transport-security"] == "max-age=31536000"
