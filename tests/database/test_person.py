"""Finding a person by their address: the service may, and nobody else; by auth, and by no secret of it."""

from __future__ import annotations

import psycopg
import pytest

from sigma_app.core.database import ANONYMOUS, SERVICE
from sigma_app.core.migrations import migrate

QUESTIONS = ("select sigma.find_account('alice@example.com')", "select sigma.account_record(%(id)s)")


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_service_alone_may_ask(attempt, alice, owner, question):
    assert attempt(SERVICE, question, {"id": alice.id}) == 1
    for actor in (ANONYMOUS, alice.actor):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attempt(actor, question, {"id": alice.id})
        for function in ("find_account(text)", "account_record(uuid)"):  # and not only because the schema is closed
            allowed = owner.execute(
                "select has_function_privilege(%s, %s, 'execute')", [actor.role, f"sigma.{function}"]
            )
            assert allowed.fetchone() == (False,)


def test_somebody_is_found_by_the_accounts_address_in_any_case_and_never_by_a_profiles(owner, alice, bob):
    owner.execute("update profiles set email = 'alice@example.com' where id = %s", [bob.id])
    owner.execute("update profiles set email = 'charlie@example.com' where id = %s", [alice.id])
    ask = "select sigma.find_account(%s)"
    assert owner.execute(ask, ["ALICE@example.com"]).fetchone() == (alice.id,)
    assert owner.execute(ask, ["charlie@example.com"]).fetchone() == (None,)


def test_the_record_has_no_secret_and_no_column_that_nobody_looked_at(owner, alice):
    owner.execute("alter table auth.users add column something_new text default 'secret'")
    owner.execute(
        "update auth.users set encrypted_password = 'secret', confirmation_token = 'secret', recovery_token = 'secret',"
        " email_change_token_new = 'secret', reauthentication_token = 'secret', phone = '+49', created_at = now()"
    )
    ((record,),) = owner.execute("select sigma.account_record(%s)", [alice.id]).fetchall()
    assert set(record) == {"id", "email", "phone", "created_at", "identities", "sessions"}
    assert "secret" not in str(record)
    assert owner.execute("select sigma.account_record(gen_random_uuid())").fetchone() == (None,)


def test_in_a_supabase_project_it_works_with_what_is_there(hosted, url):
    migrate(url)
    with psycopg.connect(hosted.address("project"), autocommit=True) as connection:
        connection.execute("insert into auth.users (id, email) values (gen_random_uuid(), 'eve@example.com')")
        connection.execute("set role service_role")
        found = connection.execute("select sigma.account_record(sigma.find_account('Eve@example.com'))").fetchone()
        assert found
        assert found[0]["email"] == "eve@example.com"
        connection.execute("reset role")
        connection.execute("delete from auth.users")
