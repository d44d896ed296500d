"""What the other tests here stand on: hosted is really elsewhere, and mails and people are found in either place."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.browser.accounts.conftest import Mailbox, Portal, Somebody

pytestmark = pytest.mark.browser


def test_only_one_of_them_serves_supabase_itself(sigma: Portal):
    answer = httpx.get(f"{sigma.base_url}/auth/v1/health")
    assert (answer.status_code == 404) == sigma.is_hosted
    for part in ("database", "auth"):
        (said,) = re.findall(rf"^{part} +(\w+)", sigma.run("status").stdout, re.MULTILINE)
        assert said == ("hosted" if sigma.is_hosted else "local")


def test_people_are_where_supabase_is_and_have_profiles_in_the_portals_database(
    sigma: Portal, alice: Somebody, bob: Somebody, charlie: Somebody
):
    with sigma.database() as connection:
        rows = connection.execute(
            "select id, email from profiles where email = any(%s)", [[alice.email, bob.email, charlie.email]]
        ).fetchall()
    assert set(rows) == {(alice.id, alice.email), (bob.id, bob.email)}


def test_each_mail_is_handed_out_once_with_its_link_and_its_code(sigma: Portal, mailbox: Mailbox, alice: Somebody):
    sigma.ask_auth("POST", "recover", email=alice.email)
    first = mailbox.next(alice.email)
    sigma.ask_auth("POST", "recover", email=alice.email)
    second = mailbox.next(alice.email)
    assert (first.link, first.code) != (second.link, second.code)
    assert mailbox.to(alice.email) == [second, first]
