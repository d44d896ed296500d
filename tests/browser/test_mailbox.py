"""The mailbox of a Sigma that nothing is configured for, in a real browser: mails are read there, and clicked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, Request, expect

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.login import login_url
from sigma_app.gateways.mail import Mail, send, sending_mail
from sigma_app.ui.mail import Letter, render
from tests.browser.test_pages import assert_accessible
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

NewContext = Callable[..., BrowserContext]
Screenshot = Callable[[Page, str], Path]


def deliver(sigma: Sigma, *mails: Mail) -> None:
    """Send mails from this process into that Sigma's mailbox, and none else's."""

    async def deliver_all() -> None:
        with sigma.database() as owner:
            owner.execute("delete from sigma.mailbox")
        async with Database(login_url(sigma.assignments["DATABASE_URL"]), pool_size=2) as database:
            with serve_requests_from(database):
                async with sending_mail():
                    for number, mail in enumerate(mails):
                        await send(mail, f"test/{number}")

    # In a thread of its own: Playwright's event loop runs in this one
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, deliver_all()).result()


def letter(sigma: Sigma, subject: str = "Confirm your address") -> Mail:
    rendered = render(
        Letter(
            subject=subject,
            preheader="One click, and your place is kept.",
            heading="Keep your place",
            paragraphs=["You asked for a place on Sigma's list. Confirm that this address is yours, and it is kept."],
            action=("Confirm my address", f"{sigma.base_url}/privacy"),
            code="482 913",
            notes=["The link works for 24 hours. If it was not you, do nothing: the address is then forgotten."],
            unsubscribe=f"{sigma.base_url}/terms",
        )
    )
    return Mail("alice@example.com", *rendered, headers={"List-Unsubscribe": f"<{sigma.base_url}/terms>"})


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [320, 700, 1280])
def test_axe_finds_no_violation_and_nothing_is_wider_than_the_screen(
    sigma: Sigma, new_context: NewContext, screenshot: Screenshot, scheme: str, width: int
):
    page = new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    deliver(sigma)
    page.goto("/dev/mailbox")
    expect(page.get_by_role("heading", name="No mail yet")).to_be_visible()
    assert_accessible(page)
    deliver(sigma, letter(sigma), letter(sigma, "A word " + "that_is_rather_long" * 8))
    page.reload()
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    expect(page.frame_locator("iframe").first.get_by_role("heading", name="Keep your place")).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"mailbox-{width}-{scheme}")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [320, 375, 700])
def test_axe_finds_no_violation_in_a_letter(
    sigma: Sigma, new_context: NewContext, screenshot: Screenshot, scheme: str, width: int
):
    page = new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.set_content(letter(sigma).html)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"letter-{width}-{scheme}")
    # Its landmarks are those of the mail program around it
    rules = {name: {"enabled": False} for name in ("landmark-one-main", "region")}
    assert Axe().run(page, options={"rules": rules}).response["violations"] == []


def test_a_click_in_a_mail_opens_its_link_in_the_window(sigma: Sigma, page: Page, console_errors: list[str]):
    deliver(sigma, letter(sigma))
    page.goto("/dev/mailbox")
    page.frame_locator("iframe").get_by_role("link", name="Confirm my address").click()
    page.wait_for_url("**/privacy")
    assert console_errors == []


def test_a_mail_is_opened_and_followed_with_the_keyboard_alone(sigma: Sigma, page: Page):
    deliver(sigma, letter(sigma, "The older one"), letter(sigma, "The newer one"))
    page.goto("/dev/mailbox")
    frames = page.locator("iframe")
    expect(frames.nth(0)).to_be_visible()
    expect(frames.nth(1)).to_be_hidden()
    page.locator(".mail > summary").nth(1).focus()
    page.keyboard.press("Enter")
    letter_shown = page.frame_locator("iframe").nth(1)
    expect(letter_shown.get_by_role("link", name="Confirm my address")).to_be_visible()
    # The focus passes from one document to the other, which takes its time: a key before that is nobody's.
    page.keyboard.press("Tab")
    expect(letter_shown.locator("a:focus")).to_have_text("Confirm my address")
    page.keyboard.press("Enter")
    page.wait_for_url("**/privacy")


@pytest.mark.smuggles
def test_a_mail_runs_nothing_and_sends_nothing(sigma: Sigma, page: Page):
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    html = (
        "<p>Hello</p><script>top.document.title = 'mine'</script><img src='/og.png' alt='Sun' onerror='top.mine = 1'>"
        f"<form action='{sigma.base_url}/join' method=post><button>Send</button></form>"
    )
    deliver(sigma, Mail("alice@example.com", "Hello", html, "Hello"))
    page.goto("/dev/mailbox")
    page.frame_locator("iframe").get_by_role("button", name="Send").click()
    expect(page).to_have_title("Mailbox · Sigma")
    picture = page.frame_locator("iframe").get_by_alt_text("Sun")
    expect(picture).to_have_js_property("complete", True)
    expect(picture).to_have_js_property("naturalWidth", 0)  # the driver does not see all that a frame asks for
    own = {f"{sigma.base_url}/dev/mailbox", f"{sigma.base_url}/favicon.svg"}  # the icon is the browser's own wish
    refused = "csp"  # by the browser itself, before anything was sent
    assert {request.url for request in asked if request.failure != refused} <= own


@pytest.mark.parametrize(
    "variables",
    [
        {"SIGMA_ENV": "production", "SIGMA_ALLOW_LOCAL": "database,auth,payments,mail"},
        {"RESEND_API_KEY": "re_123", "MAIL_FROM": "hello@sigma.example.com"},
    ],
    ids=["production", "hosted"],
)
def test_there_is_no_mailbox_in_production_or_where_mail_is_hosted(tmp_path: Path, variables: dict[str, str]):
    sigma = Sigma(tmp_path / "data", variables=variables)
    sigma.variables["BASE_URL"] = sigma.base_url
    try:
        sigma.start()
        for path in ("/dev/mailbox", "/dev/mailbox.json"):
            assert httpx.get(sigma.base_url + path).status_code == 404
    finally:
        sigma.remove()
