"""The portal for browser tests, served twice: each test runs on Sigma's own Supabase and on one elsewhere.

"embedded" is one process. "hosted" is the stand-in in a process of its own, on another port, with a database of its
own, and Sigma pointed to it by its environment alone. Each starts at the first test that wants it, once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page

from sigma_app.session.guard import SIGN_IN
from tests.sigma import Sigma, Supabase, free_port

PASSWORD = "correct horse battery staple"
MAIL_SECONDS = 20

WIDE = {
    "JOIN_LIMIT_PER_ADDRESS": "1000/minute",
    "JOIN_LIMIT_PER_NETWORK": "10000/minute",
    "VISIT_LIMIT_PER_NETWORK": "10000/minute",
    "ACCOUNT_LIMIT_PER_ADDRESS": "1000/minute",
    "ACCOUNT_LIMIT_PER_NETWORK": "10000/minute",
    "GOTRUE_SMTP_MAX_FREQUENCY": "0",
    "GOTRUE_RATE_LIMIT_TOKEN_REFRESH": "100000",
    "GOTRUE_RATE_LIMIT_VERIFY": "100000",
    "GOTRUE_RATE_LIMIT_OTP": "100000",
}
_OF_SUPABASE = ("VITE_SUPABASE_URL", "VITE_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY", "DATABASE_URL")


@dataclass
class Portal(Sigma):
    """A served Sigma, and the Supabase that it has elsewhere, if it has one."""

    supabase: Supabase | None = None

    @property
    def is_hosted(self) -> bool:
        return self.supabase is not None

    @property
    def mailboxes(self) -> set[str]:
        """Where mails may be read: each process shows those of its own database."""
        return {self.base_url} | ({self.supabase.base_url} if self.supabase else set())

    def ask_auth(self, method: str, path: str, **json) -> httpx.Response:
        """A call of Supabase Auth as the administrator, over HTTP."""
        given = (self.supabase or self).assignments
        key = given["SUPABASE_SERVICE_ROLE_KEY"]
        headers = {"apikey": key, "authorization": f"Bearer {key}"}
        answer = httpx.request(method, f"{given['VITE_SUPABASE_URL']}/auth/v1/{path}", headers=headers, json=json)
        assert answer.is_success, answer.text
        return answer


def _addressed(port: int, **variables: str) -> dict[str, str]:
    """Links lead to the address that browsers here use, so that its cookies are theirs."""
    return {**WIDE, "BASE_URL": f"http://127.0.0.1:{port}", **variables}


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """Everything in one process."""
    port = free_port()
    portal = Portal(tmp_path_factory.mktemp("embedded") / "data", port, _addressed(port))
    try:
        yield portal.start()
    finally:
        portal.remove()


@pytest.fixture(scope="session")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """Supabase is elsewhere, with the database."""
    directory, port, its_port = tmp_path_factory.mktemp("hosted"), free_port(), free_port()
    variables = _addressed(its_port, GOTRUE_SITE_URL=f"http://127.0.0.1:{port}")
    supabase = Supabase(directory / "supabase", its_port, variables)
    try:
        supabase.start()
        given = {name: supabase.assignments[name] for name in _OF_SUPABASE}
        portal = Portal(directory / "data", port, _addressed(port, **given), supabase=supabase)
        try:
            yield portal.start()
        finally:
            portal.remove()
    finally:
        supabase.remove()


@pytest.fixture(scope="session", params=["embedded", "hosted"])
def sigma(request: pytest.FixtureRequest) -> Portal:
    """Takes the place of the other browser tests' Sigma, so that `page` and `new_context` are bound to it."""
    return request.getfixturevalue(request.param)


@dataclass(frozen=True)
class Mail:
    """A mail as it was read."""

    to: str
    subject: str
    text: str
    html: str
    created_at: str

    @property
    def link(self) -> str:
        """Its button's address, which stands in the text on a line of its own."""
        found = re.search(r"^\s*(https?://\S+)$", self.text, re.MULTILINE)
        assert found, self.text
        return found[1]

    @property
    def code(self) -> str:
        found = re.search(r"^ +(\d{6})$", self.text, re.MULTILINE)
        assert found, self.text
        return found[1]


@dataclass
class Mailbox:
    """The mails of a portal, from whichever process has them; each is handed out once."""

    portal: Portal
    _read: set[Mail] = field(default_factory=set)

    def to(self, email: str) -> list[Mail]:
        """All mails to an address so far, the newest first."""
        mails: set[Mail] = set()
        for url in self.portal.mailboxes:
            listed = httpx.get(f"{url}/dev/mailbox.json").raise_for_status().json()
            mails |= {Mail(**mail) for mail in listed if mail["to"] == email}
        return sorted(mails, key=lambda mail: mail.created_at, reverse=True)

    def next(self, email: str, subject: str = "") -> Mail:
        """The newest mail to an address that was not read yet; waits for it.

        Args:
            email: whose.
            subject: a part of its subject, where several are on their way.
        """
        deadline = time.monotonic() + MAIL_SECONDS
        while True:
            mails = self.to(email)
            for mail in mails:
                if mail not in self._read and subject.lower() in mail.subject.lower():
                    self._read.add(mail)
                    return mail
            told = [mail.subject for mail in mails]
            assert time.monotonic() < deadline, f"No new mail {subject!r} to {email}; there are {told}"
            time.sleep(0.05)


@pytest.fixture
def mailbox(sigma: Portal) -> Mailbox:
    return Mailbox(sigma)


@dataclass(frozen=True)
class Somebody:
    """Somebody at a browser. Without an `id` they have no account yet."""

    email: str
    password: str = PASSWORD
    id: UUID | None = None


@pytest.fixture
def with_account(sigma: Portal, email: str) -> Callable[[str], Somebody]:
    """Makes an account whose address is confirmed."""

    def make(name: str) -> Somebody:
        address = f"{name}-{email}"
        user = sigma.ask_auth("POST", "admin/users", email=address, password=PASSWORD, email_confirm=True).json()
        return Somebody(address, PASSWORD, UUID(user["id"]))

    return make


@pytest.fixture
def alice(with_account: Callable[[str], Somebody]) -> Somebody:
    """Has an account."""
    return with_account("alice")


@pytest.fixture
def bob(with_account: Callable[[str], Somebody]) -> Somebody:
    """Has an account, too."""
    return with_account("bob")


@pytest.fixture
def charlie(email: str) -> Somebody:
    """Has no account."""
    return Somebody(f"charlie-{email}")


@pytest.fixture
def sign_in() -> Callable[[Page, Somebody], Page]:
    """Signs somebody in, in the form; returns when the page behind it is there."""

    def fill(page: Page, somebody: Somebody) -> Page:
        if SIGN_IN not in page.url:
            page.goto(SIGN_IN)
        page.fill("input[name=email]", somebody.email)
        page.fill("input[name=password]", somebody.password)
        with page.expect_navigation(url=lambda url: SIGN_IN not in url):
            page.press("input[name=password]", "Enter")
        return page

    return fill


@pytest.fixture
def signed_in(
    new_context: Callable[..., BrowserContext], sign_in: Callable[[Page, Somebody], Page]
) -> Callable[..., Page]:
    """A page of a browser of its own in which somebody is signed in; options are the context's."""
    return lambda somebody, **options: sign_in(new_context(**options).new_page(), somebody)
