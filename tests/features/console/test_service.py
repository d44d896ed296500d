"""Who may read and act, and that acting goes on record or does not happen."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from supabase_auth.errors import AuthApiError

from sigma_app.core.database import ANONYMOUS, SERVICE, get_database, user_actor
from sigma_app.core.logs import request_id
from sigma_app.features.console.service import NotAnOperator, acting, reading, record
from sigma_app.gateways.identity import reaching_supabase
from sigma_app.session.operators import is_operator, reader
from tests.features.console.conftest import set_role

pytestmark = pytest.mark.anyio


async def test_an_operator_reads_and_nobody_else(operator, stranger, lead):
    lead("ann@example.com")
    async with reading(operator) as cursor:
        await cursor.execute("select email from leads")
        assert await cursor.fetchall() == [{"email": "ann@example.com"}]
    with pytest.raises(NotAnOperator):
        async with reading(stranger):
            pass


async def test_whoever_loses_the_role_or_is_disabled_loses_it_at_once(operator, owner):
    assert await is_operator(operator.user_id)
    set_role(owner, operator.user_id, None)
    assert not await is_operator(operator.user_id)
    set_role(owner, operator.user_id, "admin")
    owner.execute("update auth.users set banned_until = now() + interval '1 day' where id = %s", [operator.user_id])
    assert not await is_operator(operator.user_id)
    with pytest.raises(NotAnOperator):
        async with reading(operator):
            pass


async def test_row_level_security_has_the_last_word(stranger, owner, lead):
    """Also where the code of the console forgot to ask."""
    lead("ann@example.com")
    for table in owner.execute(
        "select polrelid::regclass::text from pg_policy where polname = 'operators_read'"
    ).fetchall():
        async with get_database().cursor(reader(stranger.user_id)) as cursor:
            columns = "*" if table[0] not in ("sigma.lead_links", "sigma.sessions") else "id"
            await cursor.execute(f"select {columns} from {table[0]}".encode())
            assert await cursor.fetchall() == [], table
    for view in ("sigma.accounts", "sigma.leads_by_address", "sigma.messages_by_address"):
        async with get_database().cursor(reader(stranger.user_id)) as cursor:
            await cursor.execute(f"select * from {view}".encode())
            assert await cursor.fetchall() == [], view


@pytest.mark.parametrize("table", ["leads", "profiles", "sigma.audit_log", "sigma.bulk_runs", "billing.customers"])
@pytest.mark.parametrize("statement", ["update {} set id = default", "delete from {}", "insert into {} default values"])
async def test_an_operator_writes_nothing_by_reading(operator, table, statement):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with get_database().cursor(reader(operator.user_id)) as cursor:
            await cursor.execute(statement.format(table).encode())


@pytest.mark.parametrize("column", ["tokens", "digest"])
async def test_an_operator_sees_nothing_that_opens_a_session_or_a_link(operator, column):
    for table in ("sigma.sessions", "sigma.lead_links"):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedColumn)):
            async with get_database().cursor(reader(operator.user_id)) as cursor:
                await cursor.execute(f"select {column} from {table}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with get_database().cursor(reader(operator.user_id)) as cursor:
            await cursor.execute("select encrypted_password from auth.users")


async def test_a_deed_is_on_record_with_who_what_whom_and_the_request(operator, owner):
    subject = uuid4()
    request_id.set("r-1")
    async with acting(operator, "lead.flag", subject, reason="odd"):
        pass
    row = owner.execute(
        "select operator, operator_name, action, subject, detail, request from sigma.audit_log"
    ).fetchone()
    assert row == (operator.user_id, operator.email, "lead.flag", str(subject), {"reason": "odd"}, "r-1")


async def test_what_is_undone_is_not_on_record(operator, deeds):
    with pytest.raises(ZeroDivisionError):
        async with acting(operator, "lead.flag", uuid4()):
            raise ZeroDivisionError
    assert deeds() == []


async def test_nobody_else_acts(stranger, deeds, lead, owner):
    lead("ann@example.com")
    with pytest.raises(NotAnOperator):
        async with acting(stranger, "leads.erase") as transaction:
            await (await transaction.connection()).execute(text("delete from leads"))
    assert deeds() == []
    assert owner.execute("select count(*) from leads").fetchone() == (1,)


async def test_the_command_line_is_on_record_as_itself(serving, owner):
    async with get_database().transaction(SERVICE) as transaction:
        await record(transaction, "operator.grant", uuid4())
    assert owner.execute("select operator, operator_name from sigma.audit_log").fetchall() == [
        (None, "the command line")
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "update sigma.audit_log set action = 'nothing'",
        "delete from sigma.audit_log",
        "truncate sigma.audit_log",
        "update sigma.audit_log set action = 'x' where false",
    ],
)
async def test_not_even_the_owner_changes_the_log(operator, owner, deeds, statement):
    async with acting(operator, "lead.flag"):
        pass
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only ever added to"):
        owner.execute(statement.encode())
    assert [action for action, *_ in deeds()] == ["lead.flag"]


@pytest.mark.parametrize("actor", [ANONYMOUS, "user"])
async def test_visitors_and_users_have_no_way_into_the_log(stranger, actor):
    who = user_actor(stranger.user_id) if actor == "user" else actor
    for statement in (b"select sigma.audit('x', null)", b"select * from sigma.audit_log", b"select sigma.is_admin()"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with get_database().cursor(who) as cursor:
                await cursor.execute(statement)


async def test_nobody_gives_themselves_the_role(stranger, sign_in):
    """By Supabase's own door for what users say of themselves."""
    mine = await sign_in("bob")
    async with reaching_supabase() as client:
        await client.auth.set_session(mine.access, mine.refresh)
        await client.auth.update_user({"data": {"role": "admin"}})
        with pytest.raises(AuthApiError, match="admin privileges"):
            wish: Any = {"app_metadata": {"role": "admin"}}
            await client.auth.update_user(wish)
    assert not await is_operator(stranger.user_id)
