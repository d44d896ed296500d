"""What a person at a browser sees while the server is killed under them, and that nothing typed is lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.chromium import launch_options
from tests.faults.conftest import members
from tests.faults.crowd import PASSWORD
from tests.faults.test_kills import kill
from tests.sigma import Sigma

pytestmark = pytest.mark.browser
SOON = 30_000  # ms: the pages give up after 5 and 8 s, and connect again by themselves within as long


def test_who_types_while_the_server_is_killed_keeps_it_and_goes_on_when_it_is_back(sigma: Sigma):
    sigma.start()
    (member,) = members(sigma, 1)
    with sync_playwright() as playwright, playwright.chromium.launch(**launch_options(playwright)) as browser:
        visitor = browser.new_page(base_url=sigma.base_url)
        visitor.goto("/", wait_until="load")
        form = visitor.locator("form[data-join]").first
        form.locator("[name=email]").fill("guest@example.com")
        portal = browser.new_page(base_url=sigma.base_url)
        portal.goto("/sign-in")
        portal.fill("input[name=email]", member.email)
        portal.fill("input[name=password]", PASSWORD)
        portal.press("input[name=password]", "Enter")
        portal.wait_for_url("**/profile")
        name, save = portal.locator("#name"), portal.locator("[data-profile] .door-button")
        expect(name).to_be_editable(timeout=SOON)
        name.fill("Alice")

        kill(sigma)
        form.get_by_role("button").click()
        save.click()
        expect(form.get_by_role("status")).to_contain_text("Your address is still here", timeout=SOON)
        expect(form.locator("[name=email]")).to_have_value("guest@example.com")
        expect(portal.locator("#name-said")).to_contain_text("What you typed is still here", timeout=SOON)
        expect(name).to_have_value("Alice")

        sigma.start()
        # Once more, though what waited may have gone out by itself by now, and the form have given way: twice is once.
        form.evaluate("form => form.requestSubmit()")
        expect(visitor.locator("html")).to_have_attribute("data-on-the-list", "", timeout=SOON)
        save.click()
        expect(portal.locator("#name-said")).to_contain_text("Saved", timeout=SOON)
        expect(name).to_have_value("Alice")
    assert len(sigma.leads("guest@example.com")) == 1
    with sigma.database() as owner:
        assert owner.execute("select name from profiles where id = %s", [member.id]).fetchone() == ("Alice",)
