"""/admin/growth as an operator sees it: charts and their tables, on every screen, moving by themselves; and files."""

from __future__ import annotations

import csv
import re
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.test_pages import assert_accessible
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

NewContext = Callable[..., BrowserContext]
Screenshot = Callable[[Page, str], Path]

PASSWORD = "correct horse battery staple"
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
def database(sigma: Sigma) -> Iterator[psycopg.Connection]:
    with sigma.database() as connection:
        yield connection


@pytest.fixture(scope="module")
def operator(sigma: Sigma) -> str:
    """The address of an operator's account."""
    email = f"operator-{secrets.token_hex(4)}@example.com"
    key = sigma.assignments["SUPABASE_SERVICE_ROLE_KEY"]
    made = httpx.post(
        f"{sigma.base_url}/auth/v1/admin/users",
        headers={"apikey": key, "authorization": f"Bearer {key}"},
        json={"email": email, "password": PASSWORD, "email_confirm": True},
    )
    assert made.is_success, made.text
    assert sigma.run("admin", "grant", email).returncode == 0
    return email


@pytest.fixture(scope="module")
def signed_in(chromium, sigma: Sigma, operator: str) -> dict:
    """What a browser keeps in which the operator has signed in, for the contexts of these tests."""
    context = chromium.new_context(base_url=sigma.base_url)
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail").first.fill(operator)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url("**/profile**")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(new_context: NewContext, signed_in: dict) -> Page:
    """The operator's."""
    return new_context(storage_state=signed_in, accept_downloads=True).new_page()


@pytest.fixture
def numbers(database: psycopg.Connection) -> Iterator[None]:
    """Forty days of leads and thirty of visits, and nothing else."""
    emptied = "delete from leads; delete from sigma.visits; delete from sigma.growth_days"
    database.execute(emptied)
    for statement in (LEADS, VISITS):
        database.execute(statement.encode())
    yield
    database.execute(emptied)


def step(page: Page, name: str) -> list[str]:
    """The cells of a step in the table of steps."""
    table = page.get_by_role("table").first
    row = table.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))
    expect(row).to_be_visible()
    return row.get_by_role("cell").all_inner_texts()


def test_the_steps_are_told_beside_those_of_the_days_before(page: Page, numbers):
    page.goto("/admin/growth?days=7")
    expect(page.get_by_role("heading", level=1, name="Growth")).to_be_visible()
    assert step(page, "Joined")[:2] + step(page, "Joined")[3:] == ["Joined", "6", "7", "−1", "−14.3%"]
    assert step(page, "Paid") == ["Paid", "0", "–", "0", "±0", "–"]
    funnel = page.get_by_role("img", name=re.compile("From visits to paid"))
    expect(funnel).to_have_attribute("aria-label", re.compile(r"Joined 6 \(before 7\)"))
    expect(
        page.get_by_role("img", name=re.compile("Joined day by day: 6 in all, 7 in the days before"))
    ).to_be_visible()


def test_every_way_to_tell_them_apart_has_charts_and_a_table(page: Page, numbers):
    page.goto("/admin/growth?days=30&by=day")
    for name in ("Source", "Medium", "Campaign", "Referrer", "Referral", "Page", "Day"):
        page.get_by_role("link", name=f"By {name.lower()}", exact=True).click()
        expect(page.get_by_role("link", name=f"By {name.lower()}", exact=True)).to_have_attribute(
            "aria-current", "true"
        )
        assert f"by={name.lower()}" in page.url
        expect(page.locator(".growth-chart")).to_have_count(6)
    page.goto("/admin/growth?days=30&by=referrer")
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="news.example", exact=True))
    assert row.get_by_role("cell").all_inner_texts()[:4] == ["news.example", "87", "29", "33.3%"]


def test_it_moves_by_itself(page: Page, numbers, database: psycopg.Connection, sigma: Sigma, new_context: NewContext):
    page.goto("/admin/growth?days=7&by=source")
    assert step(page, "Joined")[1] == "6"
    visits = int(step(page, "Visits")[1])
    database.execute("insert into leads (email, utm_source) values ('growth-new@example.com', 'Brand New')")
    new_context().new_page().goto("/?utm_source=brand%20new")
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="brand new", exact=True))
    expect(row.get_by_role("cell").nth(1)).to_have_text("1")
    expect(row.get_by_role("cell").nth(2)).to_have_text("1")
    assert step(page, "Joined")[1] == "7"
    assert step(page, "Visits")[1] == str(visits + 1)


def test_days_are_chosen_and_bad_ones_answered_in_words(page: Page, numbers):
    today = datetime.now(UTC).date()
    since = today - timedelta(days=3)
    page.goto("/admin/growth?by=source")
    page.get_by_role("textbox", name="From").fill(str(since))
    page.get_by_role("button", name="Show").click()
    page.wait_for_url(f"**/admin/growth?by=source&since={since}&until={today}")
    assert step(page, "Joined")[1] == "3"
    page.get_by_role("link", name="90 days").click()
    expect(page.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")
    assert step(page, "Joined")[1] == "40"
    page.go_back()
    expect(page.get_by_role("textbox", name="From")).to_have_value(str(since))
    page.goto("/admin/growth?since=2026-02-30")
    expect(page.get_by_role("alert")).to_have_text(
        re.compile("A day is written as 2026-11-28.*These are the last 30 days")
    )
    assert step(page, "Joined")[1] == "29"


def test_the_table_of_days_opens_by_the_keyboard_and_stays_open_while_numbers_move(
    page: Page, numbers, database: psycopg.Connection
):
    page.goto("/admin/growth?days=7")
    summary = page.get_by_text("As a table")
    expect(summary).to_be_visible()
    summary.focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name="The numbers that the charts show")
    expect(table.get_by_role("row")).to_have_count(8)
    database.execute("insert into leads (email) values ('growth-today@example.com')")
    expect(table.get_by_role("row").last.get_by_role("cell").nth(2)).to_have_text("1")
    expect(table).to_be_visible()


def test_the_file_opens_as_a_table_and_computes_nothing(page: Page, numbers, tmp_path: Path):
    page.goto("/admin/growth?days=30&by=source")
    with page.expect_download() as coming:
        page.get_by_role("link", name="CSV").click()
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
    new_context: NewContext, signed_in: dict, numbers, screenshot: Screenshot, scheme: str, by: str
):
    page = new_context(storage_state=signed_in, color_scheme=scheme, reduced_motion="reduce").new_page()
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"/admin/growth?days=30&by={by}")
        expect(page.locator(".growth-chart")).to_have_count(6)
        page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert_accessible(page)
        screenshot(page, f"admin-growth-{by}-{width}-{scheme}")


def test_where_nothing_happened_it_says_so(page: Page, numbers, database: psycopg.Connection, screenshot: Screenshot):
    page.goto("/admin/growth?since=2020-01-01&until=2020-01-31")
    expect(page.get_by_text("Nothing happened in these days, nor in those before.")).to_be_visible()
    expect(page.locator(".growth-chart")).to_have_count(0)
    screenshot(page, "admin-growth-empty")
    assert_accessible(page)


def test_for_others_there_is_no_such_page(new_context: NewContext, page: Page, sigma: Sigma, operator: str):
    stranger = new_context().new_page()
    stranger.goto("/admin/growth")
    assert "/sign-in" in stranger.url
    assert sigma.run("admin", "revoke", operator).returncode == 0
    try:
        answer = page.goto("/admin/growth")
        assert answer
        assert answer.status == 404
        assert page.request.get("/admin/growth.csv").status == 404
    finally:
        assert sigma.run("admin", "grant", operator).returncode == 0
