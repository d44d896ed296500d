"""`python -m sigma_app admin …`: who operates Sigma, and may open the console at /admin."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from uuid import UUID

import click

from sigma_app.cli.database import migrated_database
from sigma_app.settings import get_settings


@click.group()
def command() -> None:
    """Say who operates Sigma: they see and do everything, at /admin."""


@command.command()
@click.argument("email")
def grant(email: str) -> None:
    """Make the account with this address an operator's. Whoever it is has to have signed up and confirmed it."""
    sys.exit(_change(email.strip(), operator=True))


@command.command()
@click.argument("email")
def revoke(email: str) -> None:
    """Make the account with this address an ordinary one again, at once."""
    sys.exit(_change(email.strip(), operator=False))


@command.command("list")
def list_operators() -> None:
    """Show the operators."""
    with migrated_database(get_settings(), lambda _: None):
        operators = asyncio.run(_operators())
    for email in operators:
        print(email)
    if not operators:
        print("Nobody yet: python -m sigma_app admin grant EMAIL makes an account an operator's.")


def _change(email: str, *, operator: bool) -> int:
    settings = get_settings()
    with migrated_database(settings, lambda _: None):
        found = asyncio.run(_set(email, operator))
    if found is None:
        print(
            f"{email}: no account with this address, confirmed. Sign up first, at {settings.base_url}/sign-up.",
            file=sys.stderr,
        )
        return 1
    print(f"{email}: an operator, at {settings.base_url}/admin." if operator else f"{email}: no operator any more.")
    return 0


async def _set(email: str, operator: bool) -> UUID | None:
    """Change the account at Supabase, and what this database knows of it; which one, or None where there is none."""
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console.service import record
    from sigma_app.gateways import accounts
    from sigma_app.gateways.database import serving_requests

    async with serving_requests():
        async with get_database().cursor(SERVICE) as cursor:
            await cursor.execute("select sigma.confirmed_account(%s) as id", [email])
            account = (await cursor.fetchone() or {}).get("id")
        if account is None:
            return None
        async with get_database().transaction(SERVICE) as transaction:  # on record first, whatever becomes of it
            await record(transaction, "operator.grant" if operator else "operator.revoke", account)
            if not operator:
                await _note(transaction, account, operator)
        await accounts.set_role(account, "admin" if operator else None)
        if operator:
            async with get_database().transaction(SERVICE) as transaction:
                await _note(transaction, account, operator)
    return account


async def _note(transaction: Any, account: UUID, operator: bool) -> None:
    """Where accounts are in a project elsewhere, this database knows them by name only: it learns the role here."""
    from sqlalchemy import func
    from sqlmodel import select

    await transaction.exec(select(func.sigma.note_operator(account, operator)))


async def _operators() -> list[str]:
    from sigma_app.core.database import SERVICE, Step, get_database
    from sigma_app.gateways.database import serving_requests

    async with serving_requests():
        rows = await get_database().run(Step(SERVICE, "select sigma.operators()"))
    return [email for (email,) in rows]
