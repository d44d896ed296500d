"""Who gets into the console, and who does not; what its first pages show, and that they move."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts.conftest import Portal, Somebody
from tests.browser.console.conftest import grant, let_operate, look, shown
from tests.browser.test_pages import assert_accessible

pytestmark = pytest.mark.browser

PAGES = ("/admin", "/admin/leads", "/admin/lead", "/admin/leads/import", "/admin/audit")


@pytest.mark.parametrize("path", PAGES)
def test_a_visitor_is_led_to_the_sign_in_page_and_back(page: Page, path: str):
    page.goto(path)
    assert "/sign-in?next=%2Fadmin" in page.url


@pytest.mark.parametrize("path", PAGES)
def test_for_others_with_an_account_it_is_not_there(bob: Somebody, signed_in: Callable[..., Page], path: str):
    page = signed_in(bob)
    answer = page.goto(path)
    assert answer
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Overview")


def test_the_role_is_given_and_taken_by_the_command_line(
    sigma: Portal, bob: Somebody, signed_in: Callable[..., Page], email: str
):
    page = signed_in(bob)
    grant(sigma, bob)
    assert bob.email in sigma.run("admin", "list").stdout
    shown(page, "/admin", "Overview")
    assert sigma.run("admin", "revoke", bob.email).returncode == 0
    assert bob.email not in sigma.run("admin", "list").stdout
    answer = page.goto("/admin")
    assert answer
    assert answer.status == 404
    nobody = sigma.run("admin", "grant", f"nobody-{email}")
    assert nobody.returncode == 1
    assert "Sign up first" in nobody.stderr


def test_an_open_page_says_so_when_the_role_is_gone(sigma: Portal, bob: Somebody, signed_in: Callable[..., Page]):
    page = signed_in(bob)
    grant(sigma, bob)
    shown(page, "/admin", "Overview")
    assert sigma.run("admin", "revoke", bob.email).returncode == 0  # is on record, which the open page hears of
    expect(page.get_by_role("alert").filter(has_text="none of theirs")).to_be_visible()
    expect(page.locator(".console-numbers")).to_have_count(0)
    expect(page.get_by_text(f"You are still signed in as {bob.email}")).to_be_visible()
    expect(page.get_by_role("navigation", name="Console").get_by_role("link")).to_have_text(
        ["Home", "Profile", "Billing", "Account"]
    )
    expect(page.get_by_text("--:--")).to_have_count(0)
    assert_accessible(page)
    page.get_by_role("link", name="To your account").click()
    page.wait_for_url("**/app")


def test_an_open_page_shows_what_it_did_when_the_role_is_back(
    sigma: Portal, bob: Somebody, signed_in: Callable[..., Page]
):
    page = signed_in(bob)
    let_operate(sigma, bob)
    shown(page, "/admin/users", "Users")
    sigma.ask_auth("PUT", f"admin/users/{bob.id}", app_metadata={"role": ""})
    expect(page.get_by_role("heading", level=1, name="For operators")).to_be_visible()
    let_operate(sigma, bob)
    expect(page.get_by_role("heading", level=1, name="Users")).to_be_visible()
    expect(page.get_by_role("navigation", name="Console").get_by_role("link", name="Overview")).to_be_visible()


def test_an_open_list_of_leads_is_emptied_when_the_role_is_gone(
    sigma: Portal, bob: Somebody, signed_in: Callable[..., Page], email: str
):
    page = signed_in(bob)
    grant(sigma, bob)
    with sigma.database() as owner:
        owner.execute("insert into leads (email) values (%s)", [email])
    shown(page, "/admin/leads", "Leads")
    row = page.get_by_role("link", name=email, exact=True)
    expect(row).to_be_visible()
    assert sigma.run("admin", "revoke", bob.email).returncode == 0
    expect(page.get_by_role("alert").filter(has_text="none of theirs")).to_be_visible()
    expect(row).to_have_count(0)
    assert f">{email}<" not in page.content()


def test_an_open_list_of_leads_is_left_when_the_session_ends(
    sigma: Portal, bob: Somebody, signed_in: Callable[..., Page]
):
    page = signed_in(bob)
    grant(sigma, bob)
    shown(page, "/admin/leads", "Leads")
    with sigma.database() as owner:
        owner.execute("delete from sigma.sessions where user_id = %s", [bob.id])
    page.wait_for_url("**/sign-in*")


def test_numbers_move_while_one_watches(sigma: Portal, operator: Page, email: str):
    shown(operator, "/admin", "Overview")
    today = operator.locator(".console-numbers div", has_text="joined today").locator("dd")
    before = int(today.inner_text().replace(",", ""))
    with sigma.database() as owner:
        owner.execute("insert into leads (email) values (%s)", [email])
    expect(today).to_have_text(f"{before + 1:,}")


def test_the_log_shows_what_was_done(operator: Page, bob: Somebody, sigma: Portal):
    grant(sigma, bob)
    shown(operator, "/admin/audit", "Audit log")
    row = operator.locator("tbody tr", has_text=bob.email).first
    expect(row).to_contain_text("made somebody an operator")
    expect(row).to_contain_text("the command line")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row.locator("time").inner_text())
    operator.get_by_label("To whom").fill(str(bob.id))
    operator.locator("select[name=who]").select_option("The command line")
    operator.get_by_label("What about").select_option("Operators")
    operator.get_by_role("button", name="Show").click()
    expect(operator.locator("tbody tr")).to_have_count(1)
    operator.get_by_label("What about").select_option("Mail")
    operator.get_by_role("button", name="Show").click()
    expect(operator.get_by_text("Nothing like that was done.")).to_be_visible()
    expect(operator.get_by_role("link", name="Show all of it")).to_have_attribute("href", "/admin/audit")
    operator.go_back()
    operator.locator("tbody").get_by_role("link", name=bob.email).click()
    operator.get_by_role("heading", level=1, name="User").wait_for()


def test_the_log_grows_while_one_watches(operator: Page, bob: Somebody, sigma: Portal):
    shown(operator, f"/admin/audit?subject={bob.id}", "Audit log")
    expect(operator.get_by_text("Nothing like that was done.")).to_be_visible()
    grant(sigma, bob)
    expect(operator.locator("tbody tr")).to_contain_text("made somebody an operator")


def test_looks(operator: Page, new_context: Callable[..., BrowserContext]):
    look(operator, "overview", new_context, "/admin", "Overview")
    look(operator, "audit", new_context, "/admin/audit", "Audit log")
