"""Tokens in the database open with their own cookie and with no other."""

from __future__ import annotations

import pytest
from cryptography.fernet import InvalidToken

from sigma_app.core.links import digest
from sigma_app.session.cookie import new_cookie
from sigma_app.session.sealing import seal, unseal


def test_the_cookie_opens_what_was_sealed_with_it():
    cookie = new_cookie()
    assert unseal(cookie, seal(cookie, "acc3ss", "r3fresh")) == ("acc3ss", "r3fresh")


def test_no_other_does_and_neither_does_what_the_database_keeps_of_the_cookie():
    cookie = new_cookie()
    sealed = seal(cookie, "acc3ss", "r3fresh")
    for other in (new_cookie(), cookie[:-1], digest(cookie).hex(), ""):
        with pytest.raises(InvalidToken):
            unseal(other, sealed)


@pytest.mark.parametrize("place", [0, 9, 30, -1])
def test_what_was_changed_on_the_way_does_not_open(place: int):
    cookie = new_cookie()
    sealed = bytearray(seal(cookie, "acc3ss", "r3fresh"))
    sealed[place] = ord("A") if sealed[place] != ord("A") else ord("B")
    with pytest.raises(InvalidToken):
        unseal(cookie, bytes(sealed))


def test_the_same_tokens_are_never_sealed_to_the_same_bytes():
    cookie = new_cookie()
    assert seal(cookie, "acc3ss", "r3fresh") != seal(cookie, "acc3ss", "r3fresh")
    assert b"acc3ss" not in seal(cookie, "acc3ss", "r3fresh")
