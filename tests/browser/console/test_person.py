"""One person in a real browser: everything about them as a file, forgetting them, and the receipt."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts.conftest import Portal, Somebody
from tests.browser.console.conftest import look, shown

pytestmark = pytest.mark.browser


def test_from_their_account_to_the_receipt(operator: Page, bob: Somebody, sigma: Portal, tmp_path: Path):
    shown(operator, f"/admin/user?id={bob.id}", "User")
    operator.get_by_role("link", name="export it, or forget them").click()
    expect(operator.get_by_label("Address")).to_have_value(bob.email)
    with operator.expect_download() as download:
        operator.get_by_role("button", name="Download everything").click()
    download.value.save_as(tmp_path / "person.zip")
    told = json.loads(zipfile.ZipFile(tmp_path / "person.zip").read("data.json"))
    assert told["address"] == bob.email
    operator.get_by_role("button", name="Forget them").click()
    expect(operator.get_by_label("Type “forget”")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("alert").filter(has_text="Type forget to go on")).to_be_visible()
    operator.get_by_label("Type “forget”").fill("forget")
    operator.get_by_role("button", name="Forget them for good").click()
    expect(operator.get_by_role("heading", name="Receipt")).to_be_visible(timeout=20_000)
    with operator.expect_download() as download:
        operator.get_by_role("button", name="Save it as a file").click()
    download.value.save_as(tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert (receipt["address"], receipt["erased"]["account"]) == (bob.email, 1)
    with sigma.database() as owner:
        assert owner.execute("select count(*) from auth.users where id = %s", [bob.id]).fetchone() == (0,)


def test_whoever_operates_is_not_offered_to_be_forgotten(operator: Page, alice: Somebody):
    shown(operator, f"/admin/user?id={alice.id}", "User")
    operator.get_by_role("link", name="export it", exact=True).click()
    expect(operator.get_by_text("They cannot be forgotten.")).to_contain_text("admin revoke")
    expect(operator.get_by_role("button", name="Download everything")).to_be_visible()
    expect(operator.get_by_role("button", name="Forget them")).to_have_count(0)
    shown(operator, "/admin/person", "Person")
    operator.get_by_label("Address").fill(alice.email)
    operator.get_by_role("button", name="Look").click()
    expect(operator.get_by_text("They cannot be forgotten.")).to_be_visible()
    expect(operator.get_by_role("button", name="Forget them")).to_have_count(0)


def test_an_address_that_is_typed_stands_in_no_address_of_a_page(operator: Page, email: str, sigma: Portal):
    shown(operator, "/admin/users", "Users")
    operator.get_by_role("link", name="look for a person").click()
    operator.get_by_role("heading", level=1, name="Person").wait_for()
    operator.get_by_label("Address").fill("nobody")
    operator.get_by_label("Address").evaluate("field => field.type = 'text'")  # what a browser would refuse itself
    operator.get_by_role("button", name="Look").click()
    expect(operator.get_by_role("alert").filter(has_text="Please type a whole address")).to_be_visible()
    operator.get_by_label("Address").fill(email)
    operator.get_by_role("button", name="Look").click()
    expect(operator.get_by_role("alert").filter(has_text="nobody of that address")).to_be_visible()
    expect(operator.get_by_role("heading", name="What is kept")).to_have_count(0)
    with sigma.database() as owner:
        owner.execute("insert into leads (email) values (%s)", [email])
    operator.get_by_label("Address").fill(email)
    operator.get_by_role("button", name="Look").click()
    expect(operator.get_by_role("heading", name="What is kept")).to_be_visible()
    assert email not in operator.url


def test_a_question_about_somebody_is_withdrawn_when_somebody_else_is_looked_for(
    operator: Page, email: str, sigma: Portal
):
    with sigma.database() as owner:
        owner.execute("insert into leads (email) values (%s), (%s)", [email, f"other-{email}"])
    shown(operator, "/admin/person", "Person")
    for address in (email, f"other-{email}"):
        operator.get_by_label("Address").fill(address)
        operator.get_by_role("button", name="Look").click()
        expect(operator.get_by_label("Type “forget”")).to_have_count(0)
        operator.get_by_role("button", name="Forget them").click()
        expect(operator.get_by_role("group").filter(has_text=f"{address}, for good")).to_be_visible()


def test_looks(operator: Page, bob: Somebody, new_context: Callable[..., BrowserContext]):
    look(operator, "person", new_context, f"/admin/person?user={bob.id}", "Person")
