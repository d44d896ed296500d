"""The name that a request asks for: only Sigma's own are answered, health checks apart."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from sigma_app.core.hosts import answering_to_its_names
from tests.conftest import settings_for
from tests.safety.raw import status_of, talk
from tests.sigma import Sigma

pytestmark = pytest.mark.usefixtures("unharmed")

PRODUCTION = {
    "SIGMA_ENV": "production",
    "SIGMA_ALLOW_LOCAL": "database,auth,payments,mail",
    "BASE_URL": "https://sigma.example",
}
FURTHER = PRODUCTION | {"SIGMA_ALLOWED_HOSTS": "www.sigma.example, 10.0.0.5"}


async def status(host: str, path: str = "/", **variables: str) -> int:
    app = answering_to_its_names(PlainTextResponse("here"), settings_for(Path("unused"), **variables))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return (await client.get(path, headers={"host": host})).status_code


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("configured", "host", "expected"),
    [
        ({}, "localhost:3000", 200),
        ({}, "127.0.0.1:3000", 200),
        ({}, "[::1]:3000", 200),
        ({}, "192.168.1.7:3000", 200),
        ({}, "LOCALHOST", 200),
        ({}, "evil.example:3000", 421),
        ({}, "localhost.evil.example", 421),
        ({}, "not-localhost", 421),
        ({"HOST": "box.local"}, "box.local:3000", 200),
        ({"BASE_URL": "https://sigma.example"}, "localhost:3000", 200),
        (PRODUCTION, "sigma.example", 200),
        (PRODUCTION, "Sigma.Example:443", 200),
        (PRODUCTION, "www.sigma.example", 421),
        (PRODUCTION, "localhost", 421),
        (PRODUCTION, "127.0.0.1", 421),
        (PRODUCTION, "sigma.example.evil.example", 421),
        (FURTHER, "www.sigma.example", 200),
        (FURTHER, "10.0.0.5:8080", 200),
        (FURTHER, "evil.example", 421),
        ({}, "", 400),
        ({}, "[::1", 400),
        ({}, "sigma.example/path", 400),
        ({}, "evil.example@localhost", 400),
        ({}, "localhost?", 400),
    ],
)
async def test_a_request_names_sigma(configured: dict[str, str], host: str, expected: int):
    assert await status(host, **configured) == expected


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_monitors_ask_by_any_address(path: str):
    assert await status("10.1.2.3:3000", path, **PRODUCTION) == 200
    assert await status("evil.example", path, **PRODUCTION) == 200


def test_another_name_is_told_so_in_the_documented_shape(sigma: Sigma):
    answer = httpx.get(sigma.base_url, headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert set(answer.json()) == {"message", "error", "details", "hint", "code"}
    assert "SIGMA_ALLOWED_HOSTS" in answer.json()["message"]


def test_a_page_of_another_name_that_leads_here_is_not_taken_for_ours(sigma: Sigma):
    rebound = {"host": f"evil.example:{sigma.port}", "origin": f"http://evil.example:{sigma.port}"}
    form = {"email": "rebound@example.com", "form": "hero"}
    answer = httpx.post(f"{sigma.base_url}/join", data=form, headers=rebound | {"accept": "text/html"})
    assert answer.status_code == 421
    assert answer.text.startswith("Sigma does not answer by this name.")
    assert sigma.leads("rebound@example.com") == []


def test_nor_does_it_get_a_websocket(sigma: Sigma):
    address, origin = f"ws://evil.example:{sigma.port}/_event/?EIO=4&transport=websocket", "http://evil.example"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=Origin(origin), sock=_connected(sigma))
    assert refused.value.response.status_code == 421


@pytest.mark.parametrize("hosts", ["", "Host: localhost\r\nHost: localhost\r\n", "Host: \r\n"])
def test_a_request_names_one_host(sigma: Sigma, hosts: str):
    assert status_of(talk(sigma.port, f"GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())) == 400


def test_a_health_check_may_be_as_old_as_http_1_0(sigma: Sigma):
    assert status_of(talk(sigma.port, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200


def test_no_answer_repeats_a_name_or_a_forwarded_one(sigma: Sigma):
    forwarded = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "gopher",
        "x-forwarded-prefix": "/evil.example",
        "forwarded": "host=evil.example",
        "x-original-url": "/evil.example",
    }
    for path in ("/", "/profile", "/sign-in/", "/rest/v1/", "/auth/v1/settings", "/sitemap.xml", "/pricing"):
        answer = httpx.get(f"{sigma.base_url}{path}", headers=forwarded)
        assert "evil.example" not in answer.text + str(answer.headers)


def _connected(sigma: Sigma):
    from tests.safety.raw import connect as connect_raw

    return connect_raw(sigma.port)
