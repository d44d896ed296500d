"""What a page of another site may do: read what Supabase's contract opens, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.routing import Mount, Route

from sigma_app.session.guard import PROTECTED
from sigma_app.sigma_app import ROUTES
from tests.sigma import Sigma

pytestmark = pytest.mark.usefixtures("unharmed")

EVIL = "https://evil.example"
OPEN = ("/auth/v1", "/rest/v1", "/storage/v1")  # everybody's, by key and token; no cookie of ours counts there
OF_REFLEX = ("/ping", "/_health", "/_event/?EIO=4&transport=polling", "/_upload", "/_all_routes", "/auth-codespace")
OURS = sorted({route.path for route in ROUTES if isinstance(route, Route)})
PATHS = [*OURS, *OF_REFLEX, *PROTECTED, "/", "/sign-in", "/favicon.ico", "/nothing/there"]


@pytest.fixture(scope="module")
def other_site(sigma: Sigma) -> Iterator[httpx.Client]:
    """A browser on another site's page."""
    with httpx.Client(base_url=sigma.base_url, headers={"origin": EVIL}) as client:
        yield client


def allowed(answer: httpx.Response) -> set[str]:
    return {name for name in answer.headers if name.startswith("access-control-allow-")}


def test_every_route_of_ours_is_known_here():
    assert len(OURS) > 40
    assert {route.path for route in ROUTES if isinstance(route, Mount)} == set(OPEN)


@pytest.mark.parametrize("path", PATHS)
def test_no_other_site_reads_an_answer(other_site: httpx.Client, path: str):
    path = path.replace("{", "").replace("}", "")
    for method in ("GET", "POST"):
        answer = other_site.request(method, path)
        assert "access-control-allow-origin" not in answer.headers
        assert answer.status_code < 500 or answer.status_code == 503  # a webhook without its secret


@pytest.mark.parametrize("path", PATHS)
def test_no_other_site_is_allowed_to_ask_for_more(other_site: httpx.Client, path: str):
    asks = {"access-control-request-method": "DELETE", "access-control-request-headers": "x-anything"}
    answer = other_site.options(path.replace("{", "").replace("}", ""), headers=asks)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", [f"{path}{more}" for path in OPEN for more in ("/", "/health", "/leads")])
def test_supabases_api_is_open_to_every_site_but_never_with_cookies(other_site: httpx.Client, path: str):
    asks = {"access-control-request-method": "PATCH", "access-control-request-headers": "apikey,authorization"}
    for answer in (other_site.get(path), other_site.options(path, headers=asks)):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


def test_supabases_api_takes_no_cookie_for_a_token(sigma: Sigma):
    answer = httpx.get(f"{sigma.base_url}/auth/v1/user", headers={"cookie": f"sigma_session={'a' * 43}"})
    assert answer.status_code == 401
