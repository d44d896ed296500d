"""Leaving: everything goes, nobody else's does, and what failed half-way can be done again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest
from anyio import fail_after
from storage3._async.file_api import AsyncBucketActionsMixin

from sigma_app.core.addresses import address_digest
from sigma_app.core.database import Database, get_database
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.core.jobs import work
from sigma_app.features.accounts import jobs, leaving, pictures
from sigma_app.features.accounts.leaving import NotGoneYet, delete_account
from sigma_app.gateways import accounts
from sigma_app.gateways import mail as gateway
from sigma_app.gateways import pictures as storage
from sigma_app.gateways.accounts import IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.gateways.keys import unseal
from sigma_app.session import store
from sigma_app.session.store import Session
from sigma_app.session.tabs import CHANNEL
from sigma_app.settings import Settings
from tests.features.accounts.people import People, folder_of, join_waitlist, places_of, png, signed_in, webp
from tests.portal import PASSWORD, SignIn
from tests.waiting import until

pytestmark = pytest.mark.anyio

FINISHING = "select args from procrastinate.procrastinate_jobs where task_name = 'accounts:finish_leaving'"
FAREWELLS = "select args from procrastinate.procrastinate_jobs where task_name = 'accounts:send_farewell'"


@pytest.fixture
async def people(session: Session, tokens: Tokens, sign_in: SignIn) -> People:
    bob, bobs_tokens = await signed_in(sign_in, "bob")
    for who, opened, colour in ((session, tokens, "red"), (bob, bobs_tokens, "green")):
        await pictures.change(who, opened, png(colour))
        await join_waitlist(who.email)
    return People(session, tokens, bob, bobs_tokens)


async def test_what_is_on_record_of_mails_goes_at_once(people: People, owner: psycopg.Connection):
    for who in (people.alice, people.bob):
        owner.execute(
            "insert into sigma.messages (key, kind, recipient, digest)"
            " values (%s::text, 'waitlist:confirm', %s::text, sha256(convert_to(%s::text, 'UTF8')))",
            [f"confirm/{who.user_id}", who.email, who.email],
        )
    await delete_account(people.alice.user_id, people.alice.email)
    assert owner.execute("select recipient from sigma.messages").fetchall() == [("bob@example.com",)]


async def test_everything_goes_and_only_ones_own(people: People, owner: psycopg.Connection, serving: Settings):
    kept = serving.data_dir / "storage"
    before = files_in(kept)
    await delete_account(people.alice.user_id, people.alice.email)
    assert places_of(owner, "alice@example.com") == []
    assert places_of(owner, str(people.alice.user_id)) == ["procrastinate.procrastinate_jobs"]  # the farewell
    assert await folder_of(people.alice) == []
    assert len(before - files_in(kept)) == len(before) // 2 > 0
    for table in ("auth.users", "public.profiles", "public.leads"):
        assert owner.execute(f"select email from {table}".encode()).fetchall() == [("bob@example.com",)]
    assert owner.execute("select user_id from sigma.sessions").fetchall() == [(people.bob.user_id,)]
    assert await pictures.read(people.bob, people.bobs_tokens)
    with pytest.raises(IdentityRefused):
        await accounts.sign_in("alice@example.com", PASSWORD)
    assert await accounts.sign_in("bob@example.com", PASSWORD)


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


async def test_who_has_neither_picture_nor_place_may_leave_too(session: Session, owner: psycopg.Connection):
    await delete_account(session.user_id, session.email)
    assert places_of(owner, "alice@example.com") == []


async def test_more_files_than_are_listed_at_once_go(people: People, monkeypatch: pytest.MonkeyPatch):
    for number in range(4):
        await storage.put(people.tokens, str(number), webp())
    monkeypatch.setattr(storage, "_SHOWN", 2)
    await delete_account(people.alice.user_id, people.alice.email)
    assert await folder_of(people.alice) == []


async def test_folders_that_their_owner_made_go_with_what_is_in_them(people: People):
    for name in ("deep/er/one", "deep/two", "three"):
        await storage.put(people.tokens, name, webp())
    with fail_after(20):
        await delete_account(people.alice.user_id, people.alice.email)
    assert await folder_of(people.alice) == []


async def test_files_that_do_not_go_are_not_waited_for(people: People, monkeypatch: pytest.MonkeyPatch):
    async def keep(*_: object) -> list[object]:
        return []

    monkeypatch.setattr(AsyncBucketActionsMixin, "remove", keep)
    with fail_after(20), pytest.raises(NotGoneYet):
        await delete_account(people.alice.user_id, people.alice.email)
    monkeypatch.undo()
    assert await accounts.sign_in("alice@example.com", PASSWORD)


async def test_nobody_waits_for_what_is_elsewhere_and_does_not_answer(
    people: People, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    async def silent(_: UUID) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(accounts, "delete_user", silent)
    monkeypatch.setattr(leaving, "PATIENCE", 0.1)
    with pytest.raises(NotGoneYet), fail_after(10):
        await delete_account(people.alice.user_id, people.alice.email)
    assert len(owner.execute(FINISHING).fetchall()) == 1  # which goes on with it


async def test_a_place_is_given_up_whatever_the_case_of_its_address(session: Session, owner: psycopg.Connection):
    await join_waitlist("Alice@Example.com")
    await delete_account(session.user_id, session.email)
    assert owner.execute("select email from leads").fetchall() == []


async def test_where_the_account_was_elsewhere_its_name_here_goes_too(
    people: People, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    owner.execute("update auth.users set raw_app_meta_data = jsonb_build_object('lives_elsewhere', true)")
    monkeypatch.setattr(leaving.accounts, "delete_user", elsewhere)
    await delete_account(people.alice.user_id, people.alice.email)
    assert places_of(owner, "alice@example.com") == []
    assert owner.execute("select email from auth.users").fetchall() == [("bob@example.com",)]


async def test_all_of_ones_tabs_are_told(people: People, login_url: str):
    other = await store.find(await store.open_session(people.tokens, "Alice's telephone"))
    assert other
    heard: list[str] = []
    async with Database(login_url, pool_size=1) as elsewhere:
        elsewhere.listen(CHANNEL, heard.append)
        await until(lambda: heard == [""])
        await delete_account(people.alice.user_id, people.alice.email)
        await store.end_all(people.bob.user_id)  # which is heard after whatever was said before
        await until(lambda: str(people.bob.id) in heard)
    assert set(heard[1:-1]) == {str(people.alice.id), str(other.id)}


async def test_a_farewell_is_queued_with_the_address_sealed(people: People, owner: psycopg.Connection):
    await delete_account(people.alice.user_id, people.alice.email)
    ((arguments,),) = owner.execute(FAREWELLS).fetchall()
    assert arguments["user"] == str(people.alice.user_id)
    assert "alice" not in str(arguments)
    assert unseal(arguments["sealed"]) == "alice@example.com"


async def test_one_farewell_is_mailed_however_often_the_job_runs(
    people: People, mailing: None, login_url: str, owner: psycopg.Connection
):
    await delete_account(people.alice.user_id, people.alice.email)
    ((arguments,),) = owner.execute(FAREWELLS).fetchall()
    await jobs.send_farewell(**arguments)
    await work(login_url, until_idle=True)
    sent = owner.execute("select subject from sigma.mailbox where 'alice@example.com' = any(recipients)").fetchall()
    assert [subject for (subject,) in sent if "gone" in subject] == ["Your Sigma account is gone"]
    assert owner.execute(FAREWELLS).fetchall() == []


async def test_an_account_that_stays_can_be_signed_in_to_and_deleted_again(
    people: People, cookie: str, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    async def fail(_: object) -> None:
        raise IdentityUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(leaving.accounts, "delete_user", fail)
        with pytest.raises(NotGoneYet):
            await delete_account(people.alice.user_id, people.alice.email)
    assert await store.find(cookie)
    again = await store.find(await store.open_session(await accounts.sign_in("alice@example.com", PASSWORD)))
    assert again
    assert owner.execute(FAREWELLS).fetchall() == []
    await delete_account(again.user_id, again.email)
    assert await store.find(cookie) is None
    assert places_of(owner, "alice@example.com") == []
    assert len(owner.execute(FAREWELLS).fetchall()) == 1


async def test_tokens_of_before_bring_nobody_back(people: People, owner: psycopg.Connection):
    users = "select count(*) from auth.users where id = %s"
    await delete_account(people.alice.user_id, people.alice.email)
    with pytest.raises(IdentityRefused):
        await store.open_session(people.tokens)
    assert owner.execute(users, [people.alice.user_id]).fetchone() == (0,)


@dataclass
class Rest:
    """What is left to the job."""

    login_url: str
    owner: psycopg.Connection

    def arguments(self) -> dict[str, str]:
        """What it was queued with."""
        ((found,),) = self.owner.execute(FINISHING).fetchall()
        return found

    async def run(self) -> None:
        """A minute later."""
        self.owner.execute(
            "update procrastinate.procrastinate_jobs set scheduled_at = null"
            " where task_name = 'accounts:finish_leaving'"
        )
        for _ in ("the job", "the farewell that it queues"):
            await work(self.login_url, until_idle=True)


@pytest.fixture
def rest(login_url: str, owner: psycopg.Connection, mailing: None) -> Rest:
    return Rest(login_url, owner)


@pytest.mark.parametrize("step", ["files", "account", "names", "all"])
async def test_what_failed_half_way_goes_by_itself(
    step: str, people: People, rest: Rest, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_: object) -> None:
        raise IdentityUnavailable

    at, what, how = {
        "files": (storage, "remove_all", fail),
        "account": (leaving.accounts, "delete_user", fail),
        "names": (leaving, "get_database", NoDatabase(after=1)),
        "all": (leaving, "finish", fail),
    }[step]
    with monkeypatch.context() as patched:
        if step == "names":
            owner.execute("update auth.users set raw_app_meta_data = jsonb_build_object('lives_elsewhere', true)")
            patched.setattr(leaving.accounts, "delete_user", elsewhere)
        patched.setattr(at, what, how)
        with pytest.raises(NotGoneYet):
            await delete_account(people.alice.user_id, people.alice.email)
    assert owner.execute("select from auth.users where id = %s", [people.alice.user_id]).fetchone() is not None
    assert "alice" not in str(rest.arguments())
    await rest.run()
    assert places_of(owner, str(people.alice.user_id)) == ["sigma.mailbox"]  # the farewell
    assert await folder_of(people.alice) == []
    farewells = owner.execute("select recipients from sigma.mailbox where subject like '%gone'").fetchall()
    assert farewells == [(["alice@example.com"],)]


def farewells_sent(log: pytest.LogCaptureFixture) -> int:
    """How many were handed over; the mailbox itself forgets them."""
    return log.text.count("(farewell)")


async def test_one_farewell_is_mailed_though_the_mailbox_forgets_it_before_the_second_look(
    people: People, rest: Rest, owner: psycopg.Connection, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    await delete_account(people.alice.user_id, people.alice.email)
    await work(rest.login_url, until_idle=True)
    assert farewells_sent(caplog) == 1
    await gateway.forget(address_digest("alice@example.com"))
    assert "sealed" not in rest.arguments()
    await rest.run()
    assert owner.execute(FINISHING).fetchall() == []
    assert farewells_sent(caplog) == 1


async def test_one_farewell_is_mailed_though_it_ended_after_the_account_and_was_begun_again(
    people: People, rest: Rest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level("INFO")

    async def delete_and_end(user_id: UUID) -> None:
        await accounts.delete_user(user_id)
        raise IdentityUnavailable

    async def fail(_: UUID) -> None:
        raise IdentityUnavailable

    for ending in (fail, fail, delete_and_end):
        with monkeypatch.context() as patched:
            patched.setattr(leaving, "accounts", SimpleNamespace(delete_user=ending))
            with pytest.raises(NotGoneYet):
                await delete_account(people.alice.user_id, people.alice.email)
    await delete_account(people.alice.user_id, people.alice.email)
    await work(rest.login_url, until_idle=True)
    await gateway.forget(address_digest("alice@example.com"))
    await delete_account(people.alice.user_id, people.alice.email)
    await rest.run()
    assert farewells_sent(caplog) == 1


async def test_a_farewell_that_comes_late_is_forgotten_too(
    people: People, rest: Rest, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    async def fail(_: UUID) -> None:
        raise IdentityUnavailable

    forget = "update procrastinate.procrastinate_jobs set scheduled_at = null where task_name = 'mail:forget'"
    with monkeypatch.context() as patched:
        patched.setattr(leaving.accounts, "delete_user", fail)
        with pytest.raises(NotGoneYet):
            await delete_account(people.alice.user_id, people.alice.email)
    for _ in ("at once", "and once more"):
        owner.execute(forget)
        await work(rest.login_url, until_idle=True)
    await rest.run()
    assert places_of(owner, "alice@example.com") == ["sigma.mailbox"]  # the farewell
    owner.execute(forget)
    await work(rest.login_url, until_idle=True)
    assert places_of(owner, "alice@example.com") == []


async def elsewhere(_: object) -> None:
    """Deletes an account, and nothing in this database."""


class NoDatabase:
    """A database that is there so many times, and then away."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self) -> Database:
        self._left -= 1
        if self._left < 0:
            raise DatabaseUnavailable
        return get_database()


async def test_whoever_comes_back_with_the_same_address_loses_nothing(
    people: People, rest: Rest, owner: psycopg.Connection
):
    await delete_account(people.alice.user_id, people.alice.email)
    await accounts.create_confirmed("alice@example.com", PASSWORD)
    await join_waitlist("alice@example.com")
    await rest.run()
    assert await accounts.sign_in("alice@example.com", PASSWORD)
    assert owner.execute("select from leads where email = 'alice@example.com'").fetchone() is not None


async def test_what_was_uploaded_while_the_account_went_goes_as_well(
    people: People, rest: Rest, monkeypatch: pytest.MonkeyPatch
):
    late = "late"

    async def upload_first(user_id: UUID) -> None:
        await storage.put(people.tokens, late, webp())
        await accounts.delete_user(user_id)

    with monkeypatch.context() as patched:
        patched.setattr(leaving, "accounts", SimpleNamespace(delete_user=upload_first))
        await delete_account(people.alice.user_id, people.alice.email)
    assert await folder_of(people.alice) == [f"{late}.webp"]
    await rest.run()
    assert await folder_of(people.alice) == []
