"""Finds a session's secrets wherever a page's scripts could: what the browser shows, keeps, receives and sends.

A secret is the cookie's value, the two tokens that its row holds, every access token by its shape, and every password
that was typed, but for where it has to be: in the request that signs in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import psycopg
from playwright.sync_api import BrowserContext, Page, Request, Response, WebSocket
from playwright.sync_api import Error as PlaywrightError

from sigma_app.core.links import digest
from sigma_app.session.sealing import unseal

JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_TEXT = ("text/", "application/json", "application/javascript")
_NO_BODY = (204, 301, 302, 303, 304, 307, 308)
_STORED = """() => [document.cookie, JSON.stringify({...localStorage}), JSON.stringify({...sessionStorage}),
                    location.href, document.documentElement.outerHTML].join('\\n')"""


class Watcher:
    """Watches one browser context from its first page on."""

    def __init__(self, context: BrowserContext):
        """Begin with what the context's pages will do."""
        self._context = context
        self._seen: list[tuple[str, str]] = []  # where, what
        self._responses: list[Response] = []
        context.on("page", self._watch)
        context.on("request", self._note_request)
        context.on("response", self._note_response)
        context.on("console", lambda message: self._seen.append(("the console", message.text)))

    def _watch(self, page: Page) -> None:
        page.on("websocket", self._watch_socket)

    def _watch_socket(self, socket: WebSocket) -> None:
        self._seen.append(("a websocket's address", socket.url))
        socket.on("framesent", lambda frame: self._seen.append(("a frame to us", str(frame))))
        socket.on("framereceived", lambda frame: self._seen.append(("a frame from us", str(frame))))

    def _note_request(self, request: Request) -> None:
        self._seen.append(("an address", request.url))

    def _note_response(self, response: Response) -> None:
        self._responses.append(response)

    def look(self, page: Page) -> None:
        """Note what the page shows, keeps and was answered right now."""
        self._read_bodies()
        self._seen.append((f"the page {urlsplit(page.url).path}", page.evaluate(_STORED)))

    def everything(self) -> Iterator[tuple[str, str]]:
        """Where, and what was there; the bodies of all answers included."""
        self._read_bodies()
        yield from self._seen

    def _read_bodies(self) -> None:
        """A browser keeps the body of an answer as long as the page that asked; `look` comes before that."""
        answers, self._responses = self._responses, []
        for response in answers:
            if response.status in _NO_BODY or not response.headers.get("content-type", "").startswith(_TEXT):
                continue
            where = f"the body of {urlsplit(response.url).path}"
            with suppress(PlaywrightError):  # of a page that was left at once; the test says which it must have read
                self._seen.append((where, response.text()))

    def find(self, *secrets: str) -> list[str]:
        """Where a secret was, in words; empty is right."""
        found = []
        for where, what in self.everything():
            found += [f"an access token in {where}" for _ in JWT.finditer(what)]
            found += [f"secret {number} in {where}" for number, secret in enumerate(secrets) if secret in what]
        return found

    @property
    def cookie(self) -> str:
        """The session's cookie, which no script of the page can read."""
        cookies = (cookie for cookie in self._context.cookies() if cookie.get("name", "").endswith("sigma_session"))
        return next((cookie.get("value", "") for cookie in cookies), "")


def tokens_of(database: psycopg.Connection, cookie: str) -> tuple[str, str]:
    """The access and the refresh token behind a session's cookie, which only its holder can unseal."""
    row = database.execute("select tokens from sigma.sessions where digest = %s", [digest(cookie)]).fetchone()
    assert row is not None, "The cookie names no session."
    return unseal(cookie, row[0])
