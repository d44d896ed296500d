"""The way into the console: in the portal of an operator, and in nobody else's page, not even unseen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accounts.conftest import Portal, Somebody

pytestmark = pytest.mark.browser

PAGES = ("/app", "/profile", "/billing", "/account")


def test_an_operator_goes_from_the_portal_to_the_console_and_back(
    sigma: Portal, alice: Somebody, signed_in: Callable[..., Page]
):
    page = signed_in(alice)
    assert sigma.run("admin", "grant", alice.email).returncode == 0
    for path in PAGES:
        page.goto(path)
        expect(page.get_by_role("navigation", name="Portal").get_by_role("link", name="Console")).to_be_visible()
    page.get_by_role("link", name="Console").click()
    page.get_by_role("heading", level=1, name="Overview").wait_for()
    expect(page.locator(".console-who")).to_contain_text(alice.email)
    page.get_by_role("link", name="Your own account").click()
    page.wait_for_url("**/account")
    assert sigma.run("admin", "revoke", alice.email).returncode == 0
    page.reload()
    expect(page.get_by_role("navigation", name="Portal").get_by_role("link")).to_have_count(4)
    page.goto("/billing")
    expect(page.get_by_role("navigation", name="Portal").get_by_role("link")).to_have_count(4)


def test_an_operator_signs_out_of_the_console(sigma: Portal, alice: Somebody, signed_in: Callable[..., Page]):
    page = signed_in(alice)
    assert sigma.run("admin", "grant", alice.email).returncode == 0
    page.goto("/admin")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in**")
    page.goto("/admin")
    assert "/sign-in?next=%2Fadmin" in page.url


def test_others_are_not_shown_the_way(bob: Somebody, signed_in: Callable[..., Page]):
    page = signed_in(bob)
    for path in PAGES:
        page.goto(path)
        expect(page.locator("[data-phase=in]")).to_have_count(1)
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("navigation", name="Portal").get_by_role("link")).to_have_count(4)
        for word in ("/admin", "Console"):
            assert word not in page.content()
