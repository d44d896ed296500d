"""One fleet for all tests of this directory, and a browser that believes its certificate."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import chromium
from tests.scaling.fleet import Fleet, fleet
from tests.sigma import Sigma

__all__ = ["chromium"]

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session")
def sigmas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture(autouse=True)
def all_alive(sigmas: Fleet) -> Iterator[None]:
    """Whatever a test killed runs again afterwards."""
    yield
    for one in (*sigmas.backends, *sigmas.workers):
        if one.process and one.process.poll() is not None:
            one.start()


@pytest.fixture(params=[0, 1], ids=["one way", "the other way"])
def two(sigmas: Fleet, request: pytest.FixtureRequest) -> tuple[Sigma, Sigma]:
    """Both backends, in either order."""
    first = request.param
    return sigmas.backends[first], sigmas.backends[1 - first]


@dataclass(frozen=True)
class Somebody:
    """Who has an account."""

    id: UUID
    email: str


@pytest.fixture
def alice(sigmas: Fleet, request: pytest.FixtureRequest) -> Somebody:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    email = f"alice-{name}-{secrets.token_hex(4)}@example.com"
    made = sigmas.ask_auth("POST", "admin/users", email=email, password=PASSWORD, email_confirm=True)
    return Somebody(UUID(str(made["id"])), email)


@pytest.fixture
def browser(chromium: Browser, sigmas: Fleet) -> Iterator[BrowserContext]:
    """A person's, who comes by nginx."""
    context = chromium.new_context(base_url=sigmas.url, ignore_https_errors=True)
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def signed_in(browser: BrowserContext, alice: Somebody) -> Callable[[], Page]:
    """A page of Alice's profile."""

    def sign_in() -> Page:
        page = browser.new_page()
        page.goto("/sign-in")
        page.fill("input[name=email]", alice.email)
        page.fill("input[name=password]", PASSWORD)
        with page.expect_navigation(url=lambda url: "/sign-in" not in url):
            page.press("input[name=password]", "Enter")
        return page

    return sign_in
