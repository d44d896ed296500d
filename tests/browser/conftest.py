"""One served production build and one Chromium for all browser tests; a fresh browser context for each."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.chromium import launch_options
from tests.sigma import PROJECT_ROOT, Sigma

_PAUSE, _TRIES = 25, 800  # milliseconds between two looks, and how many

expect.set_options(timeout=15_000)  # as long as an action may take; Playwright's own five seconds are few here

_IN_A_MAIL = '"img-src data:"'  # the mailbox's policy: it loads no picture of a mail, and other tests' mails have some

SCREENSHOTS = PROJECT_ROOT / "tests" / "screenshots"


@pytest.fixture(scope="session")
def sigma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigma]:
    """Sigma with wide limits, for every test that does not test the limits."""
    wide = {
        "JOIN_LIMIT_PER_ADDRESS": "1000/minute",
        "JOIN_LIMIT_PER_NETWORK": "10000/minute",
        "VISIT_LIMIT_PER_NETWORK": "10000/minute",
    }
    sigma = Sigma(tmp_path_factory.mktemp("sigma") / "data", variables=wide).start()
    yield sigma
    sigma.remove()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Ends with this package: Playwright's event loop would be in the way of tests that bring their own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options(playwright))
        yield browser
        browser.close()


@pytest.fixture
def new_context(
    chromium: Browser, sigma: Sigma, request: pytest.FixtureRequest
) -> Iterator[Callable[..., BrowserContext]]:
    """Open a browser context with options of the test's own; closed after the test.

    No page may break its own Content-Security-Policy, but in tests marked `smuggles`.
    """
    contexts: list[BrowserContext] = []
    refused: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text and _IN_A_MAIL not in message.text:
            refused.append(message.text)

    def open_context(**options) -> BrowserContext:
        context = chromium.new_context(base_url=sigma.base_url, **options)
        context.set_default_timeout(15_000)
        context.on("console", note)
        contexts.append(context)
        return context

    yield open_context
    for context in contexts:
        context.close()
    if not request.node.get_closest_marker("smuggles"):
        assert refused == []


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context().new_page()


@pytest.fixture
def email(request: pytest.FixtureRequest) -> str:
    """An address that no other test uses."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    return f"{name}-{secrets.token_hex(4)}@example.com"


@pytest.fixture
def screenshot() -> Callable[[Page, str], Path]:
    """Keep a picture of the whole page under tests/screenshots, for people to look at."""

    def take(page: Page, name: str) -> Path:
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path, full_page=True, animations="disabled")
        return path

    return take


@pytest.fixture
def console_errors(page: Page) -> list[str]:
    """What the page complains of in its console; filled while the test goes on."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def until(page: Page, condition: str) -> Any:
    """Wait until a script's expression is true in the page; its value.

    Playwright's own `wait_for_function` evaluates text in the page, which our Content-Security-Policy does not allow.
    """
    for _ in range(_TRIES):
        if value := page.evaluate(condition):
            return value
        page.wait_for_timeout(_PAUSE)
    raise AssertionError(f"Never true: {condition}")
