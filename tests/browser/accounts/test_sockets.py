"""What a websocket is told depends on the cookie of its handshake, whatever tab it names and whatever it sends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from reflex_base.constants import Reflex
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Origin, Subprotocol

from tests.browser.accounts.conftest import PASSWORD, Portal, Somebody

pytestmark = pytest.mark.browser

_ROOT = "reflex___state____state"


class Socket:
    """A websocket of nobody's browser, which names a tab and may bring a cookie (see tests/bench/sockets.py)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, name: str, payload: object = None) -> None:
        """Send an event."""
        event = {"name": name, "payload": payload or {}, "router_data": {"pathname": "/profile", "asPath": "/profile"}}
        self._connection.send(f"42/_event,{json.dumps(['event', event])}")

    def told_until(self, word: str) -> str:
        """All that the server says, up to what has this word in it."""
        told = ""
        while word not in told:
            packet = self._connection.recv(timeout=15)
            if packet == "2":
                self._connection.send("3")
            told += str(packet)
        return told


@contextmanager
def socket(sigma: Portal, tab: str, cookie: str = "") -> Iterator[Socket]:
    """A websocket to Sigma, connected."""
    address = f"{sigma.base_url.replace('http', 'ws', 1)}/_event/?token={tab}&EIO=4&transport=websocket"
    headers = {"cookie": f"sigma_session={cookie}"} if cookie else {}
    origin, protocols = Origin(sigma.base_url), [Subprotocol(Reflex.VERSION)]
    with connect(address, origin=origin, subprotocols=protocols, additional_headers=headers) as connection:
        connection.send("40/_event,")
        opened = Socket(connection)
        opened.told_until("40/_event,")
        yield opened


@pytest.fixture
def alices(alice: Somebody, signed_in: Callable[..., Page]) -> BrowserContext:
    """The browser in which Alice is signed in."""
    return signed_in(alice).context


@pytest.fixture
def tab(alices: BrowserContext) -> str:
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
    sigma: Portal, tab: str, alice: Somebody, bob: Somebody, event: str, whose: str
):
    cookie = ""
    if whose == "Bob's":
        form = {"email": bob.email, "password": PASSWORD}
        answer = httpx.post(f"{sigma.base_url}/sign-in", data=form, headers={"origin": sigma.base_url})
        cookie = answer.cookies["sigma_session"]
    with socket(sigma, tab, cookie) as stranger:
        stranger.send(f"{_ROOT}.{event}")
        told = stranger.told_until("is_hydrated")
    assert alice.email not in told
    assert "Alice of the tab" not in told


def test_it_tells_its_own_browser(sigma: Portal, tab: str, alices: BrowserContext, alice: Somebody):
    with socket(sigma, tab, cookie_in(alices)) as hers:
        hers.send(f"{_ROOT}.hydrate")
        told = hers.told_until("is_hydrated")
    assert alice.email in told
    assert "Alice of the tab" in told


@pytest.mark.parametrize("name", ["nothing.of_ours", "", f"{_ROOT}.nothing"])
def test_an_event_that_does_not_exist_puts_no_cookie_into_the_log(
    sigma: Portal, tab: str, alices: BrowserContext, name: str
):
    cookie, before = cookie_in(alices), len(sigma.log.read_text())
    with socket(sigma, tab, cookie) as hers:
        hers.send(name)
        deadline = time.monotonic() + 15
        while "No registered handler" not in sigma.log.read_text()[before:]:
            assert time.monotonic() < deadline, sigma.log.read_text()[before:]
            time.sleep(0.05)
    assert cookie not in sigma.log.read_text()
