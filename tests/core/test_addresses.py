"""The digest of an address is one, whoever makes it: here, in a statement, or in a migration that no longer changes."""

from __future__ import annotations

import psycopg
import pytest

from sigma_app.core.addresses import address_digest, digest_of


@pytest.mark.parametrize("address", ["ann@example.com", "Ann@Example.COM", "Zoë@BÜRO.example", "a" * 300])
def test_sql_and_python_make_the_same(owner: psycopg.Connection, address: str):
    found = owner.execute(f"select {digest_of('%s::text')}", [address]).fetchone()
    assert found == (address_digest(address),)


def test_of_an_address_in_another_case_it_is_the_same_and_of_another_address_another():
    assert address_digest("ANN@example.com") == address_digest("ann@example.com") != address_digest("anne@example.com")
