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


CUT_OFF = """[...document.querySelectorAll('main :is(input, button, a, p, label, h1, h2, dt, dd, li)')]
  .filter((each) => each.checkVisibility() && !each.matches('.off-screen, .off-screen *'))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.outerHTML.slice(0, 120))"""
"""What nobody sees the end of, in words; a page that clips is no wider."""
LARGE_TEXT = "html { font-size: 200% }"  # what a browser's own setting does to sizes in rem (WCAG 2.2, 1.4.4)


def look(page: Page) -> None:
    assert_accessible(page)
    assert page.evaluate(WIDER) <= 0
    assert page.evaluate(CUT_OFF) == []


def look_at_large_text(page: Page) -> None:
    page.add_style_tag(content=LARGE_TEXT)
    assert page.evaluate(CUT_OFF) == []
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


def test_text_of_twice_the_size_fits_a_phone(
    alice: Somebody, signed_in: Callable[..., Page], new_context: Callable[..., BrowserContext]
):
    phone = {"width": 360, "height": 740}
    page = new_context(viewport=phone, reduced_motion="reduce").new_page()
    for path in ("/", "/join", *ENTRANCE):
        page.goto(path)
        look_at_large_text(page)
    page = signed_in(alice, viewport=phone, reduced_motion="reduce")
    look_at_large_text(page)
    page.goto("/account")
    expect(page.locator(".devices li")).to_have_count(1)
    page.get_by_text("Delete my account").click()
    look_at_large_text(page)


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
