"""Joining the waitlist, as people do it: mouse, keyboard, phone, no JavaScript, bad networks, second clicks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import until
from tests.sigma import Sigma

pytestmark = pytest.mark.browser

NO_AT = "The @ is missing, as in you@example.com."
JOINED = "You're on the list. Your place is in your inbox."


def hydrated(page: Page) -> None:
    """Touch the page, so that it need not wait for a quiet moment, and return when React has its forms."""
    page.evaluate("dispatchEvent(new Event('pointerdown'))")
    until(page, "Object.keys(document.forms[0]).some((key) => key.startsWith('__reactProps'))")


def hydrate(page: Page) -> None:
    """Load the landing page and wait until React has taken its forms over."""
    page.goto("/")
    hydrated(page)


def hero(page: Page):
    return page.locator("form[data-join=hero]")


def panel(page: Page, form: str):
    """What takes the place of the form named `form` once somebody has joined."""
    return page.locator(f"[data-joined={form}]").filter(has_text=JOINED)


def fill(page: Page, email: str) -> None:
    hero(page).get_by_label("Your e-mail address").fill(email)


def press_join(page: Page) -> None:
    hero(page).get_by_role("button").click()


def test_a_visitor_joins_with_the_mouse_and_the_row_is_there(page: Page, sigma: Sigma, email: str):
    page.goto("/?utm_source=hn&utm_campaign=launch&ref=FRIEND7")
    hydrated(page)
    fill(page, email)
    press_join(page)
    expect(panel(page, "hero")).to_be_visible()
    [lead] = sigma.leads(email)
    assert (lead["utm_source"], lead["utm_campaign"], lead["referral_code"]) == ("hn", "launch", "FRIEND7")
    assert lead["consent_version"]
    assert lead["consent_at"]
    assert lead["landing_path"] == "/"


def test_where_a_visitor_came_from_survives_a_look_around(page: Page, sigma: Sigma, email: str):
    page.goto("/?utm_source=podcast&ref=FRIEND7", referer="https://pod.example/episode")
    page.get_by_role("link", name="Join the list").first.click()
    form = page.locator("form[data-join=page]")
    form.get_by_label("Your e-mail address").fill(email)
    form.get_by_role("button").click()
    expect(page.get_by_text(JOINED).first).to_be_visible()
    [lead] = sigma.leads(email)
    came = (lead["utm_source"], lead["referral_code"], lead["referrer"], lead["landing_path"])
    assert came == ("podcast", "FRIEND7", "https://pod.example/episode", "/")


def test_without_javascript_a_second_try_knows_where_the_first_came_from(
    new_context: Callable[..., BrowserContext], sigma: Sigma, email: str
):
    page = new_context(java_script_enabled=False).new_page()
    page.goto("/?utm_source=paper")
    fill(page, "wrong")
    press_join(page)
    page.locator("form[data-join=page]").get_by_label("Your e-mail address").fill(email)
    page.get_by_role("button", name="Join the waitlist").click()
    expect(page).to_have_url(f"{sigma.base_url}/joined")
    [lead] = sigma.leads(email)
    assert lead["utm_source"] == "paper"


def test_a_visitor_joins_with_the_keyboard_alone(page: Page, sigma: Sigma, email: str):
    hydrate(page)
    field = hero(page).get_by_label("Your e-mail address")
    for _ in range(20):
        page.keyboard.press("Tab")
        if field.evaluate("(element) => element === document.activeElement"):
            break
    page.keyboard.type(email)
    page.keyboard.press("Enter")
    expect(panel(page, "hero")).to_be_visible()
    expect(panel(page, "hero")).to_be_focused()
    assert len(sigma.leads(email)) == 1


def test_the_second_form_answers_where_it_was_sent(page: Page, sigma: Sigma, email: str):
    hydrate(page)
    form = page.locator("form[data-join=closing]")
    form.get_by_label("Your e-mail address").fill(email)
    form.get_by_role("button").click()
    expect(panel(page, "closing")).to_be_visible()
    expect(panel(page, "closing")).to_be_focused()
    assert len(sigma.leads(email)) == 1


def test_joining_again_in_another_case_looks_exactly_like_joining(
    new_context: Callable[..., BrowserContext], sigma: Sigma, email: str
):
    seen = []
    for spelling in (email, email.upper()):
        page = new_context().new_page()
        hydrate(page)
        fill(page, spelling)
        press_join(page)
        expect(panel(page, "hero")).to_be_visible()
        seen.append(panel(page, "hero").inner_text().replace(spelling, "what was typed"))
    assert seen[0] == seen[1]
    assert len(sigma.leads(email)) == 1


@pytest.mark.parametrize("typed", ["not-an-address", "two@@example.com", "dot@nodomain"])
def test_a_wrong_address_gets_its_reason_beside_the_field_and_stays(page: Page, typed: str):
    hydrate(page)
    fill(page, typed)
    press_join(page)
    field = hero(page).get_by_label("Your e-mail address")
    status = page.locator("#hero-status")
    expect(status).not_to_be_empty()
    expect(status).to_have_attribute("role", "status")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_attribute("aria-describedby", re.compile("hero-status"))
    expect(field).to_have_value(typed)
    expect(field).to_be_focused()
    expect(hero(page)).not_to_have_attribute("aria-busy", "true")


def test_a_corrected_address_joins(page: Page, sigma: Sigma, email: str):
    hydrate(page)
    fill(page, "oops")
    press_join(page)
    expect(page.locator("#hero-status")).not_to_be_empty()
    fill(page, f"  {email} ")
    press_join(page)
    expect(panel(page, "hero")).to_be_visible()
    assert len(sigma.leads(email)) == 1


def test_the_reason_goes_at_the_first_correction_and_comes_back_with_the_same_mistake(page: Page):
    hydrate(page)
    field = hero(page).get_by_label("Your e-mail address")
    status = page.locator("#hero-status")
    said = "document.said = []; new MutationObserver(() => document.said.push(document.querySelector('#hero-status')"
    page.evaluate(said + ".textContent)).observe(document.querySelector('#hero-status'), { childList: true })")
    fill(page, "oops")
    for _ in range(2):
        press_join(page)
        expect(status).to_have_text(NO_AT)
        expect(field).to_have_attribute("aria-invalid", "true")
        field.press("s")
        expect(status).to_be_empty()
        expect(field).to_have_attribute("aria-invalid", "false")
        expect(hero(page).locator(".founders")).to_be_visible()
    for _ in range(2):  # nothing corrected: said again all the same
        press_join(page)
        expect(status).to_have_text(NO_AT)
        until(page, "document.said.at(-1)")
    assert page.evaluate("document.said") == [NO_AT, "", NO_AT, "", NO_AT, "", NO_AT]


def test_the_reason_on_a_page_from_the_server_goes_at_the_first_correction(page: Page):
    page.route("**/assets/*.js", lambda route: route.abort())  # no hydration
    page.goto("/")
    fill(page, "oops")
    press_join(page)
    field = page.locator("form[data-join=page]").get_by_label("Your e-mail address")
    expect(page.locator("#page-status")).to_have_text(NO_AT)
    expect(field).to_have_attribute("aria-invalid", "true")
    field.press("s")
    expect(page.locator("#page-status")).to_be_empty()
    expect(field).to_have_attribute("aria-invalid", "false")


def test_a_reason_said_before_the_page_hydrates_survives_it(page: Page, console_errors: list[str]):
    page.add_init_script("Object.defineProperty(navigator, 'onLine', { get: () => false })")
    page.goto("/")
    hero(page).evaluate("(form) => form.requestSubmit()")
    expect(page.locator("#hero-status")).to_contain_text("offline")
    hydrated(page)
    expect(page.locator("#hero-status")).to_contain_text("offline")
    assert console_errors == []


def test_an_empty_field_is_told_apart_from_a_wrong_one(page: Page):
    hydrate(page)
    press_join(page)
    expect(page.locator("#hero-status")).to_have_text("Please type your e-mail address.")


def test_whoever_has_joined_is_asked_by_no_form_even_after_a_reload(page: Page, email: str, console_errors: list[str]):
    hydrate(page)
    fill(page, email)
    press_join(page)
    for _ in range(2):
        for form in ("hero", "closing"):
            expect(panel(page, form)).to_be_visible()
            expect(page.locator(f"form[data-join={form}]")).to_be_hidden()
        page.reload()
        hydrated(page)
    page.goto("/join")
    expect(panel(page, "page")).to_be_visible()
    assert email not in json.dumps(page.evaluate("[localStorage, sessionStorage, document.cookie]"))
    assert console_errors == []


def test_the_form_is_not_painted_first_for_whoever_has_joined(page: Page, email: str):
    page.goto("/joined")
    painted = "requestAnimationFrame(function look() { const form = document.querySelector('form');"
    look = "if (form) window.seen = [...(window.seen ?? []), getComputedStyle(form).visibility];"
    page.add_init_script(painted + look + "requestAnimationFrame(look); })")
    page.goto("/")
    until(page, "window.seen?.length > 3")
    assert set(page.evaluate("window.seen")) == {"hidden"}


def test_whoever_has_joined_sees_where_the_mail_went_and_takes_the_address_along_to_the_code(
    page: Page, sigma: Sigma, email: str
):
    email = email.replace("test", "test+1", 1)
    hydrate(page)
    fill(page, f" {email} ")
    press_join(page)
    expect(panel(page, "hero")).to_contain_text(f"One step left: press the button in the mail we sent to {email}.")
    assert email not in json.dumps(page.evaluate("[localStorage, sessionStorage, document.cookie]"))
    fresh = panel(page, "hero").get_by_role("link", name="have a fresh one")
    assert (fresh.get_attribute("href") or "").endswith("#no-mail")
    panel(page, "hero").get_by_role("link", name="Type it here.").click()
    expect(page.locator("[name=email]").first).to_have_value(email)
    page.goto("/")
    expect(panel(page, "hero")).to_contain_text("in the mail we sent. Then sleep.", use_inner_text=True)


def test_the_header_asks_nobody_to_join_who_has(page: Page):
    page.goto("/")
    call = page.get_by_role("banner").get_by_role("link", name="Join the list")
    before = page.locator("header").first.bounding_box()
    expect(call).to_be_visible()
    page.goto("/joined")  # remembers it
    page.goto("/")
    expect(call).to_be_hidden()
    assert page.locator("header").first.bounding_box() == before


@pytest.mark.parametrize("hydrates", [True, False], ids=["hydrated", "before-hydration"])
def test_another_address_can_join_from_the_same_browser(page: Page, sigma: Sigma, email: str, hydrates: bool):
    another = email.replace("test", "second", 1)
    hydrate(page)
    fill(page, email)
    press_join(page)
    expect(panel(page, "hero")).to_be_visible()
    if not hydrates:
        page.route("**/assets/*.js", lambda route: route.abort())
    page.reload()
    if hydrates:
        hydrated(page)
    panel(page, "hero").get_by_role("button", name="Use another address").click()
    field = hero(page).get_by_label("Your e-mail address")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    expect(page.locator("form[data-join=closing]")).to_be_visible()
    fill(page, "oops")
    press_join(page)
    form = "hero" if hydrates else "page"
    expect(page.locator(f"#{form}-status")).to_have_text(NO_AT)  # and no answer to the address before
    expect(panel(page, form)).to_be_hidden()
    page.locator(f"form[data-join={form}]").get_by_label("Your e-mail address").fill(another)
    page.locator(f"form[data-join={form}]").get_by_role("button").click()
    expect(page.get_by_text(JOINED).first).to_be_visible()
    assert len(sigma.leads(another)) == 1


def test_a_plain_post_is_remembered_and_its_result_page_leads_to_the_form(page: Page, email: str):
    page.route("**/assets/*.js", lambda route: route.abort())  # no hydration
    page.goto("/")
    fill(page, email)
    press_join(page)
    page.get_by_role("link", name="Back to the start").click()
    expect(panel(page, "hero")).to_be_visible()
    page.goto("/joined")
    page.get_by_role("link", name="join again").click()
    expect(page.locator("form[data-join=page]")).to_be_visible()


def test_a_browser_that_stores_nothing_joins_too(page: Page, sigma: Sigma, email: str, console_errors: list[str]):
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('', 'SecurityError'); } })"
    )
    page.goto("/")
    fill(page, email)
    press_join(page)
    expect(page.get_by_text(JOINED).first).to_be_visible()
    assert len(sigma.leads(email)) == 1
    page.goto("/")
    expect(hero(page)).to_be_visible()


def test_joining_without_javascript_ends_on_a_result_page(
    new_context: Callable[..., BrowserContext], sigma: Sigma, email: str
):
    page = new_context(java_script_enabled=False).new_page()
    page.goto("/?utm_source=newsletter")
    fill(page, email)
    press_join(page)
    expect(page).to_have_url(f"{sigma.base_url}/joined")
    expect(page.get_by_role("heading", level=1)).to_have_text(JOINED)
    [lead] = sigma.leads(email)
    assert lead["utm_source"] == "newsletter"


def test_without_javascript_a_wrong_address_comes_back_with_its_reason(
    new_context: Callable[..., BrowserContext], sigma: Sigma, email: str
):
    page = new_context(java_script_enabled=False).new_page()
    page.goto("/")
    fill(page, '"><b>wrong')
    press_join(page)
    expect(page.locator("#page-status")).not_to_be_empty()
    field = page.locator("form[data-join=page]").get_by_label("Your e-mail address")
    expect(field).to_have_value('"><b>wrong')
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill(email)
    page.get_by_role("button", name="Join the waitlist").click()
    expect(page).to_have_url(f"{sigma.base_url}/joined")
    assert len(sigma.leads(email)) == 1


def test_the_form_works_while_the_scripts_are_still_on_their_way(page: Page, sigma: Sigma, email: str):
    held: list[Route] = []
    page.route("**/assets/*.js", lambda route: held.append(route))  # never answered: the page stays as it was painted
    page.goto("/", wait_until="commit")
    fill(page, email)
    press_join(page)
    expect(page).to_have_url(f"{sigma.base_url}/joined")
    assert len(sigma.leads(email)) == 1


def test_a_double_click_and_a_second_enter_make_one_row(page: Page, sigma: Sigma, email: str):
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    hydrate(page)
    fill(page, email)
    hero(page).get_by_role("button").dblclick()
    hero(page).get_by_label("Your e-mail address").press("Enter")
    expect(panel(page, "hero")).to_be_visible()
    assert len([frame for frame in sent if "waitlist_state.join" in frame]) == 1
    assert len(sigma.leads(email)) == 1


def test_a_slow_network_shows_that_something_happens_and_joins_once(page: Page, sigma: Sigma, email: str):
    on_the_way: list[Callable[[], None]] = []

    def hold(socket: WebSocketRoute) -> None:
        upstream = socket.connect_to_server()
        upstream.on_message(lambda message: on_the_way.append(lambda: socket.send(message)))

    page.route_web_socket("**/_event**", hold)
    hydrate(page)
    fill(page, email)
    press_join(page)
    expect(hero(page)).to_have_attribute("aria-busy", "true")
    expect(hero(page).get_by_text("Joining…")).to_be_visible()
    hero(page).evaluate("(form) => form.requestSubmit()")
    while not panel(page, "hero").is_visible():
        while on_the_way:
            on_the_way.pop(0)()
        page.wait_for_timeout(20)
    assert len(sigma.leads(email)) == 1


def test_a_websocket_that_never_opens_ends_in_the_plain_post(page: Page, sigma: Sigma, email: str):
    page.route_web_socket("**/_event**", lambda socket: None)  # accepted by nobody: connects to silence
    hydrate(page)
    fill(page, email)
    press_join(page)
    expect(page).to_have_url(f"{sigma.base_url}/joined", timeout=20_000)
    assert len(sigma.leads(email)) == 1


def test_a_websocket_that_is_lost_on_the_way_ends_in_the_plain_post(page: Page, sigma: Sigma, email: str):
    def lose(socket: WebSocketRoute) -> None:
        upstream = socket.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            if "waitlist_state.join" in str(message):
                socket.close()
            else:
                upstream.send(message)

        socket.on_message(pass_on)

    page.route_web_socket("**/_event**", lose)
    hydrate(page)
    fill(page, email)
    press_join(page)
    expect(page.get_by_text(JOINED).first).to_be_visible(timeout=20_000)
    assert len(sigma.leads(email)) == 1


NOTE_BUSY = """() => {
  const form = document.querySelector("form[data-join=hero]");
  const note = () => { window.wasBusy ||= form.getAttribute("aria-busy") === "true"; };
  new MutationObserver(note).observe(form, { attributes: true });
}"""


def test_a_plain_post_that_was_stopped_can_be_sent_again(page: Page, sigma: Sigma, email: str):
    page.route("**/assets/*.js", lambda route: route.abort())  # no hydration
    held: list[Route] = []
    page.route("**/join", lambda route: held.append(route))
    page.goto("/")
    fill(page, email)
    page.evaluate(NOTE_BUSY)  # while the browser is about to leave the page, nobody can look at it from outside
    hero(page).get_by_role("button").click(no_wait_after=True)
    while not held:
        page.wait_for_timeout(20)
    held.pop().abort("aborted")
    page.unroute("**/join")
    expect(hero(page)).not_to_have_attribute("aria-busy", "true", timeout=20_000)
    assert page.evaluate("window.wasBusy") is True
    press_join(page)
    expect(page).to_have_url(f"{sigma.base_url}/joined")
    assert len(sigma.leads(email)) == 1


def test_offline_says_so_keeps_what_was_typed_and_joins_later(
    new_context: Callable[..., BrowserContext], sigma: Sigma, email: str
):
    context = new_context()
    page = context.new_page()
    hydrate(page)
    fill(page, email)
    context.set_offline(True)
    press_join(page)
    expect(page.locator("#hero-status")).to_contain_text("offline", timeout=20_000)
    expect(hero(page).get_by_label("Your e-mail address")).to_have_value(email)
    assert sigma.leads(email) == []
    context.set_offline(False)
    press_join(page)
    expect(page.get_by_text(JOINED).first).to_be_visible(timeout=20_000)
    assert len(sigma.leads(email)) == 1


def test_a_phone_with_a_small_screen_joins(new_context: Callable[..., BrowserContext], sigma: Sigma, email: str):
    page = new_context(viewport={"width": 320, "height": 568}, has_touch=True, is_mobile=True).new_page()
    hydrate(page)
    fill(page, email)
    hero(page).get_by_role("button").tap()
    expect(panel(page, "hero")).to_be_visible()
    assert len(sigma.leads(email)) == 1


def test_the_back_button_after_joining_finds_a_form_that_works(page: Page, sigma: Sigma, email: str):
    page.goto("/join")
    page.locator("form[data-join=page]").get_by_label("Your e-mail address").fill(email)
    page.goto("/privacy")
    page.go_back()
    form = page.locator("form[data-join=page]")
    form.get_by_label("Your e-mail address").fill(email)
    form.get_by_role("button").click()
    expect(page.get_by_text(JOINED).first).to_be_visible()
    assert len(sigma.leads(email)) == 1


def test_the_page_opens_no_websocket_until_somebody_acts(page: Page, email: str):
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    hydrate(page)
    page.get_by_role("heading", level=1).click()
    assert sockets == []
    fill(page, email)
    press_join(page)
    expect(panel(page, "hero")).to_be_visible()
    assert len(sockets) == 1


def test_the_count_of_founders_is_live(new_context: Callable[..., BrowserContext], sigma: Sigma, email: str):
    page = new_context().new_page()
    page.goto("/")
    expect(page.locator("[data-founders-text]").first).to_have_text(
        re.compile(r"founders? on the list|Be the first founder")
    )
    hydrate(page)
    fill(page, email)
    press_join(page)
    expect(panel(page, "hero")).to_be_visible()
    other = new_context().new_page()
    with sigma.database() as connection:
        [count] = connection.execute("select count(*) from leads").fetchone() or [0]
    other.clock.install()
    other.goto("/")
    deadline = 10
    while deadline and f"{count:,} founder" not in other.locator("[data-founders-text]").first.inner_text():
        other.clock.run_for(21_000)
        deadline -= 1
        other.wait_for_timeout(600)
    assert f"{count:,} founder" in other.locator("[data-founders-text]").first.inner_text()
