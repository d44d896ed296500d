"""Passwords: hashes that GoTrue takes and makes, the same work for everybody, and a line that stays short."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import bcrypt
import pytest

from sigma_app.embedded.supabase.auth import passwords
from sigma_app.embedded.supabase.auth.passwords import Busy, Passwords
from tests.conftest import settings_for
from tests.waiting import until

pytestmark = pytest.mark.anyio

OF_GO = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"
"""What Go's bcrypt makes of "allmine" (golang.org/x/crypto, bcrypt_test.go)."""


def passwords_with(**variables: str) -> Passwords:
    return Passwords(settings_for(Path("unused"), **variables))


@pytest.fixture
def subject() -> Passwords:
    return passwords_with()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were compared with, in vain, without the work."""
    hashes: list[bytes] = []

    def check(_: bytes, hashed: bytes) -> bool:
        hashes.append(hashed)
        return False

    monkeypatch.setattr(bcrypt, "checkpw", check)
    return hashes


class Held:
    """Comparisons that do not end until they are let go."""

    def __init__(self):
        self.begun = 0
        self.gate = threading.Event()

    def __call__(self, *_: bytes) -> bool:
        self.begun += 1
        assert self.gate.wait(60)
        return True


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch):
    comparisons = Held()
    monkeypatch.setattr(bcrypt, "checkpw", comparisons)
    yield comparisons
    comparisons.gate.set()


async def test_a_hash_is_of_its_password_alone_and_in_gotrues_form(subject: Passwords):
    hashed = await subject.hash("correct horse")
    assert hashed.startswith("$2a$10$")
    assert len(hashed) == 60
    assert await subject.matches("correct horse", hashed)
    assert not await subject.matches("Correct horse", hashed)
    assert hashed != await subject.hash("correct horse")


@pytest.mark.parametrize("cost", [4, 6, 12])
async def test_hashes_of_other_costs_are_known_too(subject: Passwords, cost: int):
    hashed = bcrypt.hashpw(b"allmine", bcrypt.gensalt(cost)).decode()
    assert await subject.matches("allmine", hashed)
    assert not await subject.matches("allmin", hashed)


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$", "$2y$"])
async def test_hashes_of_a_hosted_project_are_taken(subject: Passwords, prefix: str):
    assert await subject.matches("allmine", OF_GO.replace("$2a$", prefix))


@pytest.mark.parametrize(
    "hashed",
    [
        *(None, "", "x", "allmine", "\x00", "\ud800", OF_GO[:-1], OF_GO + "a", OF_GO + "\n", " " + OF_GO, OF_GO * 20),
        *("$2a$10$", OF_GO[:29], OF_GO.replace("$2a$", "$2x$"), OF_GO.replace("$10$", "$13$")),
        *(OF_GO.replace("$10$", "$31$"), OF_GO.replace("$10$", "$99$"), OF_GO.replace("Xa", "Xé")),
        "$2a$10$" + "9" * 53,  # a salt of more than 128 bits
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$fbscrypt$v=1,n=14,r=8,p=1$c2FsdA==$aGFzaA==",
    ],
)
async def test_what_is_no_hash_of_ours_matches_nothing_after_the_work_of_one_that_is(
    subject: Passwords, checked: list[bytes], hashed: str | None
):
    assert not await subject.matches("allmine", hashed)
    (compared,) = checked
    assert passwords._HASH.fullmatch(compared.decode())
    assert compared.decode() != hashed


async def test_nobodys_hash_is_opened_by_nothing_even_if_it_were_known(subject: Passwords, monkeypatch):
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: True)
    assert not await subject.matches("anything", None)


async def test_a_password_over_72_bytes_is_too_long_and_compared_as_go_does(subject: Passwords):
    assert not subject.too_long("é" * 36)
    assert subject.too_long("é" * 36 + "a")
    hashed = await subject.hash("a" * 72)
    assert await subject.matches("a" * 73, hashed)
    assert not await subject.matches("a" * 71 + "b", hashed)
    assert not await subject.matches("é" * 500, hashed)


@pytest.mark.parametrize("other", ["a", "a\x00", "a\x00c", "a\x00b\x00"])
async def test_a_nul_byte_ends_no_password(subject: Passwords, other: str):
    hashed = await subject.hash("a\x00b")
    assert await subject.matches("a\x00b", hashed)
    assert not await subject.matches(other, hashed)


@pytest.mark.parametrize("odd", ["", "\ud800", "\udfff\ud800", "\U0010ffff", "\x00" * 72, "パスワード"])
async def test_no_password_is_an_error(subject: Passwords, odd: str):
    assert await subject.matches(odd, await subject.hash(odd))
    assert isinstance(subject.check_strength(odd), list)
    assert not subject.too_long(odd)


async def test_half_a_surrogate_pair_is_the_replacement_character_as_in_go(subject: Passwords):
    assert await subject.matches("a\ufffd", await subject.hash("a\ud800"))
    assert subject.check_strength("\ud800\ud800") == []


@pytest.mark.parametrize(
    ("password", "reasons"),
    [("12345", ["length"]), ("123456", []), ("éée", ["length"]), ("ééé", []), ("", ["length"])],
)
def test_length_is_counted_in_bytes(subject: Passwords, password: str, reasons: list[str]):
    assert subject.check_strength(password) == reasons


@pytest.mark.parametrize(
    ("classes", "password", "reasons"),
    [
        ("", "aaaaaa", []),
        ("abc:123", "aaaaaa", ["characters"]),
        ("abc:123", "aaaaa1", []),
        ("abc:123", "a", ["length", "characters"]),
        ("::abc::", "aaaaaa", []),
        (r"ab\:c:123", ":11111", []),
        (r"\:", "aaaaaa", ["characters"]),
        (r"ab\:", "zzzz:z", []),
        (" ", "aaaaaa", ["characters"]),
        ("éü", "aaaaaé", []),
    ],
)
def test_each_class_of_characters_must_be_there(classes: str, password: str, reasons: list[str]):
    subject = passwords_with(GOTRUE_PASSWORD_REQUIRED_CHARACTERS=classes)
    assert subject.check_strength(password) == reasons


def test_weakness_is_told_in_gotrues_words():
    subject = passwords_with(GOTRUE_PASSWORD_MIN_LENGTH="8", GOTRUE_PASSWORD_REQUIRED_CHARACTERS="abc:123")
    assert subject.explain(["length"]) == "Password should be at least 8 characters."
    assert subject.explain(["length", "characters"]) == (
        "Password should be at least 8 characters. Password should contain at least one character of each: abc, 123."
    )


async def test_while_hashes_are_made_the_loop_goes_on_and_the_line_has_an_end(held: Held):
    subject = passwords_with()
    room = round(passwords.LONGEST_WAIT / passwords._GUESS) * passwords._cores()
    waiting = [asyncio.create_task(subject.matches("x", OF_GO)) for _ in range(room)]
    await until(lambda: held.begun == passwords._cores(), 30)
    with pytest.raises(Busy) as busy:
        await subject.matches("x", OF_GO)
    assert busy.value.retry_after == passwords.LONGEST_WAIT
    with pytest.raises(Busy):
        await subject.hash("x")
    held.gate.set()
    assert await asyncio.gather(*waiting) == [True] * room
    assert held.begun == room
    assert await subject.matches("x", OF_GO)


async def test_who_gives_up_waiting_leaves_the_line_and_makes_no_work(held: Held):
    subject = passwords_with()
    cores = passwords._cores()
    running = [asyncio.create_task(subject.matches("x", OF_GO)) for _ in range(cores)]
    await until(lambda: held.begun == cores, 30)
    room = round(passwords.LONGEST_WAIT / passwords._GUESS) * cores - cores
    for _ in range(2):
        waiting = [asyncio.create_task(subject.matches("x", OF_GO)) for _ in range(room)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await subject.matches("x", OF_GO)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    last = asyncio.create_task(subject.matches("x", OF_GO))
    held.gate.set()
    assert await asyncio.gather(*running, last) == [True] * (cores + 1)
    assert held.begun == cores + 1


async def test_where_a_hash_takes_longer_the_line_is_shorter(held: Held, monkeypatch: pytest.MonkeyPatch):
    subject = passwords_with()
    timed = passwords._timed
    monkeypatch.setattr(passwords, "_timed", lambda *work: (1.0, timed(*work)[1]))
    held.gate.set()
    for _ in range(100):
        await subject.matches("x", OF_GO)
    held.gate.clear()
    room = round(passwords.LONGEST_WAIT) * passwords._cores()
    waiting = [asyncio.create_task(subject.matches("x", OF_GO)) for _ in range(room + 1)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await subject.matches("x", OF_GO)
    held.gate.set()
    assert await asyncio.gather(*waiting) == [True] * (room + 1)
