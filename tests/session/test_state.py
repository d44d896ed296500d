"""What a page's state knows of who is signed in: it is theirs alone, and gone with the session."""

from __future__ import annotations

import json

import pytest
import reflex as rx
from reflex.istate.data import RouterData
from reflex_base.utils.format import json_dumps

from sigma_app.gateways.accounts import Tokens
from sigma_app.session import store
from sigma_app.session.handshake import seal_cookie
from sigma_app.session.state import SessionState
from sigma_app.session.tabs import TABS
from tests.portal import SignIn

pytestmark = pytest.mark.anyio


class Drawer(SessionState):
    """A page's state, with something of a person's."""

    words: str = ""

    _thoughts: str = ""


class Tab:
    """A tab of a browser with a cookie, as Reflex holds it in memory."""

    def __init__(self, cookie: str | None, name: str = "tab-1") -> None:
        self.root = rx.State(_reflex_internal_init=True)  # pyright: ignore[reportCallIssue]
        self.name = name
        self.come_with(cookie)

    def come_with(self, cookie: str | None, path: str = "") -> None:
        """The handshake of the websocket that its next events come by, and the page that they come from."""
        headers = {"cookie": seal_cookie(cookie).decode()} if cookie else {}
        self.root.router = RouterData.from_router_data({"headers": headers, "token": self.name, "asPath": path})

    async def drawer(self) -> Drawer:
        return await self.root.get_state(Drawer)

    def sent(self) -> str:
        """All that the page is told."""
        return json_dumps(self.root.dict())


async def test_it_knows_who_it_is_and_the_page_is_told_no_cookie_and_no_token(cookie: str, tokens: Tokens):
    tab = Tab(cookie)
    drawer = await tab.drawer()
    assert drawer.phase == ""
    session = await drawer._signed_in()
    assert session
    assert (drawer.phase, drawer.email, session.user_id) == ("in", tokens.email, tokens.user_id)
    sent = tab.sent()
    assert tokens.email in sent
    for secret in (cookie, tokens.access, tokens.refresh, str(session.id)):
        assert secret not in sent
    assert json.loads(sent)


@pytest.mark.parametrize("given", [None, "A" * 43, "junk"])
async def test_without_a_session_there_is_nobody(serving, given: str | None):
    drawer = await Tab(given).drawer()
    assert await drawer._signed_in() is None
    assert (drawer.phase, drawer.email) == ("out", "")


async def test_what_a_tab_showed_is_gone_when_the_session_is(cookie: str):
    drawer = await Tab(cookie).drawer()
    assert await drawer._signed_in()
    drawer.words, drawer._thoughts = "Alice's", "hers"
    await store.end(cookie)
    assert await drawer._signed_in() is None
    assert (drawer.phase, drawer.email, drawer.words, drawer._thoughts) == ("out", "", "", "")


async def test_whoever_signs_in_next_in_the_same_tab_finds_nothing_of_the_last(cookie: str, sign_in: SignIn):
    tab = Tab(cookie)
    drawer = await tab.drawer()
    await drawer._signed_in()
    drawer.words, drawer._thoughts = "Alice's", "hers"
    theirs = await store.open_session(await sign_in("bob"), replacing=cookie)
    tab.come_with(theirs)
    session = await drawer._signed_in()
    assert session
    assert session.email == "bob@example.com"
    assert (drawer.phase, drawer.email, drawer.words, drawer._thoughts) == ("in", "bob@example.com", "", "")


async def test_the_same_session_again_keeps_what_the_tab_shows(cookie: str):
    drawer = await Tab(cookie).drawer()
    await drawer._signed_in()
    drawer.words = "Alice's"
    assert await drawer._signed_in()
    assert drawer.words == "Alice's"


async def test_its_tab_is_known_from_the_first_moment(cookie: str):
    drawer = await Tab(cookie, "tab-7").drawer()
    session = await drawer._signed_in()
    assert session
    assert "tab-7" in TABS._tabs.pop(session.id)


async def test_a_session_that_ends_while_a_tab_is_noted_does_not_stay_open_there(
    cookie: str, monkeypatch: pytest.MonkeyPatch
):
    drawer = await Tab(cookie).drawer()
    find, asked = store.find, []

    async def find_and_end(given: str | None):
        asked.append(given)
        found = await find(given)
        if len(asked) == 1:
            await store.end(given)  # between the look-up and `TABS.add`
        return found

    monkeypatch.setattr(store, "find", find_and_end)
    assert await drawer._signed_in() is None
    assert (drawer.phase, drawer.email) == ("out", "")
