"""One person, whose account is in a Supabase elsewhere: its address may have changed there, and this one's copy not."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.database import Database, serve_requests_from
from sigma_app.features.accounts import leaving
from sigma_app.features.operations import person
from sigma_app.features.operations.person import Nobody, erase, export
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import IdentityUnavailable
from sigma_app.gateways.identity import reaching_supabase
from sigma_app.gateways.payments import reaching_stripe
from sigma_app.session import store
from sigma_app.session.store import Session
from sigma_app.settings import Settings
from tests.conftest import settings_for
from tests.elsewhere import elsewhere, variables_of
from tests.features.accounts.people import join_waitlist
from tests.portal import PASSWORD
from tests.settled import settled
from tests.sigma import Supabase, free_port

__all__ = ["elsewhere"]

pytestmark = pytest.mark.anyio

ALICE, NEW = "alice@example.com", "new@example.com"
OPERATOR = "the founder"


@pytest.fixture
def variables(elsewhere: Supabase) -> dict[str, str]:
    with elsewhere.database() as theirs:
        theirs.execute("delete from auth.users")
    return variables_of(elsewhere)


@pytest.fixture
async def serving(settings: Settings, database: Database) -> AsyncIterator[Settings]:
    with serve_requests_from(database):
        async with reaching_stripe():
            yield settings


@pytest.fixture
async def moved(session: Session) -> UUID:
    """Alice's account, which has another address at Supabase by now; the one before is Eve's, who was never here."""
    async with reaching_supabase(as_service=True) as client:
        await client.auth.admin.update_user_by_id(str(session.user_id), {"email": NEW, "email_confirm": True})
    await accounts.create_confirmed(ALICE, PASSWORD)
    return session.user_id


def nowhere(data_dir: Path, variables: dict[str, str]) -> Settings:
    """The settings of a Sigma whose Supabase does not answer."""
    return settings_for(data_dir, **variables | {"VITE_SUPABASE_URL": f"http://127.0.0.1:{free_port()}"})


def everything_of(owner: psycopg.Connection, account: UUID) -> list[tuple]:
    """What is here of an account: its copy, its profile, its devices."""
    return owner.execute(
        "select account.email, profile.id, session.id from auth.users as account"
        " left join profiles as profile on profile.id = account.id"
        " left join sigma.sessions as session on session.user_id = account.id where account.id = %s",
        [account],
    ).fetchall()


async def test_whoever_has_the_address_now_is_not_whoever_had_it(moved: UUID, owner: psycopg.Connection):
    before = everything_of(owner, moved)
    for ask in (person.find(ALICE), person.find_to_erase(ALICE), export(ALICE, io.BytesIO()), erase(ALICE, OPERATOR)):
        with pytest.raises(Nobody):
            await ask
    assert everything_of(owner, moved) == before
    assert await accounts.address_of(moved) == NEW


async def test_whoever_has_it_now_is_told_and_forgotten_without_whoever_had_it(moved: UUID, owner: psycopg.Connection):
    await join_waitlist(ALICE)  # Eve
    before = everything_of(owner, moved)
    packed = io.BytesIO()
    counts = await export(ALICE, packed)
    with zipfile.ZipFile(packed) as archive:
        told = json.loads(archive.read("data.json"))
    assert (counts["lead"], counts["account"], counts["profile"], counts["devices"]) == (1, 0, 0, 0)
    assert str(moved) not in json.dumps(told)
    receipt = await erase(ALICE, OPERATOR)
    assert (receipt.account, receipt.complete) == (None, True)
    assert {kind: many for kind, many in receipt.erased.items() if many} == {"lead": 1}
    assert everything_of(owner, moved) == before
    assert await accounts.address_of(moved) == NEW


async def test_a_new_address_is_found_once_it_signed_in_here(moved: UUID, owner: psycopg.Connection):
    with pytest.raises(Nobody):
        await person.find(NEW)
    await store.open_session(await accounts.sign_in(NEW, PASSWORD))
    assert await person.find("New@Example.com ") == moved
    assert (await erase(NEW, OPERATOR)).account == moved
    assert everything_of(owner, moved) == []
    assert await accounts.address_of(moved) is None


async def test_what_an_account_left_that_was_deleted_there_is_forgotten_and_told_to_nobody(
    session: Session, owner: psycopg.Connection
):
    await accounts.delete_user(session.user_id)
    for ask in (person.find(ALICE), export(ALICE, io.BytesIO())):
        with pytest.raises(Nobody):
            await ask
    receipt = await erase(ALICE, OPERATOR)
    assert (receipt.account, receipt.complete) == (session.user_id, True)
    assert {kind: many for kind, many in receipt.erased.items() if many} == {"account": 1, "profile": 1, "devices": 1}
    assert everything_of(owner, session.user_id) == []


async def test_while_nobody_can_say_whose_an_address_is_nothing_is_told_or_erased(
    session: Session, owner: psycopg.Connection, tmp_path: Path, variables: dict[str, str]
):
    await join_waitlist(ALICE)
    before = everything_of(owner, session.user_id)
    out = io.BytesIO()
    with settled(nowhere(tmp_path, variables)):
        for ask in (person.find(ALICE), export(ALICE, out), erase(ALICE, OPERATOR)):
            with pytest.raises(IdentityUnavailable):
                await ask
    assert out.getvalue() == b""
    assert everything_of(owner, session.user_id) == before
    assert owner.execute("select email from leads").fetchall() == [(ALICE,)]
    assert await accounts.address_of(session.user_id) == ALICE


async def test_where_supabase_goes_away_half_way_there_is_a_receipt_that_says_so(
    session: Session, tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    await join_waitlist(ALICE)
    finish_now = leaving.finish_now
    with ExitStack() as away, monkeypatch.context() as patched:

        async def finish_without(account: UUID) -> None:
            away.enter_context(settled(nowhere(tmp_path, variables)))
            await finish_now(account)

        patched.setattr(leaving, "finish_now", finish_without)
        receipt = await erase(ALICE, OPERATOR)
    assert [line.partition(":")[0] for line in receipt.left] == ["account"]
    assert (receipt.account, receipt.erased["lead"], receipt.erased["account"]) == (session.user_id, 1, 0)
    assert (await erase(ALICE, OPERATOR)).complete
