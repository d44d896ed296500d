"""A picture: put where its profile names it, taken away with its name, and shown to its owner alone."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from uuid import UUID

import psycopg
import pytest
from PIL import Image

from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.features.accounts import pictures
from sigma_app.features.accounts.image import NoPicture
from sigma_app.features.accounts.service import ProfileMissing
from sigma_app.gateways import pictures as storage
from sigma_app.gateways.accounts import IdentityRefused, IdentityUnavailable, Tokens
from sigma_app.session.store import Session
from tests.features.accounts.people import folder_of, png, signed_in, webp
from tests.portal import SignIn

# Fixed, for they are in the names of tests, which every worker must collect alike.
ALICE, BOB = UUID("8c1e0a4f-52d7-4b6e-9f3a-0d7c6b5e4f21"), UUID("3f9b7d26-e8a1-4c05-b4d8-5a6e7f80c9b3")
NAME = "0123456789abcdef" * 2


@pytest.fixture
async def bob(sign_in: SignIn) -> tuple[Session, Tokens]:
    return await signed_in(sign_in, "bob")


def named(owner: psycopg.Connection, session: Session) -> str | None:
    """What the profile names as its picture."""
    (image,) = owner.execute("select image from profiles where id = %s", [session.user_id]).fetchone() or ("none",)
    return image


def colour(picture: bytes) -> str:
    """The strongest of its colours."""
    pixel = Image.open(BytesIO(picture)).convert("RGB").resize((1, 1)).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return max(zip(pixel, ("red", "green", "blue"), strict=True))[1]


@pytest.mark.anyio
class TestChanging:
    async def test_a_profile_names_the_file_that_was_put(
        self, session: Session, tokens: Tokens, bob: tuple[Session, Tokens], owner: psycopg.Connection
    ):
        await pictures.change(session, tokens, png("red"))
        (file,) = await folder_of(session)
        assert named(owner, session) == f"pictures/{session.user_id}/{file}"
        found = await pictures.read(session, tokens)
        assert found
        assert (f"{found[0]}.webp", colour(found[1])) == (file, "red")
        assert named(owner, bob[0]) is None
        assert await folder_of(bob[0]) == []

    async def test_the_file_before_is_removed_and_nobody_elses(
        self, session: Session, tokens: Tokens, bob: tuple[Session, Tokens], owner: psycopg.Connection
    ):
        await pictures.change(*bob, png("green"))
        await pictures.change(session, tokens, png("red"))
        (first,) = await folder_of(session)
        await pictures.change(session, tokens, png("blue"))
        (second,) = await folder_of(session)
        assert second != first
        assert named(owner, session) == f"pictures/{session.user_id}/{second}"
        for who, expected in (((session, tokens), "blue"), (bob, "green")):
            found = await pictures.read(*who)
            assert found
            assert colour(found[1]) == expected

    async def test_no_picture_leaves_no_file_and_no_name(
        self, session: Session, tokens: Tokens, owner: psycopg.Connection
    ):
        await pictures.change(session, tokens, png())
        for _ in range(2):
            await pictures.change(session, tokens, None)
            assert await folder_of(session) == []
            assert named(owner, session) is None
            assert await pictures.read(session, tokens) is None

    async def test_what_is_no_picture_changes_nothing(
        self, session: Session, tokens: Tokens, owner: psycopg.Connection
    ):
        await pictures.change(session, tokens, png())
        before = named(owner, session), await folder_of(session)
        with pytest.raises(NoPicture):
            await pictures.change(session, tokens, b"<svg/>")
        assert (named(owner, session), await folder_of(session)) == before

    @pytest.mark.parametrize("failure", [DatabaseUnavailable, ZeroDivisionError])
    async def test_a_file_that_could_not_be_named_is_taken_back(
        self,
        session: Session,
        tokens: Tokens,
        owner: psycopg.Connection,
        monkeypatch: pytest.MonkeyPatch,
        failure: type[Exception],
    ):
        await pictures.change(session, tokens, png("red"))
        before = named(owner, session), await folder_of(session)

        async def fail(*_: object) -> None:
            assert len(await folder_of(session)) == 2
            raise failure

        monkeypatch.setattr(pictures, "_name_picture", fail)
        with pytest.raises(failure):
            await pictures.change(session, tokens, png("blue"))
        assert (named(owner, session), await folder_of(session)) == before

    async def test_without_a_profile_nothing_is_kept(self, session: Session, tokens: Tokens, owner: psycopg.Connection):
        owner.execute("delete from profiles where id = %s", [session.user_id])
        with pytest.raises(ProfileMissing):
            await pictures.change(session, tokens, png())
        assert await folder_of(session) == []

    async def test_a_file_that_could_not_be_put_is_not_named(
        self, session: Session, tokens: Tokens, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ):
        async def fail(*_: object) -> None:
            raise IdentityUnavailable

        monkeypatch.setattr(storage, "put", fail)
        with pytest.raises(IdentityUnavailable):
            await pictures.change(session, tokens, png())
        assert named(owner, session) is None

    async def test_an_old_file_that_stays_costs_no_new_one(
        self, session: Session, tokens: Tokens, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ):
        await pictures.change(session, tokens, png("red"))

        async def fail(*_: object) -> None:
            raise IdentityUnavailable

        with monkeypatch.context() as patched:
            patched.setattr(storage, "remove", fail)
            await pictures.change(session, tokens, png("blue"))
        found = await pictures.read(session, tokens)
        assert found
        assert colour(found[1]) == "blue"
        assert len(await folder_of(session)) == 2

    async def test_a_profile_that_names_anothers_file_removes_and_shows_none(
        self, session: Session, tokens: Tokens, bob: tuple[Session, Tokens], owner: psycopg.Connection
    ):
        await pictures.change(*bob, png())
        owner.execute("update profiles set image = %s where id = %s", [named(owner, bob[0]), session.user_id])
        assert await pictures.read(session, tokens) is None
        await pictures.change(session, tokens, None)
        assert await pictures.read(*bob)


@pytest.mark.anyio
class TestFolders:
    """Of Alice's, to whoever says they are Alice with Bob's access token: storage believes the token."""

    @pytest.fixture
    async def file(self, session: Session, tokens: Tokens) -> str:
        await pictures.change(session, tokens, png())
        (file,) = await folder_of(session)
        return file.removesuffix(".webp")

    @pytest.fixture
    def forged(self, tokens: Tokens, bob: tuple[Session, Tokens]) -> Tokens:
        return replace(tokens, access=bob[1].access)

    async def test_is_not_read(self, tokens: Tokens, file: str, forged: Tokens):
        assert await storage.read(tokens, file)
        assert await storage.read(forged, file) is None

    async def test_is_not_emptied(self, tokens: Tokens, file: str, forged: Tokens):
        await storage.remove(forged, file)
        assert await storage.read(tokens, file)

    async def test_is_not_written(self, session: Session, file: str, forged: Tokens):
        with pytest.raises(IdentityRefused):
            await storage.put(forged, NAME, webp())
        assert await folder_of(session) == [f"{file}.webp"]


@pytest.mark.parametrize(
    "image",
    [
        None,
        "",
        NAME,
        f"{NAME}.webp",
        f"{ALICE}/{NAME}.webp",
        f"pictures/{BOB}/{NAME}.webp",
        f"pictures/{ALICE}/../{BOB}/{NAME}.webp",
        f"pictures/{ALICE}/./{NAME}.webp",
        f"pictures/{ALICE}//{NAME}.webp",
        f"/pictures/{ALICE}/{NAME}.webp",
        f"pictures/{ALICE}/{NAME}/{NAME}.webp",
        f"pictures/{ALICE}/{NAME}%2f..webp",
        f"other/{ALICE}/{NAME}.webp",
        f"pictures/{str(ALICE).upper()}/{NAME}.webp",
        f"pictures/{ALICE}/.webp",
        f"pictures/{ALICE}/{NAME}",
        f"pictures/{ALICE}/{NAME}.png",
        f"pictures/{ALICE}/{NAME}.webp.html",
        f"pictures/{ALICE}/{NAME}.webp\n",
        f"pictures/{ALICE}/{NAME}\n.webp",
        f"pictures/{ALICE}/{NAME[1:]}.webp",
        f"pictures/{ALICE}/{NAME}0.webp",
        f"pictures/{ALICE}/{NAME.upper()}.webp",
        f"https://example.com/pictures/{ALICE}/{NAME}.webp",
        "https://lh3.googleusercontent.com/a/alice=s96-c",
        "javascript:alert(1)",
    ],
)
def test_what_names_no_picture_of_ones_own_is_none(image: str | None):
    assert pictures.name_of(image, ALICE) == ""
    assert pictures.address_of(image, ALICE) == ""


@pytest.mark.parametrize("user_id", [ALICE, BOB], ids=["alice", "bob"])
def test_ones_own_has_a_name_and_an_address(user_id: UUID):
    image = f"pictures/{user_id}/{NAME}.webp"
    assert pictures.name_of(image, user_id) == NAME
    assert pictures.address_of(image, user_id) == f"/profile/picture?v={NAME}"
