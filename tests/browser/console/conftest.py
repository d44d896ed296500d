"""One served Sigma with an operator, for all tests of the console's pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.accounts.conftest import (
    Portal,
    Somebody,
    alice,
    bob,
    embedded,
    mailbox,
    sign_in,
    signed_in,
    with_account,
)
from tests.browser.conftest import SCREENSHOTS

__all__ = ["alice", "bob", "embedded", "mailbox", "sign_in", "signed_in", "with_account"]

SIZES = {
    "320": {"width": 320, "height": 720},
    "768": {"width": 768, "height": 1024},
    "1280": {"width": 1280, "height": 900},
}


@pytest.fixture(scope="session")
def sigma(embedded: Portal) -> Portal:
    """Takes the place of the other browser tests' Sigma."""
    return embedded


@pytest.fixture
def operator(sigma: Portal, alice: Somebody, signed_in: Callable[..., Page]) -> Page:
    """A page of Alice's, who operates."""
    let_operate(sigma, alice)
    return signed_in(alice)


def let_operate(sigma: Portal, somebody: Somebody) -> None:
    """What `grant` does at Supabase, without waiting for a command line to start."""
    sigma.ask_auth("PUT", f"admin/users/{somebody.id}", app_metadata={"role": "admin"})


def grant(sigma: Portal, somebody: Somebody) -> None:
    """As an operator does who lets another one in."""
    done = sigma.run("admin", "grant", somebody.email)
    assert done.returncode == 0, done.stderr


def shown(page: Page, path: str, title: str) -> Page:
    """The page at `path`, once it shows something."""
    page.goto(path)
    page.get_by_role("heading", level=1, name=title).wait_for()
    return page


def look(page: Page, name: str, new_context: Callable[..., BrowserContext], path: str, title: str) -> None:
    """Look at a page narrow and wide, light and dark; nothing may be wider than the screen."""
    state = page.context.storage_state()
    for size, viewport in SIZES.items():
        for scheme in ("light", "dark"):
            context = new_context(storage_state=state, viewport=viewport, color_scheme=scheme)
            other = shown(context.new_page(), path, title)
            other.screenshot(path=Path(SCREENSHOTS) / f"console-{name}-{size}-{scheme}.png", full_page=True)
            wide = other.evaluate("document.documentElement.scrollWidth")
            assert wide <= viewport["width"], f"{path} is {wide} px wide at {size}"
            context.close()
