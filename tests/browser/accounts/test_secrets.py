"""No page, state, frame, storage or address ever holds a token or the cookie, in any of the flows."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.accounts.conftest import PASSWORD, Mailbox, Portal, Somebody
from tests.browser.accounts.secrets import Watcher, tokens_of

pytestmark = pytest.mark.browser


def test_a_browser_holds_nothing_but_its_cookie(
    sigma: Portal, new_context: Callable[..., BrowserContext], charlie: Somebody, mailbox: Mailbox
):
    context = new_context()
    watcher = Watcher(context)
    page = context.new_page()
    secrets: set[str] = set()

    def note() -> None:
        """What is secret now, and where it could show."""
        watcher.look(page)
        if watcher.cookie:
            with sigma.database() as database:
                secrets.update([watcher.cookie, *tokens_of(database, watcher.cookie)])

    def press() -> None:
        watcher.look(page)
        page.locator("main .door-button").first.click()

    page.goto("/sign-up")
    page.fill("input[name=email]", charlie.email)
    page.fill("input[name=password]", PASSWORD)
    press()
    expect(page).to_have_url(re.compile("/check-inbox"))
    note()
    page.goto(mailbox.next(charlie.email).link)
    press()
    expect(page.locator("[data-profile]")).to_be_visible()
    note()
    page.fill("#name", "Charlie")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-profile] [data-message]")).to_have_text("Saved.")
    note()
    page.goto("/account")
    expect(page.locator(".devices li")).to_have_count(1)
    note()
    form = page.locator("form[action='/account/password']")
    form.locator("[name=current]").fill(PASSWORD)
    form.locator("[name=password]").fill("a brand new secret, 77")
    form.get_by_role("button", name="Change it").click()
    expect(page.locator("[data-said]")).to_be_visible()
    note()
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    expect(page).to_have_url(re.compile("said=signed-out"))
    page.goto("/forgot")
    page.fill("input[name=email]", charlie.email)
    press()
    expect(page).to_have_url(re.compile("/check-inbox"))
    page.fill("input[name=code]", mailbox.next(charlie.email, "password").code)
    press()
    expect(page).to_have_url(re.compile("/reset"))
    note()
    page.fill("input[name=password]", PASSWORD)
    press()
    expect(page.locator("[data-profile]")).to_be_visible()
    note()
    assert len(secrets) >= 3 * 3  # after the mail, the new password, and the recovery
    assert watcher.find(*secrets) == []
    bodies = {where for where, _ in watcher.everything() if where.startswith("the body of")}
    assert bodies >= {
        f"the body of {path}" for path in ("/sign-up", "/check-inbox", "/verify", "/profile", "/account", "/reset")
    }
    frames = [what for where, what in watcher.everything() if "frame" in where]
    assert any("Charlie" in frame for frame in frames)  # it does look where things are
    assert not any(PASSWORD in frame for frame in frames)
    assert secrets.isdisjoint(sigma.log.read_text().split())
    assert not any(secret in sigma.log.read_text() for secret in secrets)
