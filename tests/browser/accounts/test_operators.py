"""The operator's role, wherever the accounts are: given and taken by the command line, and Supabase has it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.accounts.conftest import Portal, Somebody

pytestmark = pytest.mark.browser


def status_of(page: Page, path: str) -> int:
    answer = page.goto(path)
    assert answer
    return answer.status


def test_the_role_is_in_the_accounts_app_metadata(sigma: Portal, alice: Somebody, signed_in: Callable[..., Page]):
    page = signed_in(alice)  # so that a database beside Supabase's own has heard of the account
    assert status_of(page, "/admin") == 404
    given = sigma.run("admin", "grant", alice.email)
    assert given.returncode == 0, given.stderr
    assert sigma.ask_auth("GET", f"admin/users/{alice.id}").json()["app_metadata"]["role"] == "admin"
    assert status_of(page, "/admin") == 200
    page.get_by_role("heading", level=1, name="Overview").wait_for()
    page.goto("/account")
    page.get_by_text("Delete my account").click()
    page.get_by_text("admin revoke").wait_for()
    assert page.get_by_role("button", name="Delete it for good").count() == 0
    assert sigma.run("admin", "revoke", alice.email).returncode == 0
    page.reload()
    page.get_by_text("Delete my account").click()
    page.get_by_role("button", name="Delete it for good").wait_for()
    assert "role" not in sigma.ask_auth("GET", f"admin/users/{alice.id}").json()["app_metadata"]
    assert status_of(page, "/admin") == 404
