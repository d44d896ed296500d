"""`admin grant` and `admin revoke`, as an operator types them."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from sigma_app.features.console.service import CHANNEL, OPERATORS
from sigma_app.gateways import accounts
from sigma_app.gateways.identity import reaching_supabase
from tests.conftest import settings_for
from tests.elsewhere import elsewhere, variables_of
from tests.moving import PASSWORD, fill
from tests.settled import settled
from tests.sigma import Sigma, Supabase

__all__ = ["elsewhere"]

pytestmark = pytest.mark.anyio

DEEDS = "select action from sigma.audit_log order by id"


@pytest.fixture
async def full(owner_url: str, owner: psycopg.Connection, tmp_path: Path) -> Sigma:
    """A Sigma with Alice and Bob in it, whose addresses are confirmed."""
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    await fill(owner_url, sigma.data_dir)
    owner.execute("update auth.users set email_confirmed_at = now()")
    return sigma


async def test_the_role_is_given_and_taken_once_and_open_pages_hear_of_it(full: Sigma, owner: psycopg.Connection):
    owner.execute(f"listen {CHANNEL}".encode())
    granted = full.run("admin", "grant", "alice@example.com")
    assert (granted.returncode, full.run("admin", "list").stdout) == (0, "alice@example.com\n"), granted.stderr
    again = full.run("admin", "grant", "alice@example.com")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("alice@example.com: an operator already, at http")
    list(owner.notifies(timeout=0))
    revoked = full.run("admin", "revoke", "Alice@example.com")
    assert (revoked.returncode, revoked.stdout) == (0, "Alice@example.com: no operator any more.\n"), revoked.stderr
    owner.execute("select 1")  # with its answer comes whatever was told by now
    assert [heard.payload for heard in owner.notifies(timeout=0)][-1] == OPERATORS  # after all that it is about
    again = full.run("admin", "revoke", "alice@example.com")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "alice@example.com: no operator. Nothing was changed.\n"
    assert owner.execute(DEEDS).fetchall() == [("operator.grant",), ("operator.revoke",)]


async def test_of_somebody_who_is_no_operator_nothing_is_taken(full: Sigma, owner: psycopg.Connection):
    for address, said in (("bob@example.com", "no operator."), ("bub@example.com", "no account with this address")):
        done = full.run("admin", "revoke", address)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"{address}: {said}")
    assert owner.execute(DEEDS).fetchall() == []


async def test_one_whose_address_is_not_confirmed_any_more_is_revoked_all_the_same(
    full: Sigma, owner: psycopg.Connection
):
    assert full.run("admin", "grant", "alice@example.com").returncode == 0
    owner.execute("update auth.users set email_confirmed_at = null")
    assert full.run("admin", "revoke", "alice@example.com").returncode == 0
    assert full.run("admin", "grant", "alice@example.com").returncode == 1
    assert owner.execute(DEEDS).fetchall() == [("operator.grant",), ("operator.revoke",)]


async def move(account: UUID, email: str) -> None:
    """Give an account another address at Supabase, of which nobody tells the database here."""
    async with reaching_supabase(as_service=True) as client:
        await client.auth.admin.update_user_by_id(str(account), {"email": email, "email_confirm": True})


async def test_the_role_goes_to_nobody_who_had_the_address_and_is_taken_by_the_one_that_is_listed(
    elsewhere: Supabase, owner_url: str, owner: psycopg.Connection, tmp_path: Path
):
    given = variables_of(elsewhere)
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url, **given})
    with settled(settings_for(tmp_path, **given)):
        alice = await accounts.create_confirmed("alice@example.com", PASSWORD)
        owner.execute("select sigma.note_user(%s, 'alice@example.com')", [alice])  # as at each sign-in
        await move(alice, "new@example.com")
        await accounts.create_confirmed("alice@example.com", PASSWORD)  # somebody else, who was never here
        done = sigma.run("admin", "grant", "alice@example.com")
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert done.stderr.startswith("alice@example.com: no account with this address")
        assert "new@" not in done.stderr
        assert await accounts.role_of(alice) is None
        assert owner.execute(DEEDS).fetchall() == []

        owner.execute("select sigma.note_user(%s, 'new@example.com')", [alice])
        assert sigma.run("admin", "grant", "New@example.com").returncode == 0
        assert await accounts.role_of(alice) == "admin"
        await move(alice, "newer@example.com")
        assert sigma.run("admin", "list").stdout == "new@example.com\n"
        assert sigma.run("admin", "revoke", "new@example.com").returncode == 0
        assert await accounts.role_of(alice) is None
        assert sigma.run("admin", "list").stdout.startswith("Nobody yet")


async def test_one_whose_address_somebody_else_signed_in_with_since_is_listed_and_revoked_by_id(
    full: Sigma, owner: psycopg.Connection
):
    assert full.run("admin", "grant", "alice@example.com").returncode == 0
    ((alice,),) = owner.execute(
        "update auth.users set email = null where email = 'alice@example.com' returning id"
    ).fetchall()
    assert full.run("admin", "list").stdout == f"{alice}\n"
    assert full.run("admin", "revoke", str(UUID(int=1))).returncode == 1
    done = full.run("admin", "revoke", str(alice))
    assert (done.returncode, done.stdout) == (0, f"{alice}: no operator any more.\n"), done.stderr
    assert full.run("admin", "list").stdout.startswith("Nobody yet")
