"""Deleting an account with everything that belongs to it.

In an order in which a failure half-way leaves an account that can be deleted again: what hangs on it first, itself
last. Stripe is not told here: checkout keeps no customer yet, and whoever adds one closes it with the others, before
the account.
"""

from __future__ import annotations

from sigma_app.core.database import SERVICE, Step, get_database
from sigma_app.core.errors import SigmaError
from sigma_app.core.jobs import queue_job
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways import accounts, pictures
from sigma_app.gateways.keys import seal
from sigma_app.session.store import Session


class NotGoneYet(SigmaError):
    """Not everything is gone yet, and what is gone stays gone. Please press again in a moment to go on."""

    status = 503


async def delete_account(session: Session) -> None:
    """Delete the account of whoever is signed in: files, place in line, profile, devices, and at last itself.

    Repeating it after an error goes on where it stopped.

    Raises:
        NotGoneYet: the account is still there, or may be.
    """
    try:
        await _delete(session)
    except SigmaError as error:
        raise NotGoneYet from error


async def _delete(session: Session) -> None:
    await pictures.remove_all(session.user_id)
    async with get_database().transaction(SERVICE) as transaction:
        await waitlist.erase_address(transaction, session.email)
    await accounts.delete_user(session.user_id)
    async with get_database().transaction(SERVICE) as transaction:
        await queue_job(transaction, "accounts:send_farewell", sealed=seal(session.email), user=str(session.user_id))
    # Where the account was in a project elsewhere, what is here hangs on its name; its own database has let go of it.
    await get_database().run(
        Step(SERVICE, "select sigma.forget_user(%s)", [session.user_id]),
        Step(SERVICE, "delete from sigma.sessions where user_id = %s", [session.user_id]),
    )
