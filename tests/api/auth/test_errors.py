"""What is common to all endpoints: both forms of an error, bodies, paths and methods, a database that is away."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.embedded.supabase import app
from sigma_app.embedded.supabase.auth import callers
from sigma_app.embedded.supabase.keys import Keys
from tests.api.auth.conftest import Here
from tests.conftest import settings_for

pytestmark = pytest.mark.anyio

POSTS = ("/signup", "/token?grant_type=password", "/recover", "/otp", "/magiclink", "/resend", "/verify")


@pytest.mark.parametrize(
    "version", [None, "", "2023-12-31", "x", "20240101", "2024-1-1", "2024-13-01", "2024-01-01x", "2024-W01-1"]
)
async def test_the_older_form_is_for_clients_that_know_no_other(here: Here, version: str | None):
    headers = {} if version is None else {"x_supabase_api_version": version}
    answer = await here.ask("GET", "/user", authorization="", **headers)
    assert answer.json() == {
        "code": 401, "error_code": "no_authorization", "msg": "This endpoint requires a valid Bearer token"
    }  # fmt: skip
    assert answer.headers["x-sb-error-code"] == "no_authorization"
    assert "x-supabase-api-version" not in answer.headers
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("version", ["2024-01-01", "2024-06-30", "2030-01-01"])
async def test_the_newer_form_is_for_those_that_ask_for_it(here: Here, version: str):
    answer = await here.ask("GET", "/user", authorization="", x_supabase_api_version=version)
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "no_authorization", "message": "This endpoint requires a valid Bearer token"
    }  # fmt: skip
    assert answer.headers["x-supabase-api-version"] == "2024-01-01"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"x", b"[]", b"[1]", b'"x"', b"1", b"true", b"{", b'{"a":}', b"{} {}", b"{'a':1}", b'{"a":NaN}'),
        *(b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"a":' * 100_000, b'{"email":1}'),
        *(b'{"email":["a"]}', b'{"email":{}}', b'{"EMAIL":true}', b'{"\x01":1}', b"email=a@b.c", b"\xff\xfe{"),
    ],
)
async def test_a_body_is_json_of_the_right_types(here: Here, path: str, body: bytes):
    answer = await here.ask("POST", path, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "bad_json")
    assert answer.json()["msg"].startswith("Could not parse request body as JSON: ")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "x", ""])
async def test_whatever_the_type_is_called_a_body_is_json(here: Here, path: str, content_type: str):
    body = json.dumps({"email": "bad", "password": "x", "unknown": [1]}).encode()
    answer = await here.ask("POST", path, body, content_type=content_type)
    assert answer.json()["error_code"] != "bad_json"


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_is_a_mebibyte_at_most(here: Here, path: str):
    most = b'{"email":"' + b"a" * (1024 * 1024 - 12) + b'"}'
    assert len(most) == 1024 * 1024
    assert (await here.ask("POST", path, most)).status_code < 413 or path == "/signup"
    answer = await here.ask("POST", path, most + b" ")
    assert (answer.status_code, answer.json()["error_code"]) == (413, "request_entity_too_large")
    assert answer.json()["msg"] == "Request body too large (max 1048576 bytes)"


@pytest.mark.parametrize("path", ["/", "/unknown", "/users", "/admin", "/signup/x", "/admin/unknown"])
async def test_an_unknown_path_is_told_in_plain_text(here: Here, path: str):
    answer = await here.ask("GET", path)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "/signup"), ("GET", "/token"), ("GET", "/logout"), ("POST", "/user"), ("PATCH", "/user")),
        *(("DELETE", "/user"), ("PUT", "/verify"), ("HEAD", "/verify"), ("HEAD", "/settings"), ("POST", "/settings")),
        *(
            ("POST", "/reauthenticate"),
            ("GET", "/recover"),
            ("GET", "/otp"),
            ("PATCH", "/admin/users"),
            ("PUT", "/health"),
        ),
    ],
)
async def test_a_wrong_method_is_refused(here: Here, method: str, path: str):
    answer = await here.ask(method, path)
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"]


async def test_errors_may_be_read_by_pages_of_other_origins(here: Here):
    answer = await here.ask("GET", "/user", authorization="", origin="https://elsewhere.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert all(name in exposed for name in ("x-total-count", "link", "x-supabase-api-version"))


async def test_a_statement_that_takes_too_long_is_told_as_such(here: Here, monkeypatch: pytest.MonkeyPatch):
    alice = await here.member()
    monkeypatch.setattr(callers, "_CALLER", "select pg_sleep(5), %s, %s")
    asking = asyncio.create_task(here.who(alice.access_token))
    while not asking.done():  # as Postgres itself does, after a while
        here.owner.execute("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
        await asyncio.sleep(0.01)
    answer = await asking
    assert (answer.status_code, answer.json()["error_code"]) == (504, "request_timeout")


async def test_what_nobody_foresaw_says_nothing_of_its_cause(
    here: Here, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    alice = await here.member()
    monkeypatch.setattr(callers, "_CALLER", "select secret, %s, %s")
    answer = await here.who(alice.access_token)
    assert (answer.status_code, answer.json()["error_code"]) == (500, "unexpected_failure")
    assert "UndefinedColumn 42703" in caplog.text
    assert "secret" not in answer.text + caplog.text


async def test_a_database_that_is_away_is_told_as_such(keys: Keys, tmp_path: Path):
    served = Starlette(routes=app.routes(settings_for(tmp_path), keys))
    headers = {"apikey": keys.anon, "authorization": f"Bearer {keys.service_role}"}
    async with (
        Database("postgresql://nobody@127.0.0.1:1/none") as gone,
        AsyncClient(
            transport=ASGITransport(served), base_url="http://localhost:3000/auth/v1", headers=headers
        ) as client,
    ):
        with serve_requests_from(gone):
            answers = [
                await client.post("/token?grant_type=password", json={"email": "a@b.co", "password": "x"}),
                await client.get("/admin/users"),
                await client.post("/recover", json={"email": "a@b.co"}),
                await client.get("/verify?type=signup&token=x"),
            ]
    for answer in answers:
        assert answer.status_code == 503
        assert (answer.json()["code"], answer.json()["error_code"]) == (503, "unexpected_failure")
        assert answer.json()["error_id"]
        assert answer.headers["retry-after"]
