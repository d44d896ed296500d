"""The portal in a real Chromium: saving the profile, from the click to "Saved", and signing in, to the profile.

A save is measured against an echo over the very same websocket: the "ping" that Reflex's namespace answers by itself,
sent by hand, which passes the browser, the socket and the server's event loop, and nothing of a page or a database.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import httpx
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from sigma_app.session.guard import SIGN_IN
from tests.bench.machine import children_on, cores
from tests.bench.report import Ratio, Report, Row, Sample, Unavailable
from tests.browser.chromium import launch_options
from tests.sigma import Sigma

# What the pages are known by here; tests/browser/accounts knows the rest of them.
PROFILE = "/profile"
NAME = "#name"
SAVE = "[data-profile] .door-button"
STATUS = "#name-said"
SAVED = "Saved"
EMAIL = "input[name=email]"
PASSWORD = "input[name=password]"

ROUNDS = 5
SAVES = 40
SIGN_INS = 4
WARM_UP = 5

_ADDRESS, _SECRET = "alice@example.com", "correct horse battery staple"
_WIDE = "100000000/minute"
_ECHO = "echo over the same websocket"
_SAVING = "profile, click to Saved"
_SIGNING_IN = "sign-in, form to profile"

# Before the page's own scripts: keeps the websocket, and notes when the profile is there to be read.
_WATCH = """
const sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) { super(...given); sockets.push(this); }
};
window.benchEcho = () => new Promise((answered) => {
  const socket = sockets.find((one) => one.readyState === 1 && one.url.includes("_event"));
  const begun = performance.now();
  socket.addEventListener("message", function heard(message) {
    if (!String(message.data).startsWith('42/_event,["ping"')) return;
    socket.removeEventListener("message", heard);
    answered(performance.now() - begun);
  });
  socket.send('42/_event,["ping"]');
});
window.benchSave = ([button, status, saved]) => new Promise((done) => {
  const region = document.querySelector(status);
  const watch = new MutationObserver(() => {
    if (!region.textContent.trim().startsWith(saved)) return;
    watch.disconnect();
    done(performance.now() - begun);
  });
  watch.observe(region, { childList: true, characterData: true, subtree: true });
  const begun = performance.now();
  button.click();
});
(function look() {
  const field = document.querySelector("NAME");
  if (field && field.value && field.checkVisibility()) window.benchSeen = performance.timeOrigin + performance.now();
  else requestAnimationFrame(look);
})();
""".replace("NAME", NAME)


@dataclass
class Round:
    """What one round took, in milliseconds."""

    echoes: list[float] = field(default_factory=list)
    saves: list[float] = field(default_factory=list)
    sign_ins: list[float] = field(default_factory=list)


def measure(options: argparse.Namespace) -> Report:
    """Sign in and save, again and again, in one browser.

    Raises:
        Unavailable: these pages are not in this build, or there is no Chromium.
    """
    with tempfile.TemporaryDirectory(prefix="sigma-bench-") as scratch, _served(Path(scratch)) as sigma:
        if httpx.get(f"{sigma.base_url}{PROFILE}").status_code != httpx.codes.SEE_OTHER:
            raise Unavailable(f"There is no page {PROFILE} in this build.")
        _give_account(sigma)
        with _chromium() as browser, Console(stderr=True).status("The portal") as status:
            rounds = []
            for number in range(options.rounds or ROUNDS):
                status.update(f"The portal: round {number + 1}")
                rounds.append(_round(browser, sigma))
    return _report(rounds)


@contextmanager
def _served(scratch: Path) -> Iterator[Sigma]:
    names = ("ACCOUNT_LIMIT_PER_ADDRESS", "ACCOUNT_LIMIT_PER_NETWORK")
    wide = dict.fromkeys(names, _WIDE) | {"SOCKET_LIMIT_PER_NETWORK": "10000", "SOCKET_EVENTS_PER_SECOND": "1000000"}
    sigma = Sigma(scratch / "data", variables=wide)
    sigma.variables["BASE_URL"] = sigma.base_url
    try:
        with children_on(cores().servers):
            yield sigma.start()
    finally:
        sigma.remove()


@contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = launch_options(playwright)
        if not Path(options["executable_path"]).is_file():
            raise Unavailable("There is no Chromium: `python -m tests.browser.chromium` installs one.")
        browser = playwright.chromium.launch(**options)
        try:
            yield browser
        finally:
            browser.close()


def _give_account(sigma: Sigma) -> None:
    key = sigma.assignments["SUPABASE_SERVICE_ROLE_KEY"]
    made = httpx.post(
        f"{sigma.base_url}/auth/v1/admin/users",
        headers={"apikey": key, "authorization": f"Bearer {key}"},
        json={"email": _ADDRESS, "password": _SECRET, "email_confirm": True},
    )
    made.raise_for_status()
    with sigma.database() as owner:
        owner.execute("update profiles set name = 'Alice'")


def _round(browser: Browser, sigma: Sigma) -> Round:
    found = Round()
    for _ in range(SIGN_INS):
        context = browser.new_context(base_url=sigma.base_url, bypass_csp=True)
        context.add_init_script(_WATCH)
        page = context.new_page()
        found.sign_ins.append(_sign_in(page))
        if len(found.sign_ins) == SIGN_INS:
            _save(page, found)
        context.close()
    return found


def _sign_in(page: Page) -> float:
    """From the form's submission to the profile's name in sight, document and websocket included."""
    page.goto(SIGN_IN, wait_until="load")
    page.fill(EMAIL, _ADDRESS)
    page.fill(PASSWORD, _SECRET)
    begun = page.eval_on_selector(
        PASSWORD,
        "field => { const now = performance.timeOrigin + performance.now(); field.form.requestSubmit(); return now; }",
    )
    page.wait_for_url(f"**{PROFILE}")
    return page.wait_for_function("window.benchSeen").json_value() - begun


def _save(page: Page, found: Round) -> None:
    button = page.wait_for_selector(SAVE)
    for number in range(WARM_UP + SAVES):
        page.fill(NAME, f"Alice {number}")
        page.wait_for_function(  # what the last one said is taken back, or it would be taken for this one's
            "([status, saved]) => !document.querySelector(status).textContent.trim().startsWith(saved)",
            arg=[STATUS, SAVED],
        )
        echo = page.evaluate("benchEcho()")
        save = page.evaluate("benchSave", [button, STATUS, SAVED])
        if number >= WARM_UP:
            found.echoes.append(echo)
            found.saves.append(save)


def _report(rounds: list[Round]) -> Report:
    def row(name: str, of: str, reference: str = "") -> Row:
        measured = [getattr(one, of) for one in rounds]
        middle = Sample([_percentile(values, 50) for values in measured])
        details = {"p99 ms": Sample([_percentile(values, 99) for values in measured])}
        ratios = []
        if reference:
            ratios.append(Ratio(_ECHO, middle.over(Sample([_percentile(one.echoes, 50) for one in rounds]))))
            tail = Sample([_percentile(one.echoes, 99) for one in rounds])
            ratios.append(Ratio(f"{_ECHO}, p99 to p99", details["p99 ms"].over(tail)))
        return Row(name, middle, "ms", ratios=ratios, details=details)

    return Report(
        "portal",
        "The portal in Chromium, p50",
        [row(_ECHO, "echoes"), row(_SAVING, "saves", _ECHO), row(_SIGNING_IN, "sign_ins")],
        [
            f"A round: {SAVES} saves, each after an echo, and {SIGN_INS} sign-ins by password, each in a new context.",
            "Signing in hashes a password at cost 10 (benchmark `signins`), and loads the page with nothing in cache.",
        ],
    )


def _percentile(values: list[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]
