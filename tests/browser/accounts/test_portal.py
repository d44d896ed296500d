"""The profile and the account of whoever is signed in, in one tab, in two, and as the session ends."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Dialog, Page, Route, expect

from tests.browser.accounts.conftest import PASSWORD, Mailbox, Portal, Somebody

pytestmark = pytest.mark.browser

SignedIn = Callable[..., Page]
SignIn = Callable[[Page, Somebody], Page]
SECONDS = 1000
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def saved(page: Page, words: str = "Saved.") -> None:
    expect(page.locator("[data-profile] [data-message]")).to_have_text(words)


def save_name(page: Page, name: str) -> None:
    page.fill("#name", name)
    page.get_by_role("button", name="Save").click()


def test_a_name_is_saved_and_there_after_a_reload(sigma: Portal, alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    save_name(page, "  Ada   Lovelace ")
    saved(page)
    expect(page.locator("#name")).to_have_value("Ada Lovelace")
    page.reload()
    expect(page.locator("#name")).to_have_value("Ada Lovelace")
    with sigma.database() as connection:
        assert connection.execute("select name from profiles where id = %s", [alice.id]).fetchone() == ("Ada Lovelace",)


def test_a_name_that_will_not_do_says_why_and_stays_in_the_field(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    save_name(page, "x" * 101)
    saved(page, "That is a long name: 100 characters at most.")
    expect(page.locator("#name")).to_have_value("x" * 101)
    save_name(page, "Ada")
    saved(page)


@pytest.mark.parametrize(("choice", "stored"), [("Keep mine", "From the old tab"), ("Take theirs", "From the new tab")])
def test_a_stale_tab_overwrites_nothing_unseen(
    sigma: Portal, alice: Somebody, signed_in: SignedIn, choice: str, stored: str
):
    old = signed_in(alice)
    expect(old.locator("[data-profile]")).to_be_visible()
    new = old.context.new_page()
    new.goto("/profile")
    save_name(new, "From the new tab")
    saved(new)
    save_name(old, "From the old tab")
    expect(old.locator("[data-conflict]")).to_be_visible()
    expect(old.locator("[data-theirs]")).to_have_text("From the new tab")
    expect(old.locator("#name")).to_have_value("From the old tab")
    old.get_by_role("button", name=choice).click()
    expect(old.locator("#name")).to_have_value(stored)
    expect(old.locator("[data-conflict]")).to_be_hidden()
    old.reload()
    expect(old.locator("#name")).to_have_value(stored)


def test_leaving_with_unsaved_changes_is_asked_about_and_without_is_not(
    alice: Somebody, signed_in: SignedIn, tmp_path: Path
):
    page = signed_in(alice)
    asked: list[str] = []

    def go_on(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", go_on)
    page.locator("#name").press_sequentially("Unsaved")
    page.goto("/account")
    assert asked == ["beforeunload"]
    page.goto("/profile")
    save_name(page, "Saved")
    saved(page)
    page.goto("/account")
    assert asked == ["beforeunload"]
    page.goto("/profile")
    page.set_input_files("#picture", picture(tmp_path / "me.png", "green"))
    page.locator("#name").click()  # browsers ask nobody who has touched nothing
    page.goto("/account")
    assert asked == ["beforeunload"] * 2


def test_a_session_that_ends_in_the_middle_of_an_edit_loses_nothing(
    sigma: Portal, alice: Somebody, signed_in: SignedIn, sign_in: SignIn
):
    page = signed_in(alice)
    page.fill("#name", "Typed before the end")
    with sigma.database() as connection:
        connection.execute("delete from sigma.sessions where user_id = %s", [alice.id])
    expect(page).to_have_url(re.compile(r"/sign-in\?said=kept&next=%2Fprofile"))
    sign_in(page, alice)
    saved(page, "Saved, with what you typed before you were signed out.")
    expect(page.locator("#name")).to_have_value("Typed before the end")
    page.reload()
    expect(page.locator("#name")).to_have_value("Typed before the end")


def test_what_one_typed_is_not_saved_for_another(
    sigma: Portal, alice: Somebody, bob: Somebody, signed_in: SignedIn, sign_in: SignIn
):
    page = signed_in(alice)
    page.fill("#name", "Alice's draft")
    with sigma.database() as connection:
        connection.execute("delete from sigma.sessions where user_id = %s", [alice.id])
    expect(page).to_have_url(re.compile("said=kept"))
    sign_in(page, bob)
    expect(page.locator("header .address")).to_have_text(bob.email)
    expect(page.locator("#name")).to_have_value("")
    assert page.evaluate("sessionStorage.getItem('sigma.profile.draft')") is None


def test_signing_out_leaves_nothing_behind_the_back_button(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    save_name(page, "Ada")
    saved(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status").first).to_contain_text("You are signed out")
    page.go_back()
    expect(page).to_have_url(re.compile(r"/sign-in"))
    expect(page.locator("body")).not_to_contain_text("Ada")


def test_another_device_is_signed_out_and_its_tab_closes_at_once(alice: Somebody, signed_in: SignedIn):
    here, there = (
        signed_in(alice),
        signed_in(alice, user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"),
    )
    expect(there.locator("[data-profile]")).to_be_visible()
    here.goto("/account")
    device = here.locator(".devices li", has_text="Firefox on Linux")
    device.get_by_role("button", name="Sign out").click()
    expect(there).to_have_url(re.compile("/sign-in"), timeout=5 * SECONDS)
    expect(device).to_have_count(0)
    expect(here.locator(".devices li")).to_have_count(1)


def test_signing_out_everywhere_closes_every_tab_within_seconds(
    sigma: Portal, alice: Somebody, bob: Somebody, signed_in: SignedIn
):
    tabs = [signed_in(alice), signed_in(alice)]
    bobs = signed_in(bob)
    second = tabs[0].context.new_page()
    second.goto("/account")
    for tab in (*tabs, bobs):
        expect(tab.locator("[data-profile]")).to_be_visible()
    expect(second.locator(".devices")).to_be_visible()
    second.get_by_role("button", name="Sign out everywhere").click()
    expect(second.get_by_role("status").first).to_contain_text("on every device")
    for tab in tabs:
        expect(tab).to_have_url(re.compile("/sign-in"), timeout=5 * SECONDS)
        expect(tab.locator("body")).not_to_contain_text(alice.email)
    save_name(bobs, "Bob")
    saved(bobs)
    with sigma.database() as connection:
        assert connection.execute("select from sigma.sessions where user_id = %s", [alice.id]).rowcount == 0


def test_a_password_is_changed_by_the_one_before(
    alice: Somebody, signed_in: SignedIn, new_context: Callable[..., BrowserContext], sign_in: SignIn
):
    page, other = signed_in(alice), signed_in(alice)
    before = page.context.cookies()[0].get("value")
    page.goto("/account")
    form = page.locator("form[action='/account/password']")
    form.locator("[name=current]").fill("not my password")
    form.locator("[name=password]").fill("a brand new secret, 77")
    form.get_by_role("button", name="Change it").click()
    expect(form.get_by_role("alert")).to_have_text("That is not your current password.")
    expect(form.locator("[name=password]")).to_have_value("a brand new secret, 77")
    form.locator("[name=current]").fill(PASSWORD)
    form.get_by_role("button", name="Change it").click()
    expect(page.locator("[data-said]")).to_contain_text("Your password is changed")
    expect(other).to_have_url(re.compile("/sign-in"), timeout=5 * SECONDS)
    assert page.context.cookies()[0].get("value") != before
    sign_in(new_context().new_page(), Somebody(alice.email, "a brand new secret, 77"))


def test_an_address_moves_once_both_have_agreed(
    sigma: Portal, alice: Somebody, charlie: Somebody, mailbox: Mailbox, signed_in: SignedIn, sign_in: SignIn
):
    page = signed_in(alice)
    page.goto("/account")
    form = page.locator("form[action='/account/address']")
    form.locator("[name=email]").fill(alice.email.upper())
    form.get_by_role("button", name="Change it").click()
    expect(form.get_by_role("alert")).to_have_text("That is your address already.")
    form.locator("[name=email]").fill(charlie.email)
    form.get_by_role("button", name="Change it").click()
    expect(form.get_by_role("alert")).to_contain_text("Two mails are on their way")
    page.goto(mailbox.next(charlie.email).link)
    page.locator("main .door-button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("One half is done.")
    page.goto(mailbox.next(alice.email).link)
    page.locator("main .door-button").click()
    expect(page.locator("#address .address")).to_have_text(charlie.email)
    with sigma.database() as connection:
        assert connection.execute("select email from profiles where id = %s", [alice.id]).fetchone() == (charlie.email,)


def picture(path: Path, color: str, size: tuple[int, int] = (900, 600)) -> Path:
    Image.new("RGB", size, color).save(path)
    return path


def test_a_picture_is_shown_before_it_is_sent_and_replaced_and_removed(
    sigma: Portal, alice: Somebody, signed_in: SignedIn, tmp_path: Path
):
    page = signed_in(alice)
    for color in ("red", "blue"):
        page.set_input_files("#picture", picture(tmp_path / f"{color}.png", color))
        expect(page.locator("[data-preview]")).to_be_visible()
        page.get_by_role("button", name="Use this picture").click()
        expect(page.locator("[data-picture] [data-message]")).to_have_text("That is you from now on.")
        expect(page.locator("[data-preview]")).to_have_count(0)
        shown = page.get_by_role("img", name="Your picture")
        expect(shown).to_be_visible()
    source = shown.get_attribute("src")
    page.reload()
    expect(shown).to_have_attribute("src", str(source))
    body = page.request.get(str(source)).body()
    with Image.open(io.BytesIO(body)) as kept:
        assert (kept.format, kept.size) == ("WEBP", (512, 512))
        red, _, blue = kept.convert("RGB").getpixel((10, 10))  # pyright: ignore[reportGeneralTypeIssues]
        assert blue > 200 > red
    with sigma.database() as connection:
        assert connection.execute("select from storage.objects where name like %s", [f"{alice.id}/%"]).rowcount == 1
    page.get_by_role("button", name="Remove it").click()
    expect(shown).to_have_count(0)
    assert page.request.get(str(source)).status == 404


def test_a_picture_that_was_sent_stays_until_the_page_has_its_bytes(
    alice: Somebody, signed_in: SignedIn, tmp_path: Path
):
    page = signed_in(alice)
    held: list[Route] = []
    page.route("**/profile/picture?v=*", lambda route: held.append(route))
    page.set_input_files("#picture", picture(tmp_path / "red.png", "red"))
    page.get_by_role("button", name="Use this picture").click()
    expect(page.get_by_role("img", name="Your picture", exact=True)).to_have_count(1)
    while not held:
        page.wait_for_timeout(20)
    preview = page.locator("[data-preview]")
    assert preview.count() == 1
    held[0].continue_()
    expect(preview).to_have_count(0)


def test_what_is_no_picture_is_refused_with_a_reason(alice: Somebody, signed_in: SignedIn, tmp_path: Path):
    page = signed_in(alice)
    (tmp_path / "drawn.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    page.set_input_files("#picture", tmp_path / "drawn.png")
    expect(page.locator("[data-picture] [data-message]")).to_contain_text("That is no picture we can read.")
    expect(page.locator("[data-preview]")).to_have_count(0)
    expect(page.get_by_role("button", name="Use this picture")).to_be_hidden()
    page.set_input_files("#picture", picture(tmp_path / "me.png", "green"))
    expect(page.locator("[data-preview]")).to_be_visible()
    expect(page.locator("[data-picture] [data-message]")).to_have_text("")


def test_ones_data_comes_as_a_zip(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    save_name(page, "Ada")
    saved(page)
    page.goto("/account")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download my data").click()
    with zipfile.ZipFile(download.value.path()) as files:
        told = json.loads(files.read("data.json"))
    assert (told["profile"]["name"], told["account"]["email"]) == ("Ada", alice.email)


def test_an_account_is_deleted_with_everything(
    sigma: Portal, alice: Somebody, mailbox: Mailbox, signed_in: SignedIn, tmp_path: Path
):
    page, other = signed_in(alice), signed_in(alice)
    page.set_input_files("#picture", picture(tmp_path / "me.png", "green"))
    page.get_by_role("button", name="Use this picture").click()
    expect(page.locator("[data-picture] [data-message]")).to_have_text("That is you from now on.")
    with sigma.database() as connection:
        assert connection.execute("select from storage.objects where name like %s", [f"{alice.id}/%"]).rowcount == 1
    page.goto("/account")
    page.get_by_text("Delete my account").click()
    page.fill("[name=confirmation]", "somebody@example.com")
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.locator("form[action='/account/delete']").get_by_role("alert")).to_contain_text(alice.email)
    page.fill("[name=confirmation]", alice.email)
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing is left.")
    expect(other).to_have_url(re.compile("/sign-in"), timeout=5 * SECONDS)
    assert "gone" in mailbox.next(alice.email).subject
    with sigma.database() as connection:
        for table, column in (("auth.users", "id"), ("profiles", "id"), ("sigma.sessions", "user_id")):
            query = f"select from {table} where {column} = %s"
            assert connection.execute(query.encode(), [alice.id]).rowcount == 0, table
        assert connection.execute("select from storage.objects where name like %s", [f"{alice.id}/%"]).rowcount == 0
    page.goto("/profile")
    expect(page).to_have_url(re.compile("/sign-in"))


def test_an_address_on_its_way_is_shown_until_it_has_moved(alice: Somebody, mailbox: Mailbox, signed_in: SignedIn):
    page, wanted = signed_in(alice), f"new.{alice.email}"
    page.goto("/account")
    expect(page.locator(".devices li")).to_have_count(1)
    expect(page.locator(".moving-to")).to_have_count(0)
    form = page.locator("form[action='/account/address']")
    form.locator("[name=email]").fill(wanted)
    form.get_by_role("button").click()
    expect(form.locator("[data-message]")).to_contain_text("Two mails are on their way")
    page.reload()
    expect(page.locator(".moving-to")).to_contain_text(wanted)
    expect(page.get_by_role("link", name="Type a code")).to_have_attribute("href", "/verify?type=email_change")
    for email in (alice.email, wanted):
        page.goto(mailbox.next(email).link)
        page.locator("main .door-button").click()
        expect(page).to_have_url(re.compile("done=half|/account"))
    expect(page.locator(".devices li")).not_to_have_count(0)
    expect(page.locator("#address .address")).to_have_text([wanted])


def test_a_forgotten_password_is_chosen_by_mail_from_inside(alice: Somebody, mailbox: Mailbox, signed_in: SignedIn):
    page = signed_in(alice)
    page.goto("/account")
    page.get_by_role("button", name="Choose one by mail").click()
    expect(page).to_have_url(re.compile("/check-inbox"))
    page.goto(mailbox.next(alice.email).link)
    page.locator("main .door-button").click()
    expect(page).to_have_url(re.compile("/reset"))


def test_nothing_of_anybody_is_in_a_page_before_it_has_asked(
    sigma: Portal, alice: Somebody, signed_in: SignedIn, new_context: Callable[..., BrowserContext]
):
    page = signed_in(alice)
    for path in ("/profile", "/account"):
        answer = page.request.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert alice.email not in answer.text()
        signed_out = new_context().new_page()
        signed_out.goto(path)
        expect(signed_out).to_have_url(re.compile("/sign-in"))


def test_the_keyboard_alone_saves_a_name(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    page.locator("#name").focus()
    page.keyboard.type("Ada")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Save")).to_be_focused()
    page.keyboard.press("Enter")
    saved(page)


def test_saving_while_the_server_is_away_says_so_and_is_made_good(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    expect(page.locator("[data-profile]")).to_be_visible()
    page.context.set_offline(True)
    save_name(page, "Ada")
    expect(page.locator("[data-profile] [data-message]")).to_contain_text("cannot be reached", timeout=15 * SECONDS)
    expect(page.locator("#name")).to_have_value("Ada")
    page.context.set_offline(False)
    saved(page)


def test_what_is_typed_while_a_name_is_saved_stays(sigma: Portal, alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    expect(page.locator("[data-profile]")).to_be_visible()
    page.context.set_offline(True)
    save_name(page, "Ada")
    page.fill("#name", "Ada Lovelace")
    page.context.set_offline(False)
    saved(page, "Saved, but for what you typed since.")
    expect(page.locator("#name")).to_have_value("Ada Lovelace")
    assert name_of(sigma, alice) == "Ada"
    page.get_by_role("button", name="Save").click()
    saved(page)
    assert name_of(sigma, alice) == "Ada Lovelace"


def test_an_answer_that_is_late_does_not_lock_the_form_nor_contradict_itself(
    sigma: Portal, alice: Somebody, signed_in: SignedIn
):
    page = signed_in(alice)
    form = page.locator("[data-profile]")
    expect(form).to_be_visible()
    page.context.set_offline(True)
    save_name(page, "Ada")
    expect(form).to_have_attribute("aria-busy", "true")
    expect(page.locator("[data-profile] [data-message]")).to_contain_text("cannot be reached", timeout=15 * SECONDS)
    expect(form).not_to_have_attribute("aria-busy", "true")
    save_name(page, "Bea")
    expect(form).to_have_attribute("aria-busy", "true")
    page.context.set_offline(False)
    saved(page)
    expect(page.locator("#name")).to_have_value("Bea")
    assert name_of(sigma, alice) == "Bea"


def name_of(sigma: Portal, who: Somebody) -> str | None:
    """The name that is stored."""
    with sigma.database() as connection:
        (name,) = connection.execute("select name from profiles where id = %s", [who.id]).fetchone() or ("nobody",)
    return name
