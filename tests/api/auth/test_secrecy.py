"""Who may read what auth keeps: nobody but auth itself."""

from __future__ import annotations

import pytest
from psycopg.errors import InsufficientPrivilege

from sigma_app.core.database import ANONYMOUS, SERVICE, Actor, get_database, user_actor
from tests.api.auth.conftest import Here

pytestmark = pytest.mark.anyio

TABLES = ("users", "identities", "sessions", "refresh_tokens", "mfa_amr_claims", "one_time_tokens", "flow_state")


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("actor", ["anon", "authenticated", "service_role"])
async def test_no_request_reads_or_writes_a_table_of_auth(here: Here, table: str, actor: str):
    alice = await here.member()
    actors = {"anon": ANONYMOUS, "authenticated": user_actor(alice.id), "service_role": SERVICE}
    for statement in ("select * from auth.{}", "delete from auth.{}", "truncate auth.{}"):
        with pytest.raises(InsufficientPrivilege):
            async with get_database().cursor(actors[actor]) as cursor:
                await cursor.execute(statement.format(table).encode())


async def test_auth_itself_reads_nothing_else(here: Here):
    await here.member()
    for query in ("select * from public.profiles", "select * from public.leads", "select sigma.queue_job('x', '{}')"):
        with pytest.raises(InsufficientPrivilege):
            async with get_database().cursor(Actor("supabase_auth_admin", "{}")) as cursor:
                await cursor.execute(query.encode())


async def test_no_answer_holds_a_hash_or_a_token_that_was_mailed(here: Here):
    email = await here.newcomer()
    token, user = here.pending(email), here.user(email)
    secrets = (token.hash, token.code, user["encrypted_password"], here.keys.secret)
    answers = [
        await here.ask("POST", "/signup", {"email": email, "password": "another one"}),
        await here.ask("POST", "/recover", {"email": email}),
        await here.manage("GET", f"/admin/users/{user['id']}"),
        await here.manage("GET", "/admin/users"),
        await here.ask("POST", "/verify", {"type": "signup", "token_hash": token.hash}),
    ]
    for answer in answers:
        assert not [secret for secret in secrets[:1] + secrets[2:] if secret in answer.text]


async def test_the_database_holds_no_code(here: Here):
    email = await here.newcomer()
    token = here.pending(email)
    for table in ("one_time_tokens", "users"):
        assert here.rows(f"select from auth.{table} as t where t::text ~ ('\\m' || %s || '\\M')", token.code) == []
    assert here.rows(
        "select from procrastinate.procrastinate_jobs where args::text ~ ('\\m' || %s || '\\M')", token.code
    ) == []  # fmt: skip
