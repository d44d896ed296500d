"""Getting in and back in, as people do it: the pages, the mails, and what is said when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts.conftest import PASSWORD, Mailbox, Portal, Somebody

pytestmark = pytest.mark.browser

NEW_PASSWORD = "another fine night of sleep"
SignIn = Callable[[Page, Somebody], Page]


def submit(page: Page) -> None:
    page.locator("main .door-button").first.click()


def ask(page: Page, path: str, email: str, password: str = "") -> None:
    """Fill in the form of a page, and send it."""
    page.goto(path)
    page.fill("input[name=email]", email)
    if password:
        page.fill("input[name=password]", password)
    submit(page)


def test_from_signing_up_to_the_profile_by_the_mails_button(page: Page, charlie: Somebody, mailbox: Mailbox):
    page.goto("/account")
    expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Faccount$"))
    page.get_by_role("link", name="Make an account").click()
    page.fill("input[name=email]", charlie.email)
    page.fill("input[name=password]", "password1")
    expect(page.locator(".strength")).to_contain_text("guessed at once")
    submit(page)
    expect(page.get_by_role("alert")).to_contain_text("guessed at once")
    expect(page.locator("input[name=password]")).to_be_focused()
    expect(page.locator(".strength")).to_be_empty()  # once is enough
    expect(page.locator("input[name=email]")).to_have_value(charlie.email)
    page.fill("input[name=password]", PASSWORD)
    submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox.")
    page.goto(mailbox.next(charlie.email).link)
    submit(page)
    expect(page).to_have_url(re.compile(r"/account$"))
    expect(page.locator("#address .address")).to_have_text(charlie.email)


def test_what_is_wrong_is_marked_and_what_was_typed_goes_along(page: Page, alice: Somebody):
    email, password = page.locator("input[name=email]"), page.locator("input[name=password]")
    ask(page, "/sign-up", "nobody@nowhere", PASSWORD)
    expect(email).to_be_focused()
    expect(email).to_have_attribute("aria-invalid", "true")
    expect(password).not_to_have_attribute("aria-invalid", "true")
    ask(page, "/sign-in", alice.email, "not hers at all")
    expect(password).to_be_focused()
    expect(password).to_have_attribute("aria-invalid", "true")
    page.get_by_role("link", name="Forgot it?").click()
    expect(page).to_have_url(re.compile("/forgot"))
    expect(email).to_have_value(alice.email)


def test_the_code_does_what_the_button_does(page: Page, charlie: Somebody, mailbox: Mailbox):
    ask(page, "/sign-up", charlie.email, PASSWORD)
    expect(page).to_have_url(re.compile("/check-inbox"))
    page.fill("input[name=code]", "000000")
    submit(page)
    expect(page.get_by_role("alert")).to_contain_text("does not fit")
    page.fill("input[name=code]", mailbox.next(charlie.email).code)
    submit(page)
    expect(page).to_have_url(re.compile("/profile$"))


def test_who_confirms_elsewhere_chooses_the_password_that_counts(
    page: Page, new_context: Callable[..., BrowserContext], charlie: Somebody, mailbox: Mailbox, sign_in: SignIn
):
    ask(page, "/sign-up", charlie.email, PASSWORD)  # whoever this is
    elsewhere = new_context().new_page()
    elsewhere.goto(mailbox.next(charlie.email).link)
    submit(elsewhere)
    expect(elsewhere).to_have_url(re.compile(r"/reset\?type=signup"))
    ask(page, "/sign-in", charlie.email, PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    elsewhere.goto("/profile")
    expect(elsewhere).to_have_url(re.compile("/reset"))
    elsewhere.fill("input[name=password]", NEW_PASSWORD)
    submit(elsewhere)
    expect(elsewhere).to_have_url(re.compile("/profile"))
    ask(page, "/sign-in", charlie.email, PASSWORD)
    expect(page.get_by_role("alert")).to_contain_text("do not go together")


def test_a_wrong_password_and_an_unknown_address_say_the_same_and_keep_what_was_typed(
    page: Page, alice: Somebody, charlie: Somebody
):
    said = []
    for somebody in (alice, charlie):
        ask(page, "/sign-in", somebody.email, "not my password")
        expect(page.get_by_role("alert")).not_to_be_empty()
        said.append(page.get_by_role("alert").inner_text())
        expect(page.locator("input[name=email]")).to_have_value(somebody.email)
        expect(page.locator("input[name=password]")).to_have_value("not my password")
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "wished", ["//evil.example", "/\\evil.example", "https://evil.example", "/%0d%0aset-cookie:x=1"]
)
def test_nobody_is_led_to_another_site(page: Page, sigma: Portal, alice: Somebody, wished: str):
    page.goto(f"/sign-in?next={wished}")
    page.fill("input[name=email]", alice.email)
    page.fill("input[name=password]", PASSWORD)
    submit(page)
    expect(page).to_have_url(f"{sigma.base_url}/profile")


def test_a_forgotten_password_is_chosen_anew_and_every_other_device_is_out(
    page: Page, alice: Somebody, mailbox: Mailbox, signed_in: Callable[..., Page], sign_in: SignIn
):
    other = signed_in(alice)
    expect(other.locator("[data-profile]")).to_be_visible()
    ask(page, "/forgot", alice.email)
    expect(page).to_have_url(re.compile("/check-inbox"))
    link = mailbox.next(alice.email).link
    page.goto(link)
    submit(page)
    expect(page).to_have_url(re.compile("/reset"))
    page.fill("input[name=password]", NEW_PASSWORD)
    submit(page)
    expect(page).to_have_url(re.compile("/profile"))
    expect(page.locator("[data-said]")).to_contain_text("Your password is changed")
    expect(other).to_have_url(re.compile("/sign-in"))
    page.goto(link)
    submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("This link has had its day.")
    expect(page.get_by_role("link", name="Get a fresh link")).to_be_visible()
    sign_in(other, Somebody(alice.email, NEW_PASSWORD))


def test_a_link_by_mail_signs_in_and_goes_on_to_where_one_wanted(page: Page, alice: Somebody, mailbox: Mailbox):
    ask(page, "/sign-in/link?next=/account", alice.email)
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox.")
    page.goto(mailbox.next(alice.email).link)
    submit(page)
    expect(page).to_have_url(re.compile("/account$"))


def test_a_known_address_is_told_by_mail_alone(page: Page, alice: Somebody, mailbox: Mailbox):
    ask(page, "/sign-up", alice.email, PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your inbox.")
    assert "already" in mailbox.next(alice.email).subject


def test_signing_in_works_without_a_script(new_context: Callable[..., BrowserContext], alice: Somebody):
    page = new_context(java_script_enabled=False).new_page()
    ask(page, "/sign-in?next=/account", alice.email, "not my password")
    expect(page.get_by_role("alert")).to_contain_text("do not go together")
    expect(page.locator("input[name=email]")).to_have_value(alice.email)
    expect(page.locator("input[name=password]")).to_have_value("")
    page.fill("input[name=password]", PASSWORD)
    submit(page)
    expect(page).to_have_url(re.compile("/account$"))


def test_the_keyboard_alone_signs_in(page: Page, alice: Somebody):
    page.goto("/sign-in")
    page.locator("input[name=email]").focus()
    page.keyboard.type(alice.email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Tab")
    expect(page.locator("[data-reveal]")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("input[name=password]")).to_have_attribute("type", "text")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/profile$"))


def test_what_a_password_manager_fills_in_is_sent(page: Page, alice: Somebody):
    """It sets the values at once, and tells of it by the events that typing ends with."""
    page.goto("/sign-in")
    for name, purpose in (("email", "username"), ("password", "current-password")):
        expect(page.locator(f"input[name={name}]")).to_have_attribute("autocomplete", purpose)
    page.evaluate(
        """([email, password]) => {
          for (const [name, value] of [["email", email], ["password", password]]) {
            const input = document.querySelector(`input[name=${name}]`);
            input.value = value;
            for (const event of ["input", "change"]) input.dispatchEvent(new Event(event, { bubbles: true }));
          }
        }""",
        [alice.email, PASSWORD],
    )
    submit(page)
    expect(page).to_have_url(re.compile("/profile$"))
    page.goto("/account")
    purposes = page.locator("form[action='/account/password'] input:not([type=hidden])")
    expect(purposes).to_have_count(3)
    assert [field.get_attribute("autocomplete") for field in purposes.all()] == [
        "username",
        "current-password",
        "new-password",
    ]


def test_while_the_network_is_away_nothing_typed_is_lost(page: Page, alice: Somebody):
    page.goto("/sign-in")
    page.fill("input[name=email]", alice.email)
    page.fill("input[name=password]", PASSWORD)
    page.context.set_offline(True)
    submit(page)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.context.set_offline(False)
    submit(page)
    expect(page).to_have_url(re.compile("/profile$"))
