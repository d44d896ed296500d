"""The Content-Security-Policy in a real browser: our pages keep to it, and what somebody smuggles in does nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import until
from tests.sigma import Sigma

PAGES = ("/", "/join", "/pricing", "/privacy", "/terms", "/sign-in", "/sign-up", "/forgot", "/none")

# Notes what the browser refuses; before anything of the page runs.
LISTEN = "window.refused = []; addEventListener('securitypolicyviolation', (it) => refused.push(it.effectiveDirective))"
SMUGGLE = """() => {
  const script = document.createElement("script");
  script.textContent = "window.smuggled = true";
  document.body.append(script);
  const image = document.createElement("img");
  image.src = "https://evil.example/x.png";
  image.setAttribute("onerror", "window.smuggled = true");
  document.body.append(image);
  const form = document.createElement("form");
  form.action = "https://evil.example/";
  document.body.append(form);
  form.submit();
}"""


@pytest.mark.smuggles
@pytest.mark.parametrize("path", PAGES)
def test_our_pages_keep_to_it_and_nothing_smuggled_in_runs(page: Page, path: str):
    page.add_init_script(LISTEN)
    page.goto(path)
    page.mouse.click(5, 5)  # the modules start
    page.wait_for_load_state("networkidle")
    assert page.evaluate("refused") == []
    page.evaluate(SMUGGLE)
    until(page, "refused.length >= 4")
    assert set(page.evaluate("refused")) == {"script-src-elem", "script-src-attr", "img-src", "form-action"}
    assert page.evaluate("window.smuggled") is None


def test_every_answer_says_what_a_browser_may_do_with_it(sigma: Sigma, page: Page):
    for path in (
        "/",
        "/assets/none.js",
        "/founders.json",
        "/auth/v1/health",
        "/rest/v1/leads",
        "/sign-in",
        "/dev/mailbox",
    ):
        headers = page.request.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["cross-origin-opener-policy"] == "same-origin", path
        assert headers["referrer-policy"], path
        assert "camera=()" in headers["permissions-policy"], path
