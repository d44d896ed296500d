"""What a websocket is told depends on the cookie of its handshake, whatever tab it names and whatever it sends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts.conftest import PASSWORD, Portal, Somebody
from tests.tab import ROOT, Tab, tab

pytestmark = pytest.mark.browser


@contextmanager
def handshake(sigma: Portal, name: str, cookie: str = "") -> Iterator[Tab]:
    """A websocket of nobody's browser, which names a tab and may bring a cookie."""
    with tab(sigma.base_url, name, {"cookie": f"sigma_session={cookie}"} if cookie else None) as opened:
        yield opened


@pytest.fixture
def alices(alice: Somebody, signed_in: Callable[..., Page]) -> BrowserContext:
    """The browser in which Alice is signed in."""
    return signed_in(alice).context


@pytest.fixture
def closed_tab(alices: BrowserContext) -> str:
    """The name of a tab that showed what is Alice's, and is closed."""
    page = alices.pages[0]
    page.fill("#name", "Alice of the tab")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-profile] [data-message]")).to_have_text("Saved.")
    name = page.evaluate("sessionStorage.getItem('token')")
    assert name
    page.close()
    return name.strip('"')


def cookie_in(context: BrowserContext) -> str:
    return {cookie.get("name"): cookie.get("value", "") for cookie in context.cookies()}["sigma_session"]


@pytest.mark.parametrize("event", ["hydrate", "hydrate_and_load"])
@pytest.mark.parametrize("whose", ["nobody's", "Bob's"])
def test_a_tab_tells_nothing_to_another_browser(
    sigma: Portal, closed_tab: str, alice: Somebody, bob: Somebody, event: str, whose: str
):
    cookie = ""
    if whose == "Bob's":
        form = {"email": bob.email, "password": PASSWORD}
        answer = httpx.post(f"{sigma.base_url}/sign-in", data=form, headers={"origin": sigma.base_url})
        cookie = answer.cookies["sigma_session"]
    with handshake(sigma, closed_tab, cookie) as stranger:
        stranger.send(f"{ROOT}.{event}")
        told = stranger.told_until("is_hydrated")
    assert alice.email not in told
    assert "Alice of the tab" not in told


def test_it_tells_its_own_browser(sigma: Portal, closed_tab: str, alices: BrowserContext, alice: Somebody):
    with handshake(sigma, closed_tab, cookie_in(alices)) as hers:
        hers.send(f"{ROOT}.hydrate")
        told = hers.told_until("is_hydrated")
    assert alice.email in told
    assert "Alice of the tab" in told


@pytest.mark.parametrize("name", ["nothing.of_ours", "", f"{ROOT}.nothing"])
def test_an_event_that_does_not_exist_puts_no_cookie_into_the_log(
    sigma: Portal, closed_tab: str, alices: BrowserContext, name: str
):
    cookie, before = cookie_in(alices), len(sigma.log.read_text())
    with handshake(sigma, closed_tab, cookie) as hers:
        hers.send(name)
        deadline = time.monotonic() + 15
        while "No registered handler" not in sigma.log.read_text()[before:]:
            assert time.monotonic() < deadline, sigma.log.read_text()[before:]
            time.sleep(0.05)
    assert cookie not in sigma.log.read_text()
