"""What an operator does to an account: closes it to its owner and opens it again, signs browsers out, deletes it.

Each goes on record first (`service.acting`); what Supabase and Stripe have to do comes after that, and again by a job
where it did not come to an end. Operators' accounts can be neither closed, opened again nor deleted
(`session.operators.refuse_operators`); to sign their browsers out harms nobody, and may be what helps.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import SigmaError
from sigma_app.features.accounts import service as accounts
from sigma_app.features.billing import service as billing
from sigma_app.features.console import job_words
from sigma_app.features.console.service import NothingToDo, acting, reading
from sigma_app.gateways import accounts as identity
from sigma_app.session import store
from sigma_app.session.operators import refuse_operators
from sigma_app.session.store import Session

_THE_REST = job_words.named("accounts:finish_leaving")
_FOR_EVER = timedelta(days=36_500)


class NobodyThere(SigmaError):
    """There is no such account any more."""

    status = 404


class _Account(NamedTuple):
    email: str
    disabled: bool


async def disable(session: Session, user: UUID) -> None:
    """Keep somebody from signing in, and end what they are signed in with.

    Raises:
        NotAnOperator, NobodyThere, OperatorsAccount, NothingToDo, DatabaseUnavailable: nothing was done.
        IdentityRefused, IdentityBusy, IdentityUnavailable: nothing was done, but is on record as tried.
    """
    if (await _ordinary(session, user)).disabled:
        raise NothingToDo
    async with acting(session, "user.disable", user):
        pass
    await identity.set_disabled(user, disabled=True)
    await get_database().run(
        Step(SERVICE, "select sigma.note_disabled(%s, %s)", [user, datetime.now(UTC) + _FOR_EVER]),
        Step(SERVICE, "delete from sigma.sessions where user_id = %s", [user]),
    )


async def enable(session: Session, user: UUID) -> None:
    """Let somebody sign in again; raises as `disable`."""
    if not (await _ordinary(session, user)).disabled:
        raise NothingToDo
    async with acting(session, "user.enable", user):
        pass
    await identity.set_disabled(user, disabled=False)
    await get_database().run(Step(SERVICE, "select sigma.note_disabled(%s, null)", [user]))


async def sign_out(session: Session, user: UUID, only: UUID | None = None) -> int:
    """Sign somebody out in one browser, or in all; in how many.

    Raises:
        NotAnOperator, NothingToDo, DatabaseUnavailable: nothing was done.
    """
    where = {"device": str(only)} if only else {}
    async with acting(session, "user.sign_out", user, **where) as transaction:
        ended = await store.end_of(transaction, user, only)
        if not ended:
            raise NothingToDo
    return ended


async def delete(session: Session, user: UUID) -> str:
    """Delete an account with everything that belongs to it, as its owner can.

    Returns:
        What became of it, in words: what is kept by an address that is not the account's any more stays.

    Raises:
        NotAnOperator, NobodyThere, OperatorsAccount, DebitUnderWay, DatabaseUnavailable, IdentityBusy, IdentityRefused,
            IdentityUnavailable: nothing was deleted.
        NotGoneYet: the place in line is gone; the rest follows by itself.
    """
    known = (await _ordinary(session, user)).email
    await billing.refuse_while_under_way(user)
    address = await identity.address_of(user)  # the one that is known here may be somebody else's by now
    async with acting(session, "user.delete", user) as transaction:
        await accounts.begin_leaving(transaction, user, address or "")
    try:
        await accounts.finish_leaving(user)
    except accounts.NotGoneYet as error:
        raise accounts.NotGoneYet(
            f"Not everything is gone yet. A job does the rest by itself, within hours: {_THE_REST}."
        ) from error
    if not address:
        why = "Supabase had the account no more" if address is None else "the account had no address"
        left = f", and what is kept by {known} stays: nobody can say whose that is by now" if known else ""
        return f"Deleted. No mail was sent, since {why}{left}."
    if address.lower() != known.lower():
        left = f" What is kept by {known} stays: that may be somebody else's by now." if known else ""
        return f"Deleted. A mail tells them so, at the address that they had at Supabase.{left}"
    return "Deleted, with everything that belongs to the account. A mail tells them so."


async def _ordinary(session: Session, user: UUID) -> _Account:
    """An account as it is known here; refuses one that is not there, and an operator's."""
    async with reading(session) as cursor:
        await cursor.execute(_ACCOUNT, [user])
        found = await cursor.fetchone()
    if found is None:
        raise NobodyThere
    await refuse_operators(user)
    return _Account(**found)


_ACCOUNT = """
select coalesce(email, '') as email, coalesce(banned_until > now(), false) as disabled
from sigma.accounts where id = %s
"""
