"""Every public page: accessible, steady, readable at any width, in both colour schemes, without a complaint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from sigma_app.features.waitlist import intake
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

PAGES = {"landing": "/", "join": "/join", "joined": "/joined", "privacy": "/privacy", "terms": "/terms", "404": "/nix"}
INDEXED = ["/", "/join", "/privacy", "/terms"]
every_page = pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())

NewContext = Callable[..., BrowserContext]
Screenshot = Callable[[Page, str], Path]


def assert_accessible(page: Page) -> None:
    """No violation of any axe rule."""
    violations = Axe().run(page).response["violations"]
    found = {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in violations}
    assert not found, json.dumps(found, indent=1)


@every_page
@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_no_violation(
    new_context: NewContext, screenshot: Screenshot, path: str, scheme: str, width: int, request
):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = new_context(**options).new_page()
    page.goto(path)
    page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
    assert_accessible(page)
    name = next(name for name, address in PAGES.items() if address == path)
    assert screenshot(page, f"{name}-{width}-{scheme}").stat().st_size > 5_000


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_violation_in_the_forms_answers(
    new_context: NewContext, screenshot: Screenshot, email: str, scheme: str
):
    page = new_context(color_scheme=scheme, reduced_motion="reduce").new_page()
    page.goto("/join")
    field = page.get_by_label("Your e-mail address")
    field.fill("wrong")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    assert_accessible(page)
    screenshot(page, f"join-invalid-{scheme}")
    field.fill(f"{scheme}-{email}")
    field.press("Enter")
    # In place, or, where the machine is too busy for the websocket, on the page of the plain form.
    on_its_own_page = page.get_by_role("heading", level=1, name="You're on the list.")
    expect(page.locator("[data-joined=page]").or_(on_its_own_page)).to_be_visible(timeout=15_000)
    assert_accessible(page)
    screenshot(page, f"join-joined-{scheme}")


@every_page
@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1440, 2560])
def test_nothing_is_wider_than_the_screen(new_context: NewContext, path: str, width: int):
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 360])
def test_the_header_is_one_line_on_a_small_phone(new_context: NewContext, width: int):
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto("/")
    header = page.get_by_role("banner")
    mark, button = (header.get_by_role("link").first, header.get_by_role("link", name="Join the list"))
    marked, buttoned = mark.bounding_box(), button.bounding_box()
    assert marked
    assert buttoned
    assert abs(marked["y"] + marked["height"] / 2 - buttoned["y"] - buttoned["height"] / 2) < 8  # pixels


@every_page
def test_a_page_loads_and_hydrates_without_a_complaint(page: Page, console_errors: list[str], path: str):
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.mouse.click(1, 1)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    not_found = "the server responded with a status of 404"  # the browser says so of the 404 page itself
    assert [error for error in console_errors if path != "/nix" or not_found not in error] == []


@every_page
def test_a_page_reads_without_javascript(new_context: NewContext, path: str):
    page = new_context(java_script_enabled=False).new_page()
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert len(page.locator("main").inner_text()) > 80


@every_page
def test_a_page_has_a_head_of_its_own_and_keeps_it_when_it_hydrates(page: Page, sigma: Sigma, path: str):
    page.goto(path)
    page.mouse.click(1, 1)  # hydrates
    page.wait_for_load_state("networkidle")
    assert "Sigma" in page.title()
    assert page.locator("meta[name=description]").get_attribute("content")
    assert page.locator("html").get_attribute("lang") == "en"
    share = page.locator("meta[property='og:image']").get_attribute("content") or ""
    assert share == f"http://localhost:{sigma.port}/og.png"
    canonical = page.locator("link[rel=canonical]")
    if path in INDEXED:
        assert canonical.get_attribute("href") == f"http://localhost:{sigma.port}{path}"
    else:
        assert canonical.count() == 0
        assert "noindex" in (page.locator("meta[name=robots]").get_attribute("content") or "")
    for link in page.locator("link[rel=icon], link[rel=apple-touch-icon]").all():
        assert page.request.get(link.get_attribute("href") or "").ok


def test_nothing_is_fetched_from_anywhere_else(page: Page, sigma: Sigma):
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(re.sub(r"^(\w+://[^/]+).*", r"\1", request.url)))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert hosts == {sigma.base_url}


def test_a_visitor_gets_no_cookie(new_context: NewContext):
    context = new_context()
    context.new_page().goto("/")
    assert context.cookies() == []


def test_the_sitemap_lists_every_indexed_page_and_robots_names_the_sitemap(page: Page, sigma: Sigma):
    site = f"http://localhost:{sigma.port}"
    sitemap = page.request.get("/sitemap.xml")
    assert re.findall("<loc>(.*?)</loc>", sitemap.text()) == [site + path for path in INDEXED]
    assert f"Sitemap: {site}/sitemap.xml" in page.request.get("/robots.txt").text()


def test_an_unknown_address_is_a_404_with_a_way_home(page: Page):
    answer = page.goto("/no/such/page")
    assert answer is not None
    assert answer.status == 404
    page.get_by_role("link", name="Start again").click()
    expect(page).to_have_url(re.compile(r"/$"))


@pytest.mark.parametrize("path", ["/_event/nix", "/assets/nix.js", "/founders.json/x", "/.env", "/%2e%2e/etc/passwd"])
def test_what_is_not_there_is_not_there(page: Page, path: str):
    assert page.request.get(path).status in {400, 404}


def test_an_address_with_a_slash_at_its_end_leads_to_the_page(page: Page, sigma: Sigma):
    answer = page.request.get("/join/?utm_source=x", max_redirects=0)
    assert (answer.status, answer.headers["location"]) == (308, "/join?utm_source=x")


def test_the_skip_link_leads_past_the_header(page: Page):
    page.goto("/")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_contain_text(re.compile("skip", re.IGNORECASE))
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_focus_can_be_seen_wherever_it_goes(page: Page):
    page.goto("/")
    unseen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        outlined = page.evaluate(
            """() => { const style = getComputedStyle(document.activeElement);
                return document.activeElement === document.body || style.outlineStyle !== "none"
                    || style.boxShadow !== "none"; }"""
        )
        if not outlined:
            unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
    assert unseen == []


MOTIONS = """() => [...document.querySelectorAll("*")]
    .flatMap((element) => [null, "::before", "::after"].map((part) => getComputedStyle(element, part)))
    .filter((style) => style.animationName !== "none")
    .map((style) => parseFloat(style.animationDelay) + parseFloat(style.animationDuration))"""


def test_the_night_has_entered_within_a_moment_and_whoever_wants_less_motion_gets_none(new_context: NewContext):
    lively = new_context(reduced_motion="no-preference").new_page()
    lively.goto("/")
    calm = new_context(reduced_motion="reduce").new_page()
    calm.goto("/")
    ends = lively.evaluate(MOTIONS)
    assert len(ends) == lively.locator(".night-line").count()
    assert 0 < max(ends) <= 0.8
    assert calm.evaluate(MOTIONS) == []


@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_shifts_while_the_page_loads_and_the_form_answers(new_context: NewContext, email: str, width: int):
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    page.add_init_script(
        """window.shifts = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries())
            window.shifts += entry.value; }).observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto("/")
    form = page.locator("form[data-join=hero]")
    form.get_by_label("Your e-mail address").fill("wrong")
    form.get_by_role("button").click()
    expect(page.locator("#hero-status")).not_to_be_empty()
    form.get_by_label("Your e-mail address").fill(email)
    form.get_by_role("button").click()
    expect(page.locator("[data-joined=hero]")).to_be_visible()
    assert page.evaluate("window.shifts") < 0.01
    page.reload()
    page.locator("[data-joined=hero]").get_by_role("button", name="Use another address").click()
    expect(form).to_be_visible()
    assert page.evaluate("window.shifts") < 0.01


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280])
def test_every_state_of_the_form_takes_the_same_room(new_context: NewContext, width: int):
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    page.goto("/")
    height = "document.querySelector('.join').offsetHeight"
    idle = page.evaluate(height)
    longest = intake._limited(59 * 60).message
    page.locator("#hero-status").evaluate("(status, reason) => { status.textContent = reason; }", longest)
    assert page.evaluate(height) == idle
    page.evaluate("document.documentElement.toggleAttribute('data-on-the-list')")
    expect(page.locator("[data-joined=hero]")).to_be_visible()
    assert page.evaluate(height) == idle


def open_websocket(sigma: Sigma, origin: str | None) -> ClientConnection:
    address = f"ws://127.0.0.1:{sigma.port}/_event/?EIO=4&transport=websocket"
    return connect(address, origin=Origin(origin.format(sigma.port)) if origin else None)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{}", "http://localhost:{}", None])
def test_our_own_pages_may_open_our_websocket(sigma: Sigma, origin: str | None):
    with open_websocket(sigma, origin) as socket:
        assert str(socket.recv(timeout=10)).startswith("0{")  # Engine.IO's open packet


@pytest.mark.parametrize("origin", ["http://evil.test", "http://127.0.0.1:1", "null", "http://["])
def test_another_site_may_not(sigma: Sigma, origin: str):
    with pytest.raises(InvalidStatus):
        open_websocket(sigma, origin)


def test_no_answer_of_ours_is_open_to_other_sites(page: Page):
    for path in ("/", "/founders.json", "/ping", "/favicon.svg"):
        headers = page.request.get(path, headers={"origin": "https://evil.example"}).headers
        assert "access-control-allow-origin" not in headers
