"""/admin/growth as an operator sees it: charts and their tables, on every screen, moving by themselves; and files."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import BrowserContext, FloatRect, Locator, Page, expect

from tests.browser.accounts.conftest import Portal, Somebody
from tests.browser.test_pages import assert_accessible

pytestmark = pytest.mark.browser

NewContext = Callable[..., BrowserContext]
Screenshot = Callable[[Page, str], Path]

LONG = "a-source-with-a-name-that-is-longer-than-anybody-would-ever-need"

LEADS = f"""
    insert into leads (email, created_at, confirmed_at, utm_source, referrer, landing_path)
    select 'growth-' || n || '@example.com', now() - n * interval '1 day',
      case when n % 2 = 0 then now() - n * interval '1 day' end,
      (array['newsletter', '{LONG}', '=cmd()'])[1 + n % 3], 'https://news.example/', '/'
    from generate_series(1, 40) as n
"""
VISITS = f"""
    insert into sigma.visits
    select date_trunc('day', now(), 'UTC') - n * interval '8 hours', '/',
      (array['newsletter', '{LONG}', '=cmd()'])[1 + n % 3], '', '',
      'news.example', ''
    from generate_series(1, 90) as n
"""


@pytest.fixture(scope="module")
def database(sigma: Portal) -> Iterator[psycopg.Connection]:
    with sigma.database() as connection:
        yield connection


@pytest.fixture
def numbers(database: psycopg.Connection) -> Iterator[None]:
    """Forty days of leads and thirty of visits, and nothing else."""
    emptied = "delete from leads; delete from sigma.visits; delete from sigma.growth_days"
    database.execute(emptied)
    for statement in (LEADS, VISITS):
        database.execute(statement.encode())
    yield
    database.execute(emptied)


def told(page: Page, step: str, column: int = 1) -> Locator:
    """A cell of the table of steps: by itself, of these days."""
    row = page.get_by_role("table").first.get_by_role("row").filter(has=page.get_by_role("cell", name=step, exact=True))
    return row.get_by_role("cell").nth(column)


def of(page: Page, value: str, column: int) -> Locator:
    """A cell of the table of values, which are told apart."""
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=value, exact=True))
    return row.get_by_role("cell").nth(column)


def place(part: Locator) -> FloatRect:
    """Where a part of a page is, in CSS pixels."""
    found = part.bounding_box()
    assert found
    return found


def test_the_steps_are_told_beside_those_of_the_days_before(operator: Page, numbers):
    operator.goto("/admin/growth?days=7")
    expect(operator.get_by_role("heading", level=1, name="Growth")).to_be_visible()
    for step, cells in {"Joined": ["6", "7", "−1", "−14.3%"], "Paid": ["0", "0", "±0", "–"]}.items():
        for column, text in enumerate(cells, start=1):
            expect(told(operator, step, column)).to_have_text(text)
    funnel = operator.get_by_role("img", name=re.compile("From visits to paid"))
    expect(funnel).to_have_attribute("aria-label", re.compile(r"Joined 6 \(before 7\)"))
    expect(
        operator.get_by_role("img", name=re.compile("Joined day by day: 6 in all, 7 in the days before"))
    ).to_be_visible()


def test_no_share_is_more_than_all_of_them(operator: Page, numbers, database: psycopg.Connection):
    """Those who joined long ago and confirm now are steps of these days, and none of those who joined in them."""
    database.execute("update leads set confirmed_at = now()")
    operator.goto("/admin/growth?days=7")
    expect(told(operator, "Confirmed")).to_have_text("40")
    became = operator.get_by_role("table", name=re.compile("How far those who joined")).get_by_role("row")
    expect(became.nth(1)).to_have_text("Joined6100%")
    expect(became.nth(2)).to_have_text("Confirmed6100%")
    expect(became.nth(3)).to_have_text("Invited00%")


def test_every_way_to_tell_them_apart_has_charts_and_a_table(operator: Page, numbers):
    operator.goto("/admin/growth?days=30&by=day")
    for name in ("Source", "Medium", "Campaign", "Referrer", "Referral", "Page", "Day"):
        operator.get_by_role("link", name=f"By {name.lower()}", exact=True).click()
        expect(operator.get_by_role("link", name=f"By {name.lower()}", exact=True)).to_have_attribute(
            "aria-current", "true"
        )
        assert f"by={name.lower()}" in operator.url
        expect(operator.locator(".growth-chart")).to_have_count(6)
    operator.goto("/admin/growth?days=30&by=referrer")
    for column, text in enumerate(["news.example", "87", "29", "33.3"]):
        expect(of(operator, "news.example", column)).to_have_text(text)


def test_it_moves_by_itself(
    operator: Page, numbers, database: psycopg.Connection, sigma: Portal, new_context: NewContext
):
    operator.goto("/admin/growth?days=7&by=source")
    expect(told(operator, "Joined")).to_have_text("6")
    visits = int(told(operator, "Visits").inner_text())
    database.execute("insert into leads (email, utm_source) values ('growth-new@example.com', 'Brand New')")
    new_context().new_page().goto("/?utm_source=brand%20new")
    expect(of(operator, "brand new", 1)).to_have_text("1")
    expect(of(operator, "brand new", 2)).to_have_text("1")
    expect(told(operator, "Joined")).to_have_text("7")
    expect(told(operator, "Visits")).to_have_text(str(visits + 1))


def test_days_are_chosen_and_bad_ones_answered_in_words(operator: Page, numbers):
    today = datetime.now(UTC).date()
    since = today - timedelta(days=3)
    operator.goto("/admin/growth?by=source")
    operator.get_by_role("textbox", name="From").fill(str(since))
    operator.get_by_role("button", name="Show").click()
    operator.wait_for_url(f"**/admin/growth?by=source&since={since}&until={today}")
    expect(told(operator, "Joined")).to_have_text("3")
    operator.get_by_role("link", name="90 days").click()
    expect(operator.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")
    expect(told(operator, "Joined")).to_have_text("40")
    operator.go_back()
    expect(operator.get_by_role("textbox", name="From")).to_have_value(str(since))
    operator.goto("/admin/growth?since=2026-02-30")
    expect(operator.get_by_role("alert")).to_have_text(
        re.compile("A day is written as 2026-11-28.*These are the last 30 days")
    )
    expect(told(operator, "Joined")).to_have_text("29")


def test_the_table_of_days_opens_by_the_keyboard_and_stays_open_while_numbers_move(
    operator: Page, numbers, database: psycopg.Connection
):
    operator.goto("/admin/growth?days=7")
    summary = operator.get_by_text("As a table")
    expect(summary).to_be_visible()
    heading = place(operator.get_by_role("heading", name="By day, and by where from"))
    file = place(operator.get_by_role("link", name="CSV"))
    assert abs(file["y"] + file["height"] / 2 - heading["y"] - heading["height"] / 2) < heading["height"]
    assert heading["y"] < place(summary)["y"] < place(operator.locator(".growth-chart").first)["y"]
    summary.focus()
    operator.keyboard.press("Enter")
    table = operator.get_by_role("table", name="The numbers that the charts show")
    expect(table.get_by_role("row")).to_have_count(8)
    database.execute("insert into leads (email) values ('growth-today@example.com')")
    expect(table.get_by_role("row").last.get_by_role("cell").nth(2)).to_have_text("1")
    expect(table).to_be_visible()


def test_the_file_opens_as_a_table_and_computes_nothing(operator: Page, numbers, tmp_path: Path):
    operator.goto("/admin/growth?days=30&by=source")
    with operator.expect_download() as coming:
        operator.get_by_role("link", name="CSV").click()
    assert coming.value.suggested_filename.startswith("growth-by-source-")
    coming.value.save_as(tmp_path / "growth.csv")
    with (tmp_path / "growth.csv").open(newline="") as file:
        found = {row["source"]: row for row in csv.DictReader(file)}
    assert set(found) == {"newsletter", LONG, "'=cmd()"}
    assert sum(int(row["joined"]) for row in found.values()) == 29
    assert sum(int(row["visits"]) for row in found.values()) == 87


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("by", ["day", "source"])
def test_axe_finds_no_violation_and_it_fits_every_screen(
    operator: Page, new_context: NewContext, numbers, screenshot: Screenshot, scheme: str, by: str
):
    state = operator.context.storage_state()
    page = new_context(storage_state=state, color_scheme=scheme, reduced_motion="reduce").new_page()
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"/admin/growth?days=30&by={by}")
        expect(page.locator(".growth-chart")).to_have_count(6)
        page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert_accessible(page)
        screenshot(page, f"admin-growth-{by}-{width}-{scheme}")


def test_where_nothing_happened_it_says_so(operator: Page, numbers, screenshot: Screenshot):
    operator.goto("/admin/growth?since=2020-01-01&until=2020-01-31")
    expect(operator.get_by_text("Nothing happened in these days, nor in those before.")).to_be_visible()
    expect(operator.locator(".growth-chart")).to_have_count(0)
    screenshot(operator, "admin-growth-empty")
    assert_accessible(operator)


def test_for_others_there_is_no_such_page(new_context: NewContext, operator: Page, sigma: Portal, alice: Somebody):
    stranger = new_context().new_page()
    stranger.goto("/admin/growth")
    assert "/sign-in" in stranger.url
    assert operator.request.get("/admin/growth.csv").status == 200
    assert sigma.run("admin", "revoke", alice.email).returncode == 0
    answer = operator.goto("/admin/growth")
    assert answer
    assert answer.status == 404
    assert operator.request.get("/admin/growth.csv").status == 404
