"""What auth's mails bring: codes that follow from a token, and links that lead to /verify and back."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from sigma_app.embedded.supabase.auth.mails import Kind, code_of, hash_of, link
from sigma_app.embedded.supabase.keys import Keys
from tests.conftest import settings_for

KEYS = Keys("secret", "", "")


@pytest.mark.parametrize("length", [6, 8, 10])
def test_codes_are_digits_of_the_wanted_length_that_differ(length: int):
    codes = [code_of(KEYS, UUID(int=number), length) for number in range(2000)]
    assert all(re.fullmatch(f"[0-9]{{{length}}}", code) for code in codes)
    assert len(set(codes)) > 1990
    assert {code[0] for code in codes} == set("0123456789")


def test_a_code_follows_from_the_secret_and_the_token_alone():
    code = code_of(KEYS, UUID(int=1), 6)
    assert code_of(Keys("secret", "a", "b"), UUID(int=1), 6) == code
    assert code_of(Keys("other", "", ""), UUID(int=1), 6) != code


def test_a_hash_looks_like_gotrues_and_cannot_be_made_without_the_secret():
    hashed = hash_of(KEYS, "alice@example.com", "123456")
    assert re.fullmatch("[0-9a-f]{56}", hashed)
    assert hashed != hashlib.sha224(b"alice@example.com123456").hexdigest()
    assert hashed != hash_of(Keys("other", "a", "b"), "alice@example.com", "123456")


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind != "reauthentication"])
@pytest.mark.parametrize(
    "back", ["https://a.example/x?y=1&type=invite&token=0#z", "myapp://callback", "http://ü.example/ &+"]
)
def test_a_link_says_what_it_verifies_and_where_it_leads(kind: str, back: str):
    made = link(settings_for(Path("unused"), BASE_URL="https://sigma.example"), "pkce_0a", kind, back)
    assert made.startswith("https://sigma.example/auth/v1/verify?token=pkce_0a&")
    verifies = "email_change" if kind.startswith("email_change") else kind
    assert parse_qs(urlsplit(made).query) == {"token": ["pkce_0a"], "type": [verifies], "redirect_to": [back]}
    assert made.isascii()
    assert " " not in made
