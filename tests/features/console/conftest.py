"""An operator's session, Bob's who is none, and leads to look through."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from sigma_app.session import store
from sigma_app.session.store import Session
from tests.portal import (
    SignIn,
    cookie,
    nothing_secret_is_logged,
    serving,
    session,
    settings,
    sign_in,
    tokens,
    turn_back,
    variables,
)

__all__ = [
    "cookie",
    "nothing_secret_is_logged",
    "serving",
    "session",
    "settings",
    "sign_in",
    "tokens",
    "turn_back",
    "variables",
]

Lead = Callable[..., UUID]


def set_role(owner: psycopg.Connection, account: UUID, role: str | None) -> None:
    """As Supabase does for `python -m sigma_app admin`."""
    owner.execute(
        "update auth.users set raw_app_meta_data ="
        " coalesce(raw_app_meta_data, '{}') || jsonb_build_object('role', %s::text) where id = %s",
        [role, account],
    )


@pytest.fixture
def operator(owner: psycopg.Connection, session: Session) -> Session:
    """Alice's, who operates."""
    set_role(owner, session.user_id, "admin")
    return session


@pytest.fixture
async def stranger(sign_in: SignIn) -> Session:
    """Bob's, who does not."""
    found = await store.find(await store.open_session(await sign_in("bob"), "Bob's browser"))
    assert found
    return found


@pytest.fixture
def lead(owner: psycopg.Connection) -> Lead:
    """Puts somebody on the list: `lead("ann@example.com", confirmed=True, utm_source="x", created_at="2026-01-01")`."""

    def put(email: str, *, confirmed: bool = False, **columns: object) -> UUID:
        names = ["email", *columns]
        marks = ", ".join(["%s"] * len(names))
        row = owner.execute(
            f"insert into leads ({', '.join(names)}) values ({marks}) returning id".encode(),
            [email, *columns.values()],
        ).fetchone()
        assert row
        if confirmed:
            owner.execute("select sigma.confirm(%s, 5)", [row[0]])
        return row[0]

    return put


@pytest.fixture
def deeds(owner: psycopg.Connection) -> Callable[[], list[tuple[str, str | None, dict]]]:
    """What the audit log says: each deed, whom it is about, and more."""

    def read() -> list[tuple[str, str | None, dict]]:
        return owner.execute("select action, subject, detail from sigma.audit_log order by id").fetchall()

    return read


@pytest.fixture
def due(owner: psycopg.Connection):
    """Lets the grace of every run pass."""

    def pass_grace() -> None:
        owner.execute("update sigma.bulk_runs set starts_at = now() - interval '1 second' where state = 'waiting'")

    return pass_grace
