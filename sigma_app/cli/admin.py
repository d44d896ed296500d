"""`python -m sigma_app admin …`: who operates Sigma, and may open the console at /admin."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString
from uuid import UUID

import click

from sigma_app.cli.database import migrated_database
from sigma_app.core.errors import SigmaError, StartError
from sigma_app.settings import get_settings


@click.group()
def command() -> None:
    """Say who operates Sigma: they see and do everything, at /admin."""


@command.command()
@click.argument("email")
def grant(email: str) -> None:
    """Make the account with this address an operator's. Whoever it is has to have signed up and confirmed it; with
    Supabase elsewhere, to have signed in here with it, too.

    Where they have the role already that is said, and nothing is done or recorded.
    """
    sys.exit(_grant_to(email.strip()))


@command.command()
@click.argument("who", metavar="EMAIL")
def revoke(who: str) -> None:
    """Make the account with this address an ordinary one again, at once: its open pages of the console are emptied.

    EMAIL is what `admin list` shows of it: its id, where no address of it is known here. Ends with 1 where it is none
    of an operator's.
    """
    sys.exit(_revoke_from(who.strip()))


@command.command("list")
def list_operators() -> None:
    """Show the operators."""
    with migrated_database(get_settings(), lambda _: None):
        operators = asyncio.run(_operators())
    for email in operators:
        print(email)
    if not operators:
        print("Nobody yet: python -m sigma_app admin grant EMAIL makes an account an operator's.")


def _grant_to(email: str) -> int:
    settings = get_settings()
    with migrated_database(settings, lambda _: None):
        granted = asyncio.run(_grant(email))
    if granted is None:
        why = f"no account with this address, confirmed. Sign up first, at {settings.base_url}/sign-up."
        print(f"{email}: {why}", file=sys.stderr)
        return 1
    at = f"at {settings.base_url}/admin."
    print(f"{email}: an operator, {at}" if granted else f"{email}: an operator already, {at} Nothing was changed.")
    return 0


def _revoke_from(who: str) -> int:
    with migrated_database(get_settings(), lambda _: None):
        refused = asyncio.run(_revoke(who))
    if refused:
        print(f"{who}: {refused}", file=sys.stderr)
        return 1
    print(f"{who}: no operator any more.")
    return 0


async def _grant(email: str) -> bool | None:
    """Give the role, at Supabase and in what this database knows of it.

    Returns:
        Whether they had it not; None where there is no such account.
    """
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console.service import record
    from sigma_app.gateways import accounts
    from sigma_app.gateways.database import serving_requests
    from sigma_app.session.operators import has_role

    async with serving_requests():
        account = await _ask("select sigma.confirmed_account(%s) as id", email)
        if account is None:
            return None
        with _mendable():  # with Supabase elsewhere it may have another address since, and this one somebody else
            if (await accounts.address_of(account) or "").lower() != email.lower():
                return None
        with _mendable():  # where giving it ended half-way, only one of the two says so
            if await has_role(account) and await accounts.role_of(account) == "admin":
                return False
        async with get_database().transaction(SERVICE) as transaction:  # on record first, whatever becomes of it
            await record(transaction, "operator.grant", account)
        with _mendable():
            await accounts.set_role(account, "admin")
        async with get_database().transaction(SERVICE) as transaction:
            await _note(transaction, account, operator=True)
    return True


async def _revoke(who: str) -> str:
    """Take the role, first from what this database knows of it, and then at Supabase; why not, or ""."""
    from sigma_app.core.database import SERVICE, get_database
    from sigma_app.features.console.service import record, tell_of_operators
    from sigma_app.gateways import accounts
    from sigma_app.gateways.database import serving_requests
    from sigma_app.session.operators import has_role

    async with serving_requests():
        # By what `admin list` shows, whatever has become of it: taking the role too often is soon mended.
        account = _id_of(who) or await _ask("select sigma.find_account(%s) as id", who)
        if account is None:
            return "no account with this address, so no operator. Nothing was changed."
        with _mendable():  # where taking it ended half-way, Supabase alone still says so
            if not await has_role(account) and await accounts.role_of(account) != "admin":
                return "no operator. Nothing was changed."
        async with get_database().transaction(SERVICE) as transaction:
            await record(transaction, "operator.revoke", account)
            await _note(transaction, account, operator=False)
        with _mendable():
            await accounts.set_role(account, None)
        async with get_database().transaction(SERVICE) as transaction:
            await tell_of_operators(transaction)  # only now: whoever asks earlier is told that they still are
    return ""


def _id_of(who: str) -> UUID | None:
    try:
        return UUID(who)
    except ValueError:
        return None


async def _ask(question: LiteralString, email: str) -> UUID | None:
    """Whose an address is."""
    from sigma_app.core.database import SERVICE, get_database

    async with get_database().cursor(SERVICE) as cursor:
        await cursor.execute(question, [email])
        return (await cursor.fetchone() or {}).get("id")


@contextmanager
def _mendable() -> Iterator[None]:
    """Say in a line that Supabase does not answer, or refuses."""
    try:
        yield
    except SigmaError as error:
        raise StartError(f"{error} The role may be as it was: call it again.") from None


async def _note(transaction: Any, account: UUID, *, operator: bool) -> None:
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
