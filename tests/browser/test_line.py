"""From joining to a place in line and out again, through the mailbox, as a person does it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.request import urlopen

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.sigma import Sigma

pytestmark = pytest.mark.browser

NewContext = Callable[..., BrowserContext]


def mails(sigma: Sigma, email: str) -> list[dict]:
    """What the mailbox holds for `email`, newest first."""
    with urlopen(f"{sigma.base_url}/dev/mailbox.json", timeout=10) as answer:  # noqa: S310 - an http address of our own
        return [mail for mail in json.load(answer) if mail["to"].lower() == email.lower()]


def link(page: Page, sigma: Sigma, email: str, to: str) -> str:
    """The path of the newest link to `to` in a mail to `email`, once it has come."""
    pattern = re.compile(rf"http://localhost:{sigma.port}(/{to}/[\w-]+)")  # tests come by another name: 127.0.0.1
    for _ in range(200):
        for mail in mails(sigma, email):
            if found := pattern.search(mail["text"]):
                return found[1]
        page.wait_for_timeout(50)
    raise AssertionError(f"no mail with a link to {to} came for {email}")


def join(page: Page, email: str, address: str = "/join") -> None:
    page.goto(address)
    page.get_by_label("Your e-mail address").first.fill(email)
    page.get_by_label("Your e-mail address").first.press("Enter")
    expect(page.get_by_text("You're on the list.").locator("visible=true").first).to_be_visible()


def confirm(page: Page, sigma: Sigma, email: str, address: str = "/join") -> None:
    """Join and confirm; ends on the page of one's place."""
    join(page, email, address)
    page.goto(link(page, sigma, email, "confirm"))
    page.get_by_role("button", name="Confirm my place").click()
    expect(page).to_have_url(re.compile("/place/"))


def test_from_joining_through_the_mailbox_to_a_place_in_line(page: Page, sigma: Sigma, email: str, screenshot):
    join(page, email)
    page.goto("/dev/mailbox")
    frame = page.frame_locator("iframe").first
    link(page, sigma, email, "confirm")
    page.reload()
    frame.get_by_role("link", name="Confirm my place").click()
    expect(page).to_have_url(re.compile("/confirm/"))
    assert sigma.leads(email)[0]["status"] == "joined"
    page.get_by_role("button", name="Confirm my place").click()
    expect(page).to_have_url(re.compile("/place/"))
    [lead] = sigma.leads(email)
    assert lead["status"] == "confirmed"
    expect(
        page.get_by_text(f"ref={lead['share_code']}").or_(page.locator(f"input[value*='{lead['share_code']}']"))
    ).not_to_have_count(0)
    screenshot(page, "place-live")


def test_all_of_it_works_without_javascript(new_context: NewContext, sigma: Sigma, email: str):
    page = new_context(java_script_enabled=False).new_page()
    page.goto("/join")
    page.get_by_label("Your e-mail address").fill(email)
    page.get_by_role("button", name="Join the waitlist").click()
    expect(page).to_have_url(re.compile("/joined$"))
    page.goto(link(page, sigma, email, "confirm"))
    page.get_by_role("button", name="Confirm my place").click()
    expect(page).to_have_url(re.compile("/place/"))


def test_the_code_from_the_mail_does_what_its_link_does(page: Page, sigma: Sigma, email: str):
    join(page, email)
    link(page, sigma, email, "confirm")
    found = re.search(r"\b(\d{3}) ?(\d{3})\b", mails(sigma, email)[0]["text"])
    assert found
    page.goto("/joined")
    page.get_by_role("link", name="Type it here").first.click()
    page.get_by_label("address").first.fill(email)
    page.get_by_label("code").fill("000000" if found[1] + found[2] != "000000" else "111111")
    page.get_by_label("code").press("Enter")
    expect(page.get_by_text("That code does not fit this address")).to_be_visible()
    expect(page.get_by_label("address").first).to_have_value(email)
    page.get_by_label("code").fill(f"{found[1]} {found[2]}")
    page.get_by_label("code").press("Enter")
    expect(page).to_have_url(re.compile("/place/"))


def test_a_friend_who_confirms_moves_one_up(new_context: NewContext, sigma: Sigma, email: str):
    page = new_context().new_page()
    confirm(page, sigma, email)
    place = page.url
    shared = sigma.leads(email)[0]["share_code"]
    friend = new_context().new_page()
    confirm(friend, sigma, f"friend-of-{email}", f"/?ref={shared}")
    page.goto(place)
    [lead] = sigma.leads(email)
    assert lead["referrals"] == 1
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"\b1\b.*friend|friend.*\b1\b|One friend", re.I | re.S))


def test_unsubscribing_and_erasing_from_the_page_of_ones_place(page: Page, sigma: Sigma, email: str):
    confirm(page, sigma, email)
    place = page.url
    page.get_by_role("link", name="Unsubscribe me").click()
    assert sigma.leads(email)[0]["status"] == "confirmed"
    page.get_by_role("button", name="Unsubscribe me").click()
    expect(page.get_by_text("We write no more.")).to_be_visible()
    page.goto(place)
    assert sigma.leads(email)[0]["status"] == "unsubscribed"
    page.get_by_role("button", name=re.compile("erase", re.I)).click()
    page.goto(link(page, sigma, email, "erase"))
    page.get_by_role("button", name=re.compile("erase", re.I)).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert sigma.leads(email) == []
    assert mails(sigma, email) == []
    page.goto(place)
    expect(page.get_by_role("main")).not_to_contain_text(email)


def test_the_back_button_after_confirming_says_that_it_is_done(page: Page, sigma: Sigma, email: str):
    confirm(page, sigma, email)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_role("button", name="Confirm my place")).to_have_count(0)


@pytest.mark.parametrize("leaving", ["unsubscribe", "erase"])
def test_the_landing_page_says_what_became_of_whoever_joined_here(page: Page, sigma: Sigma, email: str, leaving: str):
    told = page.locator("[data-joined=hero]")
    confirm(page, sigma, email, "/")
    place = page.url
    page.goto("/")
    expect(told.get_by_text("You have confirmed it.")).to_be_visible()
    expect(told.get_by_text("One step left")).to_be_hidden()
    expect(page.get_by_role("banner").get_by_role("link", name="On the list")).to_be_visible()
    page.goto(place)
    if leaving == "unsubscribe":
        page.get_by_role("link", name="Unsubscribe me").click()
    else:
        page.get_by_role("button", name=re.compile("erase", re.I)).click()
        page.goto(link(page, sigma, email, "erase"))
    page.get_by_role("button", name=re.compile(leaving, re.I)).click()
    expect(page.get_by_role("heading", name=re.compile("no more|Nothing is left"))).to_be_visible()
    page.goto("/")
    expect(page.locator("form[data-join=hero]")).to_be_visible()
    expect(told).to_be_hidden()


def test_another_tab_with_the_landing_page_hears_of_it(page: Page, sigma: Sigma, email: str):
    join(page, email, "/")
    told = page.locator("[data-joined=hero]")
    expect(told.get_by_text("One step left")).to_be_visible()
    mail = page.context.new_page()
    mail.goto(link(page, sigma, email, "confirm"))
    mail.get_by_role("button", name="Confirm my place").click()
    expect(told.get_by_text("You have confirmed it.")).to_be_visible()


def test_who_opens_a_place_in_a_browser_that_nobody_joined_from_leaves_nothing_there(
    new_context: NewContext, page: Page, sigma: Sigma, email: str
):
    confirm(page, sigma, email)
    elsewhere = new_context().new_page()
    elsewhere.goto(page.url)
    expect(elsewhere.get_by_role("heading", level=1)).to_be_visible()
    assert elsewhere.evaluate("localStorage.length") == 0
