"""The letters of accounts: each says what it is for, how long it works, and what to do if it was not you."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest

from sigma_app.embedded.supabase.auth.mails import AuthMail, Kind
from sigma_app.features.accounts.letters import letter
from sigma_app.gateways.accounts import LINK_KINDS
from sigma_app.ui.mail import render

KINDS = get_args(Kind)
CHANGES = [kind for kind in KINDS if kind.startswith("email_change")]
PORTAL = "https://sigma.test"
OLD, NEW = "alice@example.com", "alice.new@example.com"
WITH_LINK = [kind for kind in KINDS if kind != "reauthentication"]
LINK = "https://sigma.test/auth/v1/verify?token=0&type=signup&redirect_to=https%3A%2F%2Fsigma.test"


def mail(kind: Kind) -> AuthMail:
    link = None if kind == "reauthentication" else LINK
    change = (OLD, NEW) if kind.startswith("email_change") else None
    return AuthMail("alice@example.com", kind, link, "012345", datetime.now(UTC), change)


@pytest.mark.parametrize("kind", KINDS)
def test_every_mail_has_a_code_and_says_how_long_and_what_if_it_was_not_you(kind: Kind):
    rendered = render(letter(mail(kind), 86400, PORTAL))
    assert "012345" in rendered.html
    assert "    012345\n" in rendered.text
    words = " ".join(rendered.text.split())
    assert "once, for 24 hours." in words
    assert "? Then " in words
    assert "only the newest works." in words
    assert "012345" not in rendered.subject + letter(mail(kind), 86400, PORTAL).preheader


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_address_names_both_addresses(kind: Kind):
    rendered = render(letter(mail(kind), 86400, PORTAL))
    for part in (rendered.html, rendered.text):
        assert f"from {OLD} to {NEW}." in " ".join(part.split())


def test_an_account_that_had_no_address_moves_from_none():
    rendered = render(letter(replace(mail("email_change_new"), change=("", NEW)), 86400, PORTAL))
    words = " ".join(rendered.text.split())
    assert f"to have the address {NEW}." in words
    assert "from" not in words


@pytest.mark.parametrize("kind", WITH_LINK)
def test_no_mail_says_that_only_the_button_does_it(kind: Kind):
    words = " ".join(render(letter(mail(kind), 86400, PORTAL)).text.split())
    assert "Either works, once, for 24 hours." in words
    assert "without the button" not in words


@pytest.mark.parametrize("kind", WITH_LINK)
def test_a_link_and_a_code_stand_beside_each_other(kind: Kind):
    rendered = render(letter(mail(kind), 86400, PORTAL))
    assert LINK in rendered.text.splitlines()
    assert f'href="{LINK.replace("&", "&amp;")}"' in rendered.html
    assert "Or type this code:" in rendered.text
    assert letter(mail(kind), 86400, PORTAL).action != ("", LINK)


@pytest.mark.parametrize("kind", WITH_LINK)
def test_a_code_has_a_page_to_type_it_on(kind: Kind):
    words = " ".join(render(letter(mail(kind), 86400, PORTAL)).text.split())
    found = re.search(r"The code goes here: https://sigma\.test/verify\?type=(\w+)", words)
    assert found
    assert found[1] in LINK_KINDS


def test_to_prove_oneself_again_there_is_a_code_alone():
    rendered = render(letter(mail("reauthentication"), 86400, PORTAL))
    assert "<a " not in rendered.html
    assert "http" not in rendered.text
    assert "button" not in rendered.text
    assert "Type this code:" in rendered.text
    assert "Or type" not in rendered.text + rendered.html


def test_no_two_kinds_are_alike():
    letters = [letter(mail(kind), 86400, PORTAL) for kind in KINDS]
    assert len({one.subject for one in letters}) == len({one.heading for one in letters}) == len(KINDS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (86400, "24 hours"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (600, "10 minutes"),
        (60, "1 minute"),
        (90, "90 seconds"),
    ],
)
def test_how_long_it_works_is_said_in_the_largest_unit(seconds: int, words: str):
    assert f"for {words}." in letter(mail("signup"), seconds, PORTAL).notes[0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_mail_is_the_same_bytes(kind: Kind):
    later = replace(mail(kind), made_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert render(letter(mail(kind), 86400, PORTAL)) == render(letter(later, 86400, PORTAL))
