"""The page of what failed on our side: its status and words, and the id in it that finds the line of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts.test_looks import CUT_OFF, LARGE_TEXT, WIDER
from tests.browser.test_pages import assert_accessible
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

NewContext = Callable[..., BrowserContext]
PATH = "/profile"  # asks the database whose the cookie is before anything is sent
LOOKS = [(320, "dark"), (320, "light"), (1280, "dark"), (1280, "light")]


@pytest.fixture
def broken(sigma: Sigma) -> Iterator[Sigma]:
    """A Sigma whose database lacks a table, as no code of ours expects it to."""
    with sigma.database() as owner:
        owner.execute("alter table sigma.sessions rename to sessions_away")
        try:
            yield sigma
        finally:
            owner.execute("alter table sigma.sessions_away rename to sessions")


def failed(sigma: Sigma, page: Page) -> str:
    """Have a request fail; the id that the page shows."""
    page.context.add_cookies([{"name": "sigma_session", "value": "A" * 43, "url": sigma.base_url}])
    answer = page.goto(PATH)
    assert answer
    assert answer.status == 500
    assert answer.headers["cache-control"] == "no-store"
    identity = answer.headers["x-request-id"]
    expect(page.get_by_text("this finds the note")).to_contain_text(identity)
    return identity


def test_it_says_whose_fault_it_is_and_the_id_finds_why(broken: Sigma, page: Page):
    identity = failed(broken, page)
    expect(page.get_by_role("heading", level=1)).to_have_text("That did not add up, and it is our doing.")
    assert page.title() == "Our doing · Sigma"
    assert "sessions" not in page.content()
    (line,) = [line for line in broken.log.read_text().splitlines() if identity in line]
    assert "A request failed: GET /profile: UndefinedTable" in line
    page.get_by_role("link", name="To the start").click()
    page.wait_for_url("**/")


def test_each_failure_has_an_id_of_its_own_and_a_program_gets_it_as_json(broken: Sigma, page: Page):
    assert failed(broken, page) != failed(broken, page)
    answer = page.request.get(PATH, headers={"accept": "application/json"})
    assert answer.status == 500
    assert answer.headers["x-request-id"] in answer.text()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_is_fit_for_everybody(
    broken: Sigma, new_context: NewContext, screenshot: Callable[[Page, str], Path], width: int, scheme: str
):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = new_context(**options).new_page()
    failed(broken, page)
    assert_accessible(page)
    assert page.evaluate(WIDER) <= 0
    assert page.evaluate(CUT_OFF) == []
    screenshot(page, f"sorry-{width}-{scheme}")
    page.add_style_tag(content=LARGE_TEXT)
    assert page.evaluate(CUT_OFF) == []


def test_it_reads_without_javascript(broken: Sigma, new_context: NewContext):
    failed(broken, new_context(java_script_enabled=False).new_page())
