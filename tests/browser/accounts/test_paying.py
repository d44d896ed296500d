"""Paying in a real browser, from sign-up to the members' home and out again; Stripe is the sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sigma_app.features.billing.catalogue import OPEN_TODAY, TODAY
from tests.browser.accounts.conftest import Mailbox, Somebody
from tests.browser.accounts.test_looks import look, look_at_large_text

pytestmark = pytest.mark.browser

SECONDS = 15_000  # ms for what a job has to do first
SignedIn = Callable[..., Page]
POST = """(plan) => fetch('/billing/checkout', {
  method: 'POST', headers: { accept: 'application/json' }, body: new URLSearchParams({ plan }),
}).then((answer) => answer.json())"""
"""What a page that was left open, or somebody who writes the form themselves, sends."""


def heading(page: Page, words: str | re.Pattern[str]) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(words, timeout=SECONDS)


def choose(page: Page, price: str) -> None:
    """On to the checkout of the plan with this price."""
    page.goto("/billing")
    page.locator(".plans > li", has_text=price).get_by_role("button").click()
    page.wait_for_url("**/sandbox/checkout/**")


def press(page: Page, label: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=label).first.click()


def pay(page: Page, price: str, how: str = "Pay") -> None:
    choose(page, price)
    page.get_by_role("button", name=how, exact=True).click()
    page.wait_for_url("**/billing/thanks**")


@pytest.fixture
def member(alice: Somebody, signed_in: SignedIn) -> Page:
    """Alice's page, who has paid once and for good."""
    page = signed_in(alice)
    pay(page, "$690.00")
    heading(page, "Thank you. You are in.")
    return page


def test_from_sign_up_through_payment_to_the_members_home(page: Page, charlie: Somebody, mailbox: Mailbox):
    page.goto("/sign-up")
    page.fill("input[name=email]", charlie.email)
    page.fill("input[name=password]", charlie.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/check-inbox**")
    page.goto(mailbox.next(charlie.email, "confirm").link)
    page.locator("main form").get_by_role("button").click()
    page.wait_for_url("**/profile")
    page.get_by_role("navigation", name="Portal").get_by_role("link", name="Home").click()
    heading(page, "This door takes a plan.")
    page.locator(".plans > li", has_text="$29.00").get_by_role("button").click()
    page.wait_for_url("**/sandbox/checkout/**")
    expect(page.get_by_text("no money moves").first).to_be_visible()
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url("**/billing/thanks**")
    heading(page, "Thank you. You are in.")
    expect(page.get_by_text(OPEN_TODAY)).to_be_visible()
    page.get_by_role("link", name="Go in").click()
    heading(page, "Good morning, CEO.")
    expect(page.get_by_role("heading", name="Paperwork")).to_be_visible()
    assert "/app" in mailbox.next(charlie.email, "You are in").link
    page.goto("/billing")
    heading(page, "Paid up.")
    expect(page.locator(".changes > li")).to_have_count(1)
    expect(page.locator(".changes > li")).to_contain_text("Your subscription is paid. (Sigma, $29.00 a month)")


def test_declined_and_tried_again(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    choose(page, "$290.00")
    press(page, "Decline the card")
    expect(page.get_by_text(re.compile("declined", re.IGNORECASE)).first).to_be_visible()
    page.get_by_role("button", name="Pay", exact=True).click()
    heading(page, "Thank you. You are in.")


def test_confirmed_at_the_bank_or_not(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    choose(page, "$29.00")
    press(page, "Pay with 3-D Secure")
    press(page, "No")
    expect(page.get_by_role("button", name="Pay", exact=True)).to_be_visible()
    press(page, "Pay with 3-D Secure")
    press(page, "Yes, it is me")
    heading(page, "Thank you. You are in.")


def test_a_bank_debit_is_waited_for_and_opens_the_door_live(
    alice: Somebody, signed_in: SignedIn, new_context: Callable[..., BrowserContext]
):
    page = signed_in(alice)
    pay(page, "$690.00", "Pay later by bank debit")
    heading(page, "Thank you. It is on its way.")
    page.goto("/app")
    heading(page, "This door takes a plan.")
    expect(page.get_by_text("We mail you when it is through")).to_be_visible(timeout=SECONDS)
    expect(page.locator(".plans")).to_have_count(0)
    dashboard = new_context().new_page()
    dashboard.goto("/dev/stripe")
    press(dashboard, re.compile("comes in", re.IGNORECASE))
    heading(page, "Good morning, CEO.")


def test_giving_up_charges_nothing_and_says_so(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    choose(page, "$29.00")
    page.get_by_role("link", name=re.compile("Back")).first.click()
    page.wait_for_url("**/billing")
    expect(page.locator("[data-said]")).to_have_text("Nothing was charged. Your plans are still here.")
    choose(page, "$29.00")
    page.go_back()
    heading(page, "Nothing to pay yet.")
    page.locator(".plans > li", has_text="$290.00").get_by_role("button").click()
    page.wait_for_url("**/sandbox/checkout/**")


def test_canceled_and_resumed(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    pay(page, "$29.00")
    heading(page, "Thank you. You are in.")
    turns = {
        "Cancel at the period's end": ("Canceled: everything stays open until", "Paid until"),
        "Keep the plan": ("The next payment is due", "Paid up."),
    }
    for button, (words, headline) in turns.items():
        page.goto("/billing")
        press(page, "Manage at Stripe")
        page.wait_for_url("**/sandbox/portal/**")
        press(page, button)
        page.get_by_role("link", name=re.compile("Back")).first.click()
        page.wait_for_url("**/billing")
        expect(page.get_by_text(words)).to_be_visible(timeout=SECONDS)
        heading(page, re.compile(headline))
        expect(page.get_by_text("Your subscription is paid.", exact=True)).to_have_count(
            1 if headline == "Paid up." else 0
        )


def test_who_is_refunded_loses_the_open_page(
    member: Page, alice: Somebody, new_context: Callable[..., BrowserContext], mailbox: Mailbox
):
    member.goto("/app")
    heading(member, "Good morning, CEO.")
    other = member.context.new_page()
    other.goto("/billing")
    heading(other, "Paid up.")
    dashboard = new_context().new_page()
    dashboard.goto("/dev/stripe")
    press(dashboard, "Give all back")
    heading(member, "This door takes a plan.")
    expect(member.locator("[data-inside]")).to_have_count(0)
    heading(other, "No access.")
    expect(other.locator(".changes > li").first).to_contain_text("You got your money back.")
    assert "You got your money back." in mailbox.next(alice.email, "access to Sigma has ended").text


def test_signing_out_closes_the_members_home(member: Page):
    member.goto("/app")
    heading(member, "Good morning, CEO.")
    press(member, "Sign out")
    member.wait_for_url("**/sign-in**")
    member.go_back()
    member.wait_for_url("**/sign-in**")


def test_two_tabs_buy_one_subscription(alice: Somebody, signed_in: SignedIn):
    first = signed_in(alice)
    second = first.context.new_page()
    choose(first, "$29.00")
    choose(second, "$29.00")
    assert first.url == second.url
    first.get_by_role("button", name="Pay", exact=True).click()
    heading(first, "Thank you. You are in.")
    second.get_by_role("button", name="Pay", exact=True).click()
    second.goto("/billing")
    heading(second, "Paid up.")
    expect(second.locator(".plans > li")).to_have_count(1)
    expect(second.locator(".plans > li")).to_contain_text("Sigma, for good")


def test_a_stale_page_is_refused_a_second_subscription_in_words(alice: Somebody, signed_in: SignedIn):
    stale = signed_in(alice)
    stale.goto("/billing")
    expect(stale.locator(".plans > li")).to_have_count(3)
    fresh = stale.context.new_page()
    fresh.goto("/billing")
    pay(fresh, "$29.00")
    heading(fresh, "Thank you. You are in.")
    said = stale.evaluate(POST, "sigma_yearly")
    assert said["message"].startswith("You have a subscription already.")
    assert stale.evaluate(POST, "price_of_mine")["message"].startswith("This plan is not for sale")


def test_somebody_elses_checkout_is_nobodys_business(member: Page, bob: Somebody, signed_in: SignedIn):
    theirs = member.url
    assert "session_id=" in theirs
    page = signed_in(bob)
    page.goto(theirs)
    heading(page, "We know no such checkout.")
    page.goto("/app")
    heading(page, "This door takes a plan.")


def test_a_visitor_signs_in_first_and_finds_the_plans(page: Page, alice: Somebody, sign_in: Callable[..., Page]):
    page.goto("/pricing")
    expect(page.locator(".plans > li")).to_have_count(3)
    page.locator(".plans > li", has_text="$29.00").get_by_role("button").click()
    page.wait_for_url("**/sign-in?next=%2Fbilling**")
    expect(page.get_by_text("The plan that you chose is kept.")).to_be_visible()
    look(page)
    page.get_by_role("link", name="Make an account").first.click()
    expect(page.get_by_text("Then you pay for the plan that you chose.")).to_be_visible()
    look(page)
    page.go_back()
    sign_in(page, alice)
    heading(page, "Nothing to pay yet.")
    expect(page.get_by_role("heading", name="your choice")).to_have_text("Sigma, by the month · your choice")


def test_from_pricing_straight_to_checkout_without_a_script(
    alice: Somebody, signed_in: SignedIn, new_context: Callable[..., BrowserContext]
):
    known = signed_in(alice).context.storage_state()
    page = new_context(java_script_enabled=False, storage_state=known).new_page()
    page.goto("/pricing")
    page.locator(".plans > li", has_text="$29.00").get_by_role("button").click()
    page.wait_for_url("**/sandbox/checkout/**")
    page.get_by_role("button", name="Pay", exact=True).click()
    page.wait_for_url("**/billing/thanks**")
    assert "This page needs JavaScript" in page.content()
    page.get_by_role("button", name="Manage what you pay at Stripe").click()
    page.wait_for_url("**/sandbox/portal/**")


def test_pricing_knows_who_is_signed_in(page: Page, alice: Somebody, sign_in: Callable[..., Page]):
    page.goto("/pricing")
    expect(page.locator("header").get_by_role("link", name="Sign in")).to_be_visible()
    page.goto("/sign-in")
    sign_in(page, alice)
    page.goto("/pricing")
    expect(page.locator("header").get_by_role("link", name="Sign in")).to_have_count(0)
    expect(page.get_by_text(TODAY)).to_be_visible()
    page.get_by_role("link", name="My account").click()
    heading(page, "This door takes a plan.")


def test_by_keyboard_alone(alice: Somebody, signed_in: SignedIn):
    page = signed_in(alice)
    page.goto("/billing")
    button = page.locator(".plans > li", has_text="$29.00").get_by_role("button")
    expect(button).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("(button) => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/sandbox/checkout/**")


def test_while_stripe_is_away_the_page_says_so_and_keeps_everything(
    alice: Somebody, signed_in: SignedIn, new_context: Callable[..., BrowserContext]
):
    page = signed_in(alice)
    page.goto("/billing")
    dashboard = new_context().new_page()
    dashboard.goto("/dev/stripe")
    dashboard.get_by_label("What they are").select_option(index=1)
    dashboard.get_by_label("How many requests").fill("30")
    press(dashboard, "Answer so")
    try:
        form = page.locator(".plans > li", has_text="$29.00")
        form.get_by_role("button").click()
        expect(form.get_by_role("alert")).to_contain_text("Stripe does not answer right now", timeout=SECONDS)
    finally:
        press(dashboard, "Do everything right again")
    form.get_by_role("button").click()
    page.wait_for_url("**/sandbox/checkout/**")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [320, 1280])
def test_every_page_is_fit_for_everybody(
    alice: Somebody, signed_in: SignedIn, screenshot: Callable[[Page, str], Path], scheme: str, width: int
):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = signed_in(alice, **options)
    for path, words in (
        ("/app", "This door takes a plan."),
        ("/billing", "Nothing to pay yet."),
        ("/pricing", "What it costs."),
    ):
        page.goto(path)
        heading(page, words)
        look(page)
        screenshot(page, f"billing-{path.strip('/')}-{width}-{scheme}")
    pay(page, "$29.00")
    heading(page, "Thank you. You are in.")
    look(page)
    screenshot(page, f"billing-thanks-{width}-{scheme}")
    for path, words in (("/app", "Good morning, CEO."), ("/billing", "Paid up.")):
        page.goto(path)
        heading(page, words)
        look(page)
        screenshot(page, f"billing-{path.strip('/')}-paid-{width}-{scheme}")
    if width == 320:
        for path in ("/app", "/billing", "/pricing"):
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            look_at_large_text(page)
