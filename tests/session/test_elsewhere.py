"""The accounts in a Supabase elsewhere, and the database the portal's own: by VITE_SUPABASE_URL and its keys alone."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from sigma_app.core.database import SERVICE, Database, Step, get_database, serve_requests_from
from sigma_app.gateways import accounts
from sigma_app.gateways.identity import keeping_connections
from sigma_app.session import store
from tests.conftest import settings_for
from tests.elsewhere import elsewhere, variables_of
from tests.portal import PASSWORD
from tests.settled import settled
from tests.sigma import Supabase

__all__ = ["elsewhere"]

pytestmark = pytest.mark.anyio

EMAIL = "alice@example.com"


async def test_a_session_from_the_first_to_the_last_minute(
    elsewhere: Supabase, database: Database, owner: psycopg.Connection, tmp_path: Path
):
    with settled(settings_for(tmp_path, **variables_of(elsewhere))), serve_requests_from(database):
        async with keeping_connections():
            await accounts.create_confirmed(EMAIL, PASSWORD)
            tokens = await accounts.sign_in(EMAIL, PASSWORD)
            assert owner.execute("select from auth.users").fetchone() is None

            cookie = await store.open_session(tokens)
            session = await store.find(cookie)
            assert session
            profile = Step(session.actor, "update profiles set name = 'Alice' returning id, email")
            assert await get_database().run(profile) == [(tokens.user_id, EMAIL)]

            owner.execute("update sigma.sessions set tokens_end_at = now()")
            with elsewhere.database() as theirs:
                theirs.execute("update auth.users set email = 'new@example.com'")
            assert await store.find(cookie)
            again = await store.open_session(await accounts.sign_in("new@example.com", PASSWORD), replacing=cookie)
            for table in ("auth.users", "public.profiles", "sigma.sessions"):
                assert owner.execute(f"select email from {table}".encode()).fetchall() == [("new@example.com",)]
            assert owner.execute("select name from profiles").fetchone() == ("Alice",)

            await accounts.delete_user(tokens.user_id)
            owner.execute("update sigma.sessions set tokens_end_at = now()")
            assert await store.find(again) is None
            await get_database().run(Step(SERVICE, "select sigma.forget_user(%s)", [tokens.user_id]))
            assert owner.execute("select from profiles").fetchone() is None
