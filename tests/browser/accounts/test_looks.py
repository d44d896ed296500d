"""Every page of accounts in both colour schemes, on a phone and on a desk: axe finds nothing, nothing is too wide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts.conftest import Somebody
from tests.browser.test_pages import assert_accessible

pytestmark = pytest.mark.browser

ENTRANCE = [
    *("/sign-in?said=signed-out", "/sign-up", "/sign-in/link", "/forgot", "/verify?done=half", "/verify", "/goodbye"),
    "/check-inbox?type=signup&email=somebody.with.a.long.address@subdomain.of.a.long.domain.example.com&said=again",
    "/verify?token_hash=0123456789abcdef&type=recovery",
]
LONG_NAME = "Maximiliane-Wilhelmine von und zu Hohenzollern-Sigmaringen, the third of that name"
WIDER = "document.documentElement.scrollWidth - innerWidth"


def look(page: Page) -> None:
    assert_accessible(page)
    assert page.evaluate(WIDER) <= 0


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("path", ENTRANCE)
def test_an_entrance_is_fit_for_everybody(
    new_context: Callable[..., BrowserContext], screenshot: Callable[[Page, str], Path], path: str, scheme: str
):
    context = new_context(viewport={"width": 320, "height": 640}, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    page.goto(path)
    look(page)
    screenshot(page, f"accounts-{path.strip('/').split('?')[0].replace('/', '-')}-{scheme}")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_portal_is_fit_for_everybody(
    alice: Somebody,
    signed_in: Callable[..., Page],
    screenshot: Callable[[Page, str], Path],
    scheme: str,
    width: int,
):
    page = signed_in(alice, viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    page.fill("#name", LONG_NAME)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(LONG_NAME)
    look(page)
    screenshot(page, f"portal-profile-{width}-{scheme}")
    page.goto("/account")
    expect(page.locator(".devices li")).to_have_count(1)
    page.get_by_text("Delete my account").click()
    look(page)
    screenshot(page, f"portal-account-{width}-{scheme}")
