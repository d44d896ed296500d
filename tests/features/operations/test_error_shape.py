"""Every route of the running application, asked wrongly: each refusal has the documented shape, and an id."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from sigma_app.core.error_shape import shaped
from sigma_app.core.requests import identified
from tests.sigma import Sigma

KEYS = {"message", "error", "details", "hint", "code"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PRIVATE = "alice@example.com"
BODIES = (b"", b"\xff{", b'{"a": 1}')
# What has a shape of its own, by contract: https://supabase.com/docs, and Stripe's API in its sandbox.
OF_SUPABASE = ("/auth/v1", "/rest/v1", "/storage/v1")
OF_STRIPE = ("/dev/stripe",)


@pytest.fixture(scope="module")
def sigma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigma]:
    wide = {"ACCOUNT_LIMIT_PER_NETWORK": "1000000/minute", "JOIN_LIMIT_PER_NETWORK": "1000000/minute"}
    sigma = Sigma(tmp_path_factory.mktemp("sigma") / "data", variables=wide).start()
    yield sigma
    sigma.remove()


def paths() -> Iterator[Route]:
    """Our routes, but for those of mounted services, which answer for themselves."""
    from sigma_app.sigma_app import ROUTES

    yield from _of(ROUTES)


def _of(routes: Sequence[BaseRoute]) -> Iterator[Route]:
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            assert isinstance(route, Mount), route
            assert route.path.startswith((*OF_SUPABASE, *OF_STRIPE)), f"{route.path}: what shape have its errors?"


def filled(path: str) -> str:
    """The path of a route with something in the places of its parameters."""
    return re.sub(r"\{[^}]*\}", "nothing-that-exists", path)


def test_each_route_refuses_in_the_documented_shape(sigma: Sigma):
    asked = refused = 0
    with httpx.Client(base_url=sigma.base_url, headers={"origin": sigma.base_url}, timeout=20) as client:
        for path in sorted(
            {filled(route.path) for route in paths()} | {"/nothing", "/webhooks/nothing", "/auth", "/_upload"}
        ):
            for method in METHODS:
                for body in BODIES if method != "GET" else BODIES[:1]:
                    answer = client.request(method, path, content=body)
                    asked += 1
                    where = f"{method} {path} {body!r}: {answer.status_code} {answer.text[:200]}"
                    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"]), where
                    assert answer.status_code != 500, where
                    if answer.status_code >= 400 and answer.content:
                        if answer.headers["content-type"].startswith("text/html"):
                            assert "<title>" in answer.text, where  # a page that says so in words
                            continue
                        refused += 1
                        assert set(answer.json()) >= KEYS, where
                        assert answer.json()["code"], where
    assert asked > 300
    assert refused > 200


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/auth/v1/user", {"code", "error_code", "msg"}),
        ("/auth/v1/token?grant_type=password", {"code", "error_code", "msg"}),
        ("/rest/v1/nothing", {"code", "message", "details", "hint"}),
        ("/rest/v1/leads?id=eq", {"code", "message", "details", "hint"}),
        ("/storage/v1/bucket/nothing", {"statusCode", "error", "message"}),
        ("/storage/v1/object/nothing/nothing", {"statusCode", "error", "message"}),
    ],
)
def test_supabases_api_keeps_its_own_shapes(sigma: Sigma, path: str, keys: set[str]):
    key = sigma.assignments["VITE_SUPABASE_ANON_KEY"]
    with httpx.Client(base_url=sigma.base_url, headers={"apikey": key}) as client:
        for method in ("GET", "POST"):
            answer = client.request(method, path, content=b"\xff{" if method == "POST" else None)
            if answer.status_code >= 400 and answer.headers.get("content-type", "").startswith("application/json"):
                assert set(answer.json()) >= keys, answer.text
                assert answer.headers["x-request-id"]
        refused = client.get(path, headers={"apikey": "none"})
        assert (refused.status_code, "message" in refused.json()) == (401, True)


@pytest.mark.anyio
async def test_a_crash_of_any_route_is_told_in_the_shape_with_the_id_of_its_log_line(caplog: pytest.LogCaptureFixture):
    async def crash(_: Request) -> Response:
        raise ValueError(PRIVATE)

    crashing = Router([Route(route.path, crash, methods=list(METHODS)) for route in paths()])
    app = identified(shaped(crashing), 0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        for path in sorted({filled(route.path) for route in paths()}):
            answer = await client.post(path)
            said = answer.json()
            assert (answer.status_code, said["code"], set(said)) == (500, "500", KEYS), path
            assert said["details"] == f"Request {answer.headers['x-request-id']}"
    assert PRIVATE not in caplog.text
