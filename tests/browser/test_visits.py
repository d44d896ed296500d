"""An arrival from elsewhere is counted once; nothing else is, and nobody who asks not to be."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page

from tests.browser.conftest import until
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

NewContext = Callable[..., BrowserContext]
Counted = Callable[[], list[tuple]]

STORED = "select page, source, referrer, referral from sigma.visits where source = any (%s) order by at"
TRIES, PAUSE = 200, 0.05


@pytest.fixture(scope="module")
def database(sigma: Sigma) -> Iterator[psycopg.Connection]:
    with sigma.database() as connection:
        yield connection


@pytest.fixture
def source() -> str:
    """A source that no other test has."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def counted(database: psycopg.Connection, new_context: NewContext, source: str) -> Counted:
    """The visits of this test, once one that comes after them, in another browser, has been counted."""

    def wait() -> list[tuple]:
        last = f"{source}-last"
        page = new_context().new_page()
        page.goto(f"/terms?utm_source={last}")
        for _ in range(TRIES):
            found = database.execute(STORED, [[source, last]]).fetchall()
            if any(row[1] == last for row in found):
                return [row for row in found if row[1] == source]
            time.sleep(PAUSE)
        raise AssertionError("The last visit was never counted")

    return wait


@pytest.mark.parametrize("path", ["/", "/join", "/pricing", "/privacy", "/terms"])
def test_an_arrival_at_a_public_page_is_counted(page: Page, counted: Counted, source: str, path: str):
    page.goto(f"{path}?utm_source={source.upper()}&ref=abc#plans", referer="https://www.news.example/item?id=1")
    assert counted() == [(path, source, "news.example", "yes")]


def test_it_is_counted_once_however_long_somebody_looks_around(page: Page, counted: Counted, source: str):
    page.goto(f"/?utm_source={source}")
    page.reload()
    page.get_by_role("link", name="Terms").click()
    page.wait_for_url("**/terms")
    page.go_back()
    page.wait_for_url("**/?utm_source=*")
    page.goto("/join", referer=page.url)
    assert counted() == [("/", source, "", "")]


def test_coming_back_from_elsewhere_is_another_arrival(page: Page, counted: Counted, source: str):
    page.goto(f"/?utm_source={source}")
    page.goto("about:blank")
    page.goto(f"/?utm_source={source}", referer="https://a.example/")
    assert counted() == [("/", source, "", ""), ("/", source, "a.example", "")]


@pytest.mark.parametrize("path", ["/joined", "/sign-in", "/none", "/confirm"])
def test_no_other_page_counts(page: Page, counted: Counted, source: str, path: str):
    page.goto(f"{path}?utm_source={source}")
    assert counted() == []


@pytest.mark.parametrize(
    "asked", [("globalPrivacyControl", True), ("doNotTrack", "1")], ids=["Global Privacy Control", "Do Not Track"]
)
def test_who_asks_not_to_be_counted_is_not_even_mentioned(
    page: Page, counted: Counted, source: str, asked: tuple[str, object]
):
    name, value = asked
    page.add_init_script(f"Object.defineProperty(Navigator.prototype, '{name}', {{ get: () => {json.dumps(value)} }})")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto(f"/?utm_source={source}")
    page.wait_for_load_state("networkidle")
    assert counted() == []
    assert [url for url in sent if url.endswith("/visit")] == []


def test_who_has_said_so_by_a_header_is_not_counted(new_context: NewContext, counted: Counted, source: str):
    new_context(extra_http_headers={"Sec-GPC": "1"}).new_page().goto(f"/?utm_source={source}")
    assert counted() == []


def test_without_javascript_nobody_is_counted(new_context: NewContext, counted: Counted, source: str):
    new_context(java_script_enabled=False).new_page().goto(f"/?utm_source={source}")
    assert counted() == []


def test_a_page_that_the_browser_loads_ahead_counts_when_somebody_goes_there(page: Page, counted: Counted, source: str):
    page.add_init_script("Object.defineProperty(Document.prototype, 'prerendering', { get: () => !window.went })")
    page.goto(f"/?utm_source={source}")
    assert counted() == []
    page.evaluate("window.went = true")
    for _ in range(2):  # and once, whatever the browser says again
        page.evaluate("document.dispatchEvent(new Event('prerenderingchange'))")
    assert counted() == [("/", source, "", "")]


def test_it_keeps_nothing_in_the_browser_and_says_no_more_than_two_addresses(new_context: NewContext, source: str):
    context = new_context()
    page = context.new_page()
    with page.expect_request("**/visit") as asked:
        page.goto(f"/privacy?utm_source={source}#top", referer="https://a.example/")
    told = json.loads(asked.value.post_data or "")
    assert set(told) == {"page", "referrer"}
    assert told["page"].endswith(f"/privacy?utm_source={source}")
    assert told["referrer"] == "https://a.example/"
    assert context.cookies() == []
    assert page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])") == "[{},{}]"


def test_of_a_long_address_the_beginning_is_told(page: Page, source: str):
    with page.expect_request("**/visit") as asked:
        page.goto(f"/privacy?utm_source={source}&more={'a' * 3000}")
    told = json.loads(asked.value.post_data or "")
    assert told["page"] == page.url[:2000]


def test_a_visit_and_the_lead_that_comes_of_it_have_the_same_source(
    page: Page, sigma: Sigma, counted: Counted, source: str, email: str, database: psycopg.Connection
):
    page.goto(f"/?utm_source={source.upper()}&ref=abc", referer="https://www.a.example/post")
    page.goto("/terms", referer=page.url)
    page.goto("/", referer=page.url)
    form = page.locator("form[data-join=hero]")
    form.get_by_label("Your e-mail address").fill(email)
    form.get_by_role("button").click()
    until(page, "document.documentElement.hasAttribute('data-on-the-list')")
    assert counted() == [("/", source, "a.example", "yes")]
    lead = database.execute(
        "select sigma.growth_page(landing_path), sigma.growth_word(utm_source), sigma.growth_host(referrer, ''),"
        " case when referral_code is null then '' else 'yes' end from leads where email = %s",
        [email],
    ).fetchone()
    assert lead == ("/", source, "a.example", "yes")


def test_where_it_cannot_be_told_the_page_is_as_ever(page: Page, console_errors: list[str]):
    page.add_init_script("delete Navigator.prototype.sendBeacon; performance.getEntriesByType = () => []")
    page.goto("/")
    page.mouse.click(5, 5)
    page.wait_for_load_state("networkidle")
    assert console_errors == []
