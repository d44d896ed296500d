"""A profile: read and renamed by its owner alone, and not by a page that does not know its name any more."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.errors import NotLikeThat
from sigma_app.features.accounts.service import ProfileMissing, Renamed, read_name, read_profile, rename
from sigma_app.session.store import Session
from tests.features.accounts.people import signed_in
from tests.portal import SignIn


@pytest.fixture
async def bob(sign_in: SignIn) -> Session:
    session, _ = await signed_in(sign_in, "bob")
    return session


def stored(owner: psycopg.Connection, user_id: UUID) -> str | None:
    (name,) = owner.execute("select name from profiles where id = %s", [user_id]).fetchone() or ("no profile",)
    return name


def store_name(owner: psycopg.Connection, user_id: UUID, name: str | None) -> None:
    owner.execute("update profiles set name = %s where id = %s", [name, user_id])


@pytest.mark.anyio
class TestReading:
    async def test_everybody_reads_their_own(self, session: Session, bob: Session, owner: psycopg.Connection):
        store_name(owner, bob.user_id, "Bob")
        mine, bobs = await read_profile(session), await read_profile(bob)
        assert (mine.id, mine.email, mine.name) == (session.user_id, "alice@example.com", None)
        assert (bobs.id, bobs.email, bobs.name) == (bob.user_id, "bob@example.com", "Bob")

    async def test_the_database_itself_shows_nobody_anothers(
        self, session: Session, bob: Session, monkeypatch: pytest.MonkeyPatch
    ):
        confused = replace(session, user_id=bob.user_id)
        monkeypatch.setattr(Session, "actor", session.actor)
        with pytest.raises(ProfileMissing):
            await read_profile(confused)

    async def test_one_that_is_not_there_is_missing(self, session: Session, bob: Session, owner: psycopg.Connection):
        owner.execute("delete from profiles where id = %s", [session.user_id])
        with pytest.raises(ProfileMissing):
            await read_profile(session)
        assert await read_profile(bob)


@pytest.mark.anyio
class TestRenaming:
    async def test_a_name_is_stored_as_it_is_read(self, session: Session, bob: Session, owner: psycopg.Connection):
        store_name(owner, bob.user_id, "Bob")
        assert await rename(session, "", "  Alice   Ångström ") == Renamed("Alice Ångström", conflict=False)
        assert stored(owner, session.user_id) == "Alice Ångström"
        assert await rename(session, "Alice Ångström", "Al") == Renamed("Al", conflict=False)
        assert stored(owner, session.user_id) == "Al"
        assert stored(owner, bob.user_id) == "Bob"

    @pytest.mark.parametrize("blank", ["", "  ", "\u00a0\n"])
    async def test_a_blank_name_is_none(self, session: Session, owner: psycopg.Connection, blank: str):
        store_name(owner, session.user_id, "Alice")
        assert await rename(session, "Alice", blank) == Renamed("", conflict=False)
        assert stored(owner, session.user_id) is None

    @pytest.mark.parametrize(
        ("now", "before"), [("Alice A.", "Alice"), ("Alice A.", ""), (None, "Alice"), ("Alice", "alice")]
    )
    async def test_a_stale_page_changes_nothing_and_learns_the_name(
        self, session: Session, owner: psycopg.Connection, now: str | None, before: str
    ):
        store_name(owner, session.user_id, now)
        assert await rename(session, before, "Alicia") == Renamed(now or "", conflict=True)
        assert stored(owner, session.user_id) == now

    @pytest.mark.parametrize(("now", "wanted"), [("Alicia", "Alicia "), (None, " ")])
    async def test_a_stale_page_that_wants_what_is_stored_is_content(
        self, session: Session, owner: psycopg.Connection, now: str | None, wanted: str
    ):
        store_name(owner, session.user_id, now)
        assert await rename(session, "Alice", wanted) == Renamed(now or "", conflict=False)
        assert stored(owner, session.user_id) == now

    async def test_the_database_itself_has_nobody_rename_another(
        self, session: Session, bob: Session, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ):
        confused = replace(session, user_id=bob.user_id)
        monkeypatch.setattr(Session, "actor", session.actor)
        with pytest.raises(ProfileMissing):
            await rename(confused, "", "Alice was here")
        assert stored(owner, bob.user_id) is None

    async def test_without_a_profile_there_is_nothing_to_name(self, session: Session, owner: psycopg.Connection):
        owner.execute("delete from profiles where id = %s", [session.user_id])
        with pytest.raises(ProfileMissing):
            await rename(session, "", "Alice")
        assert stored(owner, session.user_id) == "no profile"

    async def test_an_empty_name_that_somebody_wrote_themselves_is_none(
        self, session: Session, owner: psycopg.Connection
    ):
        owner.execute("update public.profiles set name = ''")
        assert await rename(session, "", "Alice") == Renamed("Alice", conflict=False)

    @pytest.mark.parametrize("before", ["\x00", "\ud800"])
    async def test_a_name_that_nothing_stores_was_never_known(self, session: Session, before: str):
        await rename(session, "", "Alice")
        assert await rename(session, before, "Alicia") == Renamed("Alice", conflict=True)

    async def test_what_cannot_be_a_name_is_refused_before_anything_changes(
        self, session: Session, owner: psycopg.Connection
    ):
        store_name(owner, session.user_id, "Alice")
        with pytest.raises(NotLikeThat) as refused:
            await rename(session, "Alice", "x" * 101)
        assert refused.value.field == "name"
        assert stored(owner, session.user_id) == "Alice"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("", ""),
        (" \t\n\u00a0\u2028", ""),
        ("  Alice\r\n", "Alice"),
        ("Alice \u00a0  B.\u3000C.", "Alice B. C."),
        ("e\u0301ve", "éve"),
        ("e\u0301" * 100, "é" * 100),
        ("Ⅳ ﬁ ½", "Ⅳ ﬁ ½"),
        ("x" * 100, "x" * 100),
        (f"{'x' * 50}{' ' * 100}{'x' * 49}", f"{'x' * 50} {'x' * 49}"),
        ('O’Brien <b>& "Sons"</b>; drop table profiles; --', 'O’Brien <b>& "Sons"</b>; drop table profiles; --'),
        ("שרה 用户 👩\u200d🚀", "שרה 用户 👩\u200d🚀"),
    ],
)
def test_a_name_is_trimmed_and_in_one_spelling(typed: str, name: str):
    assert read_name(typed) == name


@pytest.mark.parametrize("typed", ["x" * 101, "e\u0301" * 101, "😀" * 101])
def test_a_name_has_a_hundred_characters_at_most(typed: str):
    with pytest.raises(NotLikeThat, match="100 characters at most") as refused:
        read_name(typed)
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    "character",
    [
        *("\x00", "\t", "\n", "\r", "\x1f", "\x7f", "\x85", "\x9f"),
        *("\u2028", "\u2029"),
        *("\u061c", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069"),
        *("\ud800", "\udbff", "\udc00", "\udfff"),
    ],
    ids=ascii,
)
def test_what_breaks_a_line_or_turns_text_around_is_in_no_name(character: str):
    with pytest.raises(NotLikeThat, match="cannot be shown") as refused:
        read_name(f"Ali{character}ce")
    assert refused.value.field == "name"
