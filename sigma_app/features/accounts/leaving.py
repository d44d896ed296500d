"""Deleting an account with everything that belongs to it.

The place in line goes first, and what is on record of mails, in the transaction that queues the rest as jobs; then
the rest is tried at once, but for kept mails and what was told of them, which are a job's. Whatever stands in the way
of that, the job does it in the end, and it goes by the account's id alone: whoever comes back with the same address
meanwhile loses nothing. What somebody subscribed to ends at once, with their customer at Stripe; the invoices stay
there, as the law has it.

One farewell is written, whatever ends half-way and however often it is begun: the sealed address stands with the job
that waits, and whoever takes it from there queues the farewell in the same transaction.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.addresses import address_digest
from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.errors import SigmaError
from sigma_app.core.jobs import queue_job
from sigma_app.features.accounts.kept import remove_owned
from sigma_app.features.billing import service as billing
from sigma_app.features.mail import service as mail
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways import accounts, pictures
from sigma_app.gateways.keys import seal

# By then what was under way in another tab, such as a picture, has ended, and is found as well.
SECOND_LOOK = timedelta(minutes=1)
PATIENCE = 12.0  # seconds, for all that is elsewhere


class NotGoneYet(SigmaError):
    """Not everything is gone yet. The rest goes by itself, within hours; a mail tells you once your account has."""

    status = 503


async def delete_account(user_id: UUID, email: str) -> None:
    """Delete an account with everything that belongs to it: place in line, files, itself, profile, and at last devices.

    Args:
        user_id: of the account.
        email: its address.

    Raises:
        NotGoneYet: the account is still there, or may be; the rest follows.
        DebitUnderWay, DatabaseUnavailable: nothing was deleted.
    """
    await billing.refuse_while_under_way(user_id)
    async with get_database().transaction(SERVICE) as transaction:
        await begin(transaction, user_id, email)
    await finish_now(user_id)


async def begin(transaction: AsyncSession, user_id: UUID, email: str) -> None:
    """Take the first step of an account that goes, in a transaction of SERVICE: the job does what is left by itself.

    Args:
        transaction: of SERVICE.
        user_id: of the account.
        email: its address; "" for none, or one that nobody knows any more, and then nothing goes by an address.

    Raises:
        DatabaseUnavailable: nothing was deleted.
    """
    digest = address_digest(email)
    await waitlist.erase_address(transaction, email)  # first, as wherever somebody is erased: two of them wait in turn
    await mail.forget_record(transaction, digest)
    await queue_job(transaction, "mail:forget", digest=digest.hex())  # with what is under way
    await _hold(transaction, user_id)
    there = (await transaction.exec(select(func.sigma.account_record(user_id)))).one() is not None
    farewell = {"sealed": seal(email)} if email and there else {}  # of one that has just gone, somebody else has it
    await queue_job(transaction, "accounts:finish_leaving", after=SECOND_LOOK, user=str(user_id), **farewell)


async def finish_now(user_id: UUID) -> None:
    """`finish`, for somebody who waits for it, and no longer than `PATIENCE`.

    Raises:
        NotGoneYet: something is left, which the job does.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            await finish(user_id)
    except (SigmaError, TimeoutError) as error:
        raise NotGoneYet from error


async def finish(user_id: UUID) -> None:
    """Delete what is left of an account whose owner wanted it gone; nothing happens where nothing is.

    Raises:
        IdentityRefused, IdentityBusy, IdentityUnavailable, DatabaseUnavailable, PaymentsRefused, PaymentsUnavailable:
            something is left.
    """
    await billing.close_customer(user_id)
    await pictures.remove_all(user_id)
    await remove_owned(user_id)  # which Supabase deletes no account before, either
    await accounts.delete_user(user_id)
    async with get_database().transaction(SERVICE) as transaction:
        await _hold(transaction, user_id)
        connection = await transaction.connection()
        taken = (await connection.execute(_TAKE_ADDRESS, {"user": str(user_id)})).scalars().all()
        if taken:
            await queue_job(transaction, "accounts:send_farewell", sealed=taken[0], user=str(user_id))
        # Where the account was in a project elsewhere, what is here hangs on its name; its own database let go of it.
        await transaction.exec(select(func.sigma.forget_user(user_id)))
        await connection.execute(_END_SESSIONS, {"user": user_id})


async def _hold(transaction: AsyncSession, user_id: UUID) -> None:
    """Let nobody else begin or finish with this account until the transaction ends."""
    await transaction.exec(select(func.sigma.hold_account(user_id)))


_TAKE_ADDRESS = text("""
with theirs as (
  select id, args ->> 'sealed' as sealed from procrastinate.procrastinate_jobs
  where task_name = 'accounts:finish_leaving' and args ->> 'user' = :user and args ? 'sealed'
  order by id for update
), emptied as (
  update procrastinate.procrastinate_jobs as job set args = job.args - 'sealed' from theirs where job.id = theirs.id
)
select sealed from theirs
""")
_END_SESSIONS = text("delete from sigma.sessions where user_id = :user")
