"""Arriving by a link from one of auth's mails: what it carries leaves the address at once, and the page says what
became of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from sigma_app.features.accounts.arrival import OUTCOMES
from tests.browser.conftest import until
from tests.browser.test_line import mails
from tests.browser.test_pages import assert_accessible
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

SECRET = "c2VjcmV0LXRva2Vu"
FLOW_CODE = "0b8f6a3e-55ad-4c1e-9a6b-6f1f4c1d2e3f"
SESSION = f"access_token={SECRET}&expires_at=1&expires_in=3600&refresh_token={SECRET}&sb=&token_type=bearer"
EXPIRED = "error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired"
BANNED = "error=access_denied&error_code=user_banned&error_description=User+is+banned"
HALF = "message=Confirmation+link+accepted.+Please+proceed"
ARRIVALS = {
    "signup": (f"/#{SESSION}&type=signup", "confirmed"),
    "invite": (f"/#{SESSION}&type=invite", "confirmed"),
    "change of address": (f"/#{SESSION}&type=email_change", "confirmed"),
    "magic link": (f"/#{SESSION}&type=magiclink", "worked"),
    "recovery": (f"/#{SESSION}&type=recovery", "recovery"),
    "flow": (f"/?code={FLOW_CODE}", "worked"),
    "first half": (f"/#{HALF}&sb=", "half"),
    "first half of a flow": (f"/?{HALF}#{HALF}&sb=", "half"),
    "expired": (f"/#{EXPIRED}&sb=", "over"),
    "expired in a flow": (f"/?{EXPIRED}#{EXPIRED}&sb=", "over"),
    "expired, fragment lost": (f"/?{EXPIRED}", "over"),
    "banned": (f"/#{BANNED}&sb=", "failed"),
    "after an anchor": (f"/#price#{SESSION}&type=signup", "confirmed"),
    "another page": (f"/join#{SESSION}&type=signup", "confirmed"),
    "a page that is not there": (f"/nix#{SESSION}&type=signup", "confirmed"),
}
every_arrival = pytest.mark.parametrize(("address", "outcome"), ARRIVALS.values(), ids=ARRIVALS.keys())

STORED = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, history.state, document.cookie])"

NewContext = Callable[..., BrowserContext]
Screenshot = Callable[[Page, str], Path]


def note(page: Page):
    return page.locator("[data-arrival]")


def hydrate(page: Page) -> None:
    """Touch the page, and wait until React has it."""
    page.mouse.click(1, 400)
    until(page, "Object.keys(document.querySelector('main')).some((key) => key.startsWith('__react'))")
    page.wait_for_load_state("networkidle")


@every_arrival
def test_the_address_is_clean_and_the_page_says_what_became_of_the_link(page: Page, address: str, outcome: str):
    page.goto(address)
    assert urlsplit(page.url)[2:] == (urlsplit(address).path, "", "")
    expect(note(page)).to_be_visible()
    assert note(page).inner_text().split("\n")[0] == OUTCOMES[outcome]
    expect(note(page)).to_be_focused()
    if "/nix" not in address:  # which stays as the server wrote it
        hydrate(page)
    assert urlsplit(page.url)[2:] == (urlsplit(address).path, "", "")
    expect(note(page)).to_be_visible()
    assert SECRET not in page.evaluate(STORED)
    assert FLOW_CODE not in page.evaluate(STORED)


def test_no_other_script_sees_what_the_address_carried(page: Page, email: str):
    """The form tells where the visitor came in."""
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda payload: sent.append(str(payload))))
    page.on("request", lambda request: sent.append(request.url + (request.post_data or "")))
    page.goto(f"/?utm_source=mail#{SESSION}&type=signup")
    form = page.locator("form[data-join=hero]")
    form.get_by_label("Your e-mail address").fill(email)
    form.get_by_role("button").click()
    expect(page.locator("[data-joined=hero]")).to_be_visible()
    assert page.url.endswith("/?utm_source=mail")
    assert any(email in message for message in sent)
    seen = [message for message in sent if SECRET in message and not message.startswith(f"{page.url}#")]
    assert seen == []
    assert SECRET not in page.evaluate(STORED)


def test_going_back_and_forth_brings_nothing_back(page: Page):
    page.goto("/terms")
    page.goto(f"/#{SESSION}&type=signup")
    page.goto("/privacy")
    page.go_back()
    expect(page).to_have_url(re.compile(r"/$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"/terms$"))
    page.go_forward()
    expect(page).to_have_url(re.compile(r"/$"))
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(note(page)).to_be_hidden()


@pytest.mark.parametrize("hydrated", [False, True], ids=["before", "after"])
def test_an_address_that_is_pasted_into_the_open_page_is_cleaned_as_well(page: Page, hydrated: bool):
    page.goto("/")
    if hydrated:
        hydrate(page)
    page.evaluate(f"location.hash = '{SESSION}&type=signup'")
    expect(note(page)).to_be_focused()
    assert urlsplit(page.url)[2:] == ("/", "", "")
    assert SECRET not in page.evaluate(STORED)
    page.go_back()
    assert urlsplit(page.url)[2:] == ("/", "", "")


@pytest.mark.parametrize("address", ["/", "/#price", "/?code=SUMMER", "/?error=1", "/?utm_source=x&message=hi#parts"])
def test_an_address_that_carries_nothing_stays_as_it_is(page: Page, sigma: Sigma, address: str):
    page.goto(address)
    assert page.url == sigma.base_url + address
    expect(note(page)).to_be_hidden()


def test_what_else_the_query_says_stays(page: Page):
    page.goto(f"/?utm_source=a%20b&code={FLOW_CODE}&ref=x")
    assert urlsplit(page.url)[2:] == ("/", "utm_source=a+b&ref=x", "")


@pytest.mark.parametrize("hydrated", [False, True], ids=["before", "after"])
def test_the_note_can_be_closed_by_keyboard_and_leaves_the_focus_at_the_content(page: Page, hydrated: bool):
    if not hydrated:
        page.route("**/assets/*.js", lambda route: route.abort())
    page.goto(f"/#{EXPIRED}")
    if hydrated:
        hydrate(page)
    note(page).focus()
    page.keyboard.press("Tab")
    close = note(page).get_by_role("button", name="Close")
    expect(close).to_be_focused()
    assert close.evaluate("button => getComputedStyle(button).outlineStyle") != "none"
    page.keyboard.press("Enter")
    expect(note(page)).to_be_hidden()
    expect(page.locator("main")).to_be_focused()
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_violation_and_the_note_fits_every_screen(
    new_context: NewContext, screenshot: Screenshot, scheme: str
):
    page = new_context(color_scheme=scheme, reduced_motion="reduce").new_page()
    for outcome, address in {outcome: address for address, outcome in ARRIVALS.values()}.items():
        page.goto("/terms")
        page.goto(address if outcome != "confirmed" else f"/#{SESSION}&type=signup")
        for width in (320, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            screenshot(page, f"arrival-{outcome}-{width}-{scheme}")
            assert_accessible(page)


def test_the_note_moves_nothing_and_is_still(new_context: NewContext):
    page = new_context(viewport={"width": 320, "height": 800}, reduced_motion="reduce").new_page()
    page.add_init_script(
        """window.shifts = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries())
            window.shifts += entry.value; }).observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto(f"/#{SESSION}&type=recovery")
    expect(note(page)).to_be_visible()
    hydrate(page)
    assert page.evaluate("window.shifts") < 0.01
    assert page.evaluate("document.getAnimations().length") == 0


def test_it_hydrates_without_a_complaint(page: Page, console_errors: list[str]):
    page.goto(f"/#{SESSION}&type=signup")
    hydrate(page)
    page.wait_for_timeout(500)
    assert console_errors == []


def test_the_mail_of_a_sign_up_leads_to_a_page_that_says_so_and_the_second_time_that_it_was_used(
    page: Page, sigma: Sigma, email: str
):
    asked = {"email": email, "password": "correct horse"}
    headers = {"apikey": sigma.assignments["VITE_SUPABASE_ANON_KEY"]}
    assert page.request.post("/auth/v1/signup", data=asked, headers=headers).ok
    mailed = link(page, sigma, email)
    for outcome in ("confirmed", "over"):
        page.goto(mailed)
        expect(page).to_have_url(f"http://localhost:{sigma.port}/")
        expect(note(page)).to_have_text(re.compile(re.escape(OUTCOMES[outcome])), use_inner_text=True)


def link(page: Page, sigma: Sigma, email: str) -> str:
    """The link in the mail to `email`, once it has come."""
    for _ in range(200):
        for mail in mails(sigma, email):
            return re.findall(r"^http\S+/auth/v1/verify\S+$", mail["text"], re.MULTILINE)[0]
        page.wait_for_timeout(50)
    raise AssertionError(f"no mail came for {email}")
