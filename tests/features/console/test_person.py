"""One person in the console: everything about them, for them, and forgetting them; never without a record."""

from __future__ import annotations

import io
import json
import zipfile
from uuid import UUID

import pytest

from sigma_app.features.accounts import kept
from sigma_app.features.accounts import service as accounts
from sigma_app.features.console import person
from sigma_app.features.console.parts import Fact
from sigma_app.features.console.person import PersonState
from sigma_app.features.console.service import NotAnOperator, reading
from sigma_app.features.operations.person import KINDS, Nobody
from sigma_app.gateways.accounts import IdentityUnavailable
from sigma_app.gateways.payments import reaching_stripe
from sigma_app.session.operators import OperatorsAccount
from tests.features.console.conftest import set_role
from tests.features.console.operators import fact, shown

pytestmark = pytest.mark.anyio


async def exported(session, address: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join([piece async for piece in person.told(session, address)])))


async def test_everything_about_somebody_as_a_file_and_on_record_without_their_address(operator, lead, deeds):
    lead("ann@example.com", utm_source="x")
    async with reaching_stripe():
        told = json.loads((await exported(operator, "ANN@example.com")).read("data.json"))
    assert told["waitlist"]["utm_source"] == "x"
    assert [action for action, *_ in deeds()] == ["person.export"]
    assert "example.com" not in str(deeds())


async def test_somebody_is_forgotten_with_a_receipt(operator, stranger, lead, owner, deeds):
    lead(stranger.email)
    async with reaching_stripe():
        receipt = await person.forget(operator, stranger.email)
    assert (receipt.erased["lead"], receipt.erased["account"], receipt.complete) == (1, 1, True)
    assert receipt.asked_by == operator.email
    assert owner.execute("select count(*) from leads").fetchone() == (0,)
    assert [(action, subject) for action, subject, _ in deeds()] == [("person.erase", str(stranger.user_id))]
    async with reaching_stripe():
        with pytest.raises(Nobody):
            await person.forget(operator, stranger.email)
    assert len(deeds()) == 1


async def test_an_address_of_nobodys_is_neither_a_file_nor_a_receipt_nor_on_record(operator, deeds):
    for ask in (exported, person.forget):
        with pytest.raises(Nobody, match="nobody of that address"):
            await ask(operator, "alicia@example.com")
    assert deeds() == []


async def test_an_operator_is_revoked_before_they_are_forgotten(operator, owner, deeds):
    with pytest.raises(OperatorsAccount):
        await person.forget(operator, operator.email)
    assert deeds() == []
    assert owner.execute("select count(*) from auth.users").fetchone() == (1,)


async def test_whom_nobody_can_forget_is_told_before_it_is_tried_and_why(operator, stranger, owner, lead):
    page = await shown(PersonState, operator, user=str(operator.user_id))
    assert (page.address, "admin revoke" in page.stays) == (operator.email, True)
    page = await shown(PersonState, operator, lead=str(lead(operator.email.upper())))
    assert "admin revoke" in page.stays
    for asked in ({"user": str(stranger.user_id)}, {"lead": str(lead("ann@example.com"))}, {}):
        assert (await shown(PersonState, operator, **asked)).stays == ""


async def test_who_was_typed_stays_and_another_page_is_about_another(operator, stranger, lead):
    asked = {"user": str(stranger.user_id)}
    page = await shown(PersonState, operator, **asked)
    page.address, page.receipt, page._receipt = "typed@example.com", [Fact("Address", "typed@example.com")], "{}"
    async with reading(operator) as cursor:
        await page._read(cursor, asked, operator)
        assert (page.address, len(page.receipt)) == ("typed@example.com", 1)
    for another, address in (({"lead": str(lead("ann@example.com"))}, "ann@example.com"), ({}, "")):
        async with reading(operator) as cursor:
            await page._read(cursor, another, operator)
        await page._read_besides()
        assert page.address == address


async def test_a_receipt_counts_in_words(operator, stranger, lead, monkeypatch):
    async with reaching_stripe():
        receipt = await person.forget(operator, stranger.email)
    assert set(receipt.erased) == set(KINDS)
    assert fact(person._told(receipt), "Erased") == "1 account, 1 profile, 1 device"


class Supabase:
    """Says which address accounts have by now, and counts how often it is asked."""

    def __init__(self, by_now: str | None) -> None:
        self.by_now = by_now
        self.asked = 0

    async def address_of(self, _: UUID) -> str | None:
        self.asked += 1
        return self.by_now


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Supabase:
    """Accounts have another address by now."""
    supabase = Supabase("new@example.com")
    for module in (kept, accounts):
        monkeypatch.setattr(module, "address_of", supabase.address_of)
    return supabase


async def test_an_account_is_neither_told_nor_forgotten_by_an_address_that_it_has_no_more(
    operator, stranger, owner, moved
):
    asked = {"user": str(stranger.user_id)}
    page = await shown(PersonState, operator, **asked)
    assert (page.address, f"last as {stranger.email}, and has another" in page.moved) == ("", True)
    owner.execute("update auth.users set email = null where id = %s", [stranger.user_id])
    page = await shown(PersonState, operator, **asked)
    assert (page.address, page.moved.startswith("Somebody else")) == ("", True)
    moved.by_now = None
    page = await shown(PersonState, operator, **asked)
    assert (page.address, page.moved) == ("", "")
    assert str(PersonState.moved) in str(person.person())


async def test_whoever_has_the_address_now_is_offered_what_is_theirs(operator, stranger, lead, moved):
    page = await shown(PersonState, operator, lead=str(lead(stranger.email)))
    assert (page.address, page.moved, page.gone, page._account) == (stranger.email, "", False, None)


async def test_what_an_account_left_that_supabase_has_no_more_is_not_offered_as_a_file(operator, stranger, lead, moved):
    moved.by_now = None
    for asked in ({"user": str(stranger.user_id)}, {"lead": str(lead(stranger.email))}):
        page = await shown(PersonState, operator, **asked)
        assert (page.address, page.gone, page.stays) == (stranger.email, True, "")
    assert str(PersonState.gone) in str(person._export())


async def test_supabase_is_asked_once_and_the_database_whenever_the_page_is_read_again(
    operator, stranger, owner, moved
):
    moved.by_now = stranger.email.upper()
    asked = {"user": str(stranger.user_id)}
    page = await shown(PersonState, operator, **asked)
    set_role(owner, stranger.user_id, "admin")
    page._unread = frozenset({"users"})
    await page._look(operator, asked, page._unread)
    assert (moved.asked, page.address, "admin revoke" in page.stays) == (1, stranger.email, True)


async def test_what_an_account_left_that_supabase_has_no_more_is_found_and_forgotten_and_told_to_nobody(
    operator, stranger, monkeypatch, deeds
):
    async def gone(_: UUID) -> None:
        return None

    monkeypatch.setattr(kept, "address_of", gone)
    assert await person.look_for(operator, stranger.email) == stranger.user_id
    async with reaching_stripe():
        with pytest.raises(Nobody):
            await exported(operator, stranger.email)
        assert deeds() == []
        assert (await person.forget(operator, stranger.email)).account == stranger.user_id


async def test_a_page_says_that_nobody_can_say_whose_an_address_is(operator, stranger, monkeypatch):
    async def away(_: UUID) -> None:
        raise IdentityUnavailable

    for module in (kept, accounts):
        monkeypatch.setattr(module, "address_of", away)
    with pytest.raises(IdentityUnavailable):  # which every page of the console shows in place of what it has
        await shown(PersonState, operator, user=str(stranger.user_id))
    for ask in (person.look_for, exported, person.forget):
        with pytest.raises(IdentityUnavailable):
            await ask(operator, stranger.email)


async def test_nobody_else_may_do_either(stranger, lead, owner, deeds):
    lead("ann@example.com")
    with pytest.raises(NotAnOperator):
        await exported(stranger, "ann@example.com")
    with pytest.raises(NotAnOperator):
        await person.forget(stranger, "ann@example.com")
    assert deeds() == []
    assert owner.execute("select count(*) from leads").fetchone() == (1,)
