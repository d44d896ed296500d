"""/admin/users: who has an account, the newest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import reflex as rx
from psycopg import AsyncCursor
from psycopg.sql import SQL

from sigma_app.features.console import asked as asks
from sigma_app.features.console import paging
from sigma_app.features.console.paging import NEWEST_FIRST
from sigma_app.features.console.parts import (
    Row,
    choice,
    console_page,
    field,
    filters,
    no_rows,
    page,
    pager,
    part,
    table,
    when,
)
from sigma_app.features.console.state import ConsolePage
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.link import link

ROUTE = "/admin/users"
ONE = "/admin/user"
HEADINGS = ("Address", "Name", "Access", "State", "Signed up (UTC)", "Signed in (UTC)")
_WHICH: Mapping[str, LiteralString] = {
    "access": "profile.has_access",
    "none": "profile.has_access is not true",
    "disabled": "account.banned_until > now()",
    "operators": "account.role = 'admin'",
    "unconfirmed": "account.email_confirmed_at is null",
}
_CHOICES = (
    *(("", "Everybody"), ("access", "With access"), ("none", "Without access")),
    *(("disabled", "Disabled"), ("operators", "Operators"), ("unconfirmed", "Unconfirmed")),
)
_ALL = SQL("""
select account.id, account.created_at, account.email, account.email_confirmed_at, account.last_sign_in_at,
  account.banned_until > now() as disabled, account.role, profile.name, profile.has_access
from sigma.accounts as account left join public.profiles as profile on profile.id = account.id
""")
_BEGINS = SQL("lower(account.email) ~>=~ %(beginning)s and lower(account.email) ~<~ %(beyond)s")


class UsersState(ConsolePage, SessionState):
    """A page of the list."""

    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    email: str = ""
    which: str = ""
    newer: str = ""
    older: str = ""

    _topics = frozenset({"users"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self.email, self.which = asks.words(asked, "email"), asks.one_of(asked, "which", _WHICH)
        conditions = [_BEGINS] if self.email else []
        conditions += [SQL(_WHICH[self.which])] if self.which else []
        source = _ALL + SQL(" where ") + SQL(" and ").join(conditions) if conditions else _ALL
        found = await paging.read(cursor, source, NEWEST_FIRST, asked, asks.between(self.email))
        self.rows = [_row(one) for one in found.rows]
        self.newer, self.older = paging.ways(ROUTE, asked, found)


def standing(account: Mapping[str, Any]) -> str:
    """What is not usual about an account, in words; "" for nothing."""
    said = [
        "operator" if account["role"] == "admin" else "",
        "disabled" if account["disabled"] else "",
        "unconfirmed" if account["email_confirmed_at"] is None else "",
    ]
    return ", ".join(filter(None, said))


def _row(account: Mapping[str, Any]) -> Row:
    return Row(
        str(account["id"]),
        [
            account["email"] or "no address",
            account["name"] or "",
            "yes" if account["has_access"] else "",
            standing(account),
            when(account["created_at"]),
            when(account["last_sign_in_at"]),
        ],
        href=f"{ONE}?id={account['id']}",
        tone="over" if account["disabled"] else "",
    )


def users() -> rx.Component:
    """The list."""
    return console_page(
        UsersState,
        "Users",
        part(
            "Who has an account",
            filters(
                field("Address begins with", "email", UsersState.email, type="search", auto_complete="off"),
                choice("Which", "which", UsersState.which, _CHOICES),
                action=ROUTE,
            ),
            table(
                "Accounts, newest first",
                HEADINGS,
                UsersState.rows,
                empty=no_rows(
                    "Nobody has an account yet.",
                    asked=(UsersState.email + UsersState.which) != "",
                    matches="Nobody matches.",
                    href=ROUTE,
                    everything="Show everybody",
                ),
            ),
            pager(UsersState.newer, UsersState.older),
        ),
        part(
            "Somebody who asks",
            rx.el.p(
                "Whoever asks what is kept about them, or to be forgotten, may have no account: ",
                link("look for a person", href="/admin/person"),
                ".",
            ),
        ),
        here=ROUTE,
        lede="Everybody with an account. Operators are made and unmade on the command line only: "
        "python -m sigma_app admin grant EMAIL, and revoke.",
    )


PAGES = [page(users, ROUTE, "Users", UsersState)]
