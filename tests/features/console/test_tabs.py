"""A tab that goes from one thing to another: what it shows, asks and tells is of the one that its address names."""

from __future__ import annotations

from typing import Any

import pytest

from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.features.console import leads
from sigma_app.features.console.leads_page import LeadsState
from sigma_app.features.console.person import PersonState
from sigma_app.features.console.user import UserState
from sigma_app.gateways.payments import reaching_stripe
from sigma_app.session.store import Session
from tests.features.console.operators import cells
from tests.session.test_state import Tab

pytestmark = pytest.mark.anyio


class Console(Tab):
    """A tab of an operator's."""

    def __init__(self, cookie: str) -> None:
        super().__init__(cookie, "a tab of the console")
        self._cookie = cookie

    async def opened(self, state: type[Any], path: str, trouble: str = "") -> Any:
        """The state of the page at an address, once it was loaded, or could not be for some `trouble`."""
        self.come_with(self._cookie, path)
        page = await self.root.get_state(state)
        await state.load.fn(page)
        assert page.trouble == trouble
        return page


@pytest.fixture
def tab(operator: Session, cookie: str) -> Console:
    return Console(cookie)


async def test_a_question_about_one_is_not_asked_about_another(tab: Console, operator: Session, stranger: Session):
    page = await tab.opened(UserState, f"/admin/user?id={stranger.user_id}")
    await UserState.ask.fn(page, "disable")  # pyright: ignore[reportAttributeAccessIssue] - an event handler
    await tab.opened(UserState, f"/admin/user?id={stranger.user_id}")
    assert page.asking == "disable"
    await tab.opened(UserState, f"/admin/user?id={operator.user_id}")
    assert page.asking == ""


async def test_the_receipt_of_one_is_not_shown_for_another(tab: Console, lead, owner):
    ann, bob = lead("ann@example.com"), lead("bob@example.com")
    page = await tab.opened(PersonState, f"/admin/person?lead={bob}")
    await PersonState.ask.fn(page, "forget")  # pyright: ignore[reportAttributeAccessIssue] - an event handler
    async with reaching_stripe():
        async for _ in PersonState.forget.fn(page, {"word": "forget"}):  # pyright: ignore[reportAttributeAccessIssue]
            pass
    await tab.opened(PersonState, f"/admin/person?lead={bob}")
    assert (page.outcome, bool(page.receipt)) == ("Forgotten.", True)
    await tab.opened(PersonState, f"/admin/person?lead={ann}")
    assert (page.address, page.outcome, page.receipt) == ("ann@example.com", "", [])
    owner.execute("delete from leads")
    await tab.opened(PersonState, f"/admin/person?lead={ann}")
    assert page.address == ""


async def test_whoever_was_typed_is_not_who_an_address_names(tab: Console, lead):
    ann, _ = lead("ann@example.com"), lead("bob@example.com")
    page = await tab.opened(PersonState, f"/admin/person?lead={ann}")
    look_for: Any = PersonState.look_for
    await look_for.fn(page, {"email": "bob@example.com"})
    assert page.address == "bob@example.com"
    await tab.opened(PersonState, f"/admin/person?lead={ann}")
    assert page.address == "ann@example.com"
    await tab.opened(PersonState, "/admin/person")
    await look_for.fn(page, {"email": "bob@example.com"})
    await tab.opened(PersonState, "/admin/person")
    assert page.address == "bob@example.com"


async def test_a_list_that_could_not_be_read_is_not_taken_for_another_and_is_read_with_the_next_news(
    tab: Console, lead, monkeypatch: pytest.MonkeyPatch
):
    for address in ("ann@example.com", "bob@example.com"):
        lead(address)

    async def away(*_: Any) -> None:
        raise DatabaseUnavailable

    page = await tab.opened(LeadsState, "/admin/leads?q=ann")
    with monkeypatch.context() as broken:
        broken.setattr(leads, "count", away)
        await tab.opened(LeadsState, "/admin/leads?q=bob", str(DatabaseUnavailable()))
    assert (cells(page.rows), page.q, page._wanted.q) == (["ann@example.com"], "ann", "ann")
    await page.refresh(frozenset({"leads"}))
    assert (cells(page.rows), page.q, page._wanted.q, page.trouble) == (["bob@example.com"], "bob", "bob", "")
