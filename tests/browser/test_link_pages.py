"""The pages behind the links in our mails: complete, accessible and usable in every state, without a script, too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import meta
from playwright.sync_api import BrowserContext, Page, Route, expect

from sigma_app.frontend import build, templates
from sigma_app.frontend.static import MemoryFiles
from tests.browser.link_samples import CODE, CONFIRM, ERASE, INVITATION, PLACE, SAMPLES, SHARE_URL, UNSUBSCRIBE
from tests.browser.test_pages import assert_accessible
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

VALUES = {
    "confirm": {*CONFIRM, "state"},
    "code": {*CODE},
    "place": {*PLACE},
    "unsubscribe": {*UNSUBSCRIBE, "state"},
    "erase": {*ERASE, "state"},
    "invitation": {*INVITATION, "state"},
}
every_sample = pytest.mark.parametrize("sample", SAMPLES)

NewContext = Callable[..., BrowserContext]
Screenshot = Callable[[Page, str], Path]
Show = Callable[..., None]


@pytest.fixture(scope="module")
def pages(sigma: Sigma) -> MemoryFiles:
    return MemoryFiles(build.ensure_built(lambda _: None), sigma.base_url)


@pytest.fixture
def show(pages: MemoryFiles) -> Show:
    """Show a sample as the server would answer with it: the template filled in, at an address of the served build."""

    def show(page: Page, sample: str, **values: object) -> None:
        name, known = SAMPLES[sample]
        answer = templates.respond(pages, f"/templates/{name}", known | values)
        headers = {**answer.headers, "referrer-policy": "no-referrer"}
        page.route("**/link/*", lambda route: route.fulfill(body=bytes(answer.body), headers=headers))
        page.goto(f"/link/{sample}")

    return show


@pytest.mark.parametrize("name", VALUES)
def test_a_template_asks_for_exactly_the_values_that_it_is_given(pages: MemoryFiles, name: str):
    source = templates._source(pages.text(f"/templates/{name}"))
    assert meta.find_undeclared_variables(templates._environment(pages).parse(source)) == VALUES[name]


@pytest.mark.parametrize("name", VALUES)
def test_nobody_gets_a_template_as_it_is(page: Page, name: str):
    for address in (f"/templates/{name}", f"/templates/{name}/", f"/templates/{name}.html"):
        assert page.request.get(address).status == 404
    assert f"/templates/{name}" not in page.request.get("/sitemap.xml").text()


@every_sample
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_violation_and_nothing_is_wider_than_the_screen(
    new_context: NewContext, screenshot: Screenshot, show: Show, sample: str, scheme: str
):
    page = new_context(color_scheme=scheme, reduced_motion="reduce").new_page()
    show(page, sample)
    for width in (1280, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        screenshot(page, f"link-{sample}-{width}-{scheme}")
    assert_accessible(page)


@pytest.mark.parametrize("width", [768, 1024, 2560])
@pytest.mark.parametrize("sample", ["place", "place-large", "code-refused", "erase-valid"])
def test_nothing_is_wider_than_other_screens(new_context: NewContext, show: Show, sample: str, width: int):
    page = new_context(viewport={"width": width, "height": 800}).new_page()
    show(page, sample)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@every_sample
def test_a_page_is_whole_without_javascript(new_context: NewContext, show: Show, sample: str):
    page = new_context(java_script_enabled=False).new_page()
    show(page, sample)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    assert "Sigma" in page.title()
    assert page.locator("meta[name=robots]").get_attribute("content") == "noindex"
    assert not re.search("[⟦⟧]|<!-- -->", page.content())
    assert not re.search(r"\b(None|undefined|Undefined)\b", page.locator("main").inner_text())
    for form in page.locator("form").all():
        assert form.get_attribute("method") == "post"
        assert (form.get_attribute("action") or "").startswith("/")
        expect(form.get_by_role("button")).to_have_count(1)
        expect(form.get_by_role("button")).to_be_visible()


@pytest.mark.parametrize("sample", ["confirm-valid", "code", "code-refused", "place", "erase-valid"])
def test_the_keyboard_reaches_everything_in_reading_order_and_is_seen(page: Page, show: Show, sample: str):
    show(page, sample)
    page.evaluate("document.activeElement.blur()")
    expected = page.evaluate(
        """() => { window.stops = [...document.querySelectorAll("a[href], button, input")]
            .filter((element) => element.checkVisibility()); return stops.length; }"""
    )
    page.locator("body").evaluate("body => { body.tabIndex = -1; body.focus(); }")
    for stop in range(expected):
        page.keyboard.press("Tab")
        assert page.evaluate("stops.indexOf(document.activeElement)") == stop
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


@pytest.mark.parametrize("sample", ["confirm-valid", "place", "code"])
def test_a_page_loads_no_module_and_complains_of_nothing(
    page: Page, show: Show, console_errors: list[str], sample: str
):
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    show(page, sample)
    page.mouse.click(1, 1)
    page.wait_for_timeout(300)
    assert [url for url in requested if url.endswith(".js")] == []
    assert console_errors == []


def test_a_form_is_taken_for_one_of_ours_and_tells_nobody_the_address_it_is_on(page: Page, show: Show):
    show(page, "confirm-valid", action="/join")  # any door of ours
    with page.expect_response("**/join") as answer:
        page.get_by_role("button", name="Confirm my place").click()
    assert answer.value.status == 422  # not 403, which is for other sites
    assert "/link/" not in (answer.value.request.all_headers().get("referer") or "")


def test_a_double_click_sends_once_and_coming_back_finds_a_button_that_works(page: Page, show: Show):
    show(page, "unsubscribe-valid")
    sent: list[str] = []

    def answer(route: Route) -> None:
        sent.append(route.request.method)
        route.fulfill(body="<p>Answered</p>", content_type="text/html")

    page.route("**/unsubscribe/TOKEN", answer)
    page.get_by_role("button", name="Unsubscribe me").dblclick()
    expect(page.get_by_text("Answered")).to_be_visible()
    assert sent == ["POST"]
    page.go_back()
    expect(page.get_by_role("button", name="Unsubscribe me")).to_be_enabled()


def test_a_refused_code_has_the_focus_and_its_reason_beside_it(page: Page, show: Show):
    show(page, "code-refused")
    field = page.get_by_label("The code from the mail")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(SAMPLES["code-refused"][1]["message"])
    expect(page.get_by_role("alert")).to_have_text(SAMPLES["code-refused"][1]["message"])


@pytest.mark.parametrize(
    ("typed", "fits"), [("123456", True), (" 123 456 ", True), ("12345", False), ("1234567", False), ("12345a", False)]
)
def test_a_code_is_six_digits_with_or_without_spaces(page: Page, show: Show, typed: str, fits: bool):
    show(page, "code")
    field = page.get_by_label("The code from the mail")
    field.fill(typed)
    assert field.evaluate("field => field.validity.valid") is fits
    assert field.get_attribute("autocomplete") == "one-time-code"


def test_ones_own_link_can_be_copied(new_context: NewContext, show: Show):
    context = new_context()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    show(page, "place")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == SHARE_URL


def test_without_javascript_the_link_is_there_and_no_button_that_does_nothing(new_context: NewContext, show: Show):
    page = new_context(java_script_enabled=False).new_page()
    show(page, "place")
    expect(page.get_by_role("textbox", name="Your link")).to_have_value(SHARE_URL)
    expect(page.get_by_text("Copy link")).to_be_hidden()
    for way, href in PLACE["share_links"].items():
        link = page.locator(f"a[href={json.dumps(href)}]")
        assert link.get_attribute("rel") == "noopener", way


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ("place", ["You are number 42 in line.", "41 founders are ahead", "Nobody has confirmed", "up 5 places."]),
        ("place-first", ["You are number 1 in line.", "Nobody is ahead", "One friend has confirmed"]),
        ("place-second", ["One founder is ahead", "12 friends have confirmed", "up 1 place."]),
        ("place-large", ["You are number 123,456 in line.", "123,455 founders are ahead", "is on its way to"]),
    ],
)
def test_a_place_is_told_in_whole_sentences(page: Page, show: Show, sample: str, words: list[str]):
    show(page, sample)
    told = re.sub(r"\s+", " ", page.locator("main").inner_text())
    assert [sentence for sentence in words if sentence not in told] == []


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ("place", "Your place goes to whoever stands behind you."),
        ("place-invited", "not even a reminder of the invitation"),
        ("place-signed-up", "but what you ask for"),
        ("place-unsubscribed", "And the rest?"),
    ],
)
def test_leaving_is_told_to_each_as_it_is_for_them(page: Page, show: Show, sample: str, words: str):
    show(page, sample)
    expect(page.locator("#leaving")).to_contain_text(words)
    expect(page.get_by_text("stands behind you")).to_have_count(1 if sample == "place" else 0)


def test_a_link_that_leads_nowhere_says_so_in_its_title_and_leads_on(page: Page, show: Show):
    show(page, "confirm-unknown")
    assert page.title() == "A link to nowhere · Sigma"
    assert page.get_by_role("link", name="Send me a fresh mail").get_attribute("href") == "/confirm#no-mail"
    page.unroute_all()
    show(page, "confirm-valid")
    assert page.title() == "Confirm your place · Sigma"


@pytest.mark.parametrize(
    ("sample", "button"),
    [
        ("confirm-used", "Mail me my place"),
        ("confirm-expired", "Send me a fresh mail"),
        ("confirm-sent", "Send me a fresh mail"),
    ],
)
def test_a_link_past_its_time_has_a_button_for_another_mail(page: Page, show: Show, sample: str, button: str):
    show(page, sample)
    expect(page.locator("main form").get_by_role("button", name=button)).to_be_enabled()


def test_the_sum_of_the_line_adds_up(page: Page, show: Show):
    for sample in ("place", "place-first", "place-second", "place-large"):
        show(page, sample)
        *parts, total = (int(text.replace(",", "")) for text in page.locator(".place-sum dd").all_inner_texts())
        assert sum(parts) == total
        page.unroute_all()


@pytest.mark.parametrize("path", ["/joined", "/join", "/"])
def test_whoever_has_joined_finds_the_page_for_the_code(page: Page, path: str):
    page.goto("/joined")  # remembers it
    page.goto(path)
    link = page.get_by_role("link", name="Type it here.").first
    expect(link).to_be_visible()
    assert link.get_attribute("href") == "/confirm"
