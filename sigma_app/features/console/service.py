"""The console's two ways to the data: reading, which row level security judges, and acting, which goes on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncCursor
from sqlalchemy import cast, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from sigma_app.core.database import get_database
from sigma_app.core.errors import SigmaError
from sigma_app.session.operators import deputy, reader
from sigma_app.session.store import Session

CHANNEL = "sigma_console"  # the payload is a topic (sigma.tell_console); none: anything may have been missed
OPERATORS = "operators"
"""The topic of who operates, which every page of the console hears (live.py)."""


class NotAnOperator(SigmaError):
    """This is for those who operate Sigma, and your account is none of theirs (any more)."""

    status = 403


class TooSlow(SigmaError):
    """The database took too long over that. Ask for less: a status, a source, fewer days."""

    status = 503


class NothingToDo(SigmaError):
    """It is so already; nothing was done."""

    status = 409


@asynccontextmanager
async def reading(session: Session) -> AsyncIterator[AsyncCursor[dict[str, Any]]]:
    """A cursor, its rows dicts, on behalf of an operator.

    Raises:
        NotAnOperator: they are none.
        DatabaseUnavailable: it could not be read.
    """
    async with get_database().cursor(reader(session.user_id)) as cursor:
        await cursor.execute("select sigma.is_admin() as yes")
        if not (await cursor.fetchone() or {}).get("yes"):
            raise NotAnOperator
        try:
            yield cursor
        except psycopg.errors.QueryCanceled as error:
            raise TooSlow from error


@asynccontextmanager
async def acting(session: Session, action: str, subject: object = None, **detail: Any) -> AsyncIterator[AsyncSession]:
    """A transaction of the service in the name of an operator, which begins with what goes on record of it.

    Args:
        session: the operator's.
        action: what is done, such as "lead.erase".
        subject: the id of what it is done to.
        detail: what else has to be known of it later; no address, which the log would keep for ever.

    Raises:
        NotAnOperator: they are none, and nothing was done.
        DatabaseUnavailable: nothing was done.
    """
    async with get_database().transaction(deputy(session.user_id)) as transaction:
        try:
            await record(transaction, action, subject, **detail)
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
                raise NotAnOperator from error
            raise
        yield transaction


async def record(transaction: AsyncSession, action: str, subject: object = None, **detail: Any) -> None:
    """Put a deed on record, in the transaction that does it; of the command line where that is SERVICE's."""
    known = None if subject is None else str(subject)
    await transaction.exec(select(func.sigma.audit(action, known, cast(detail, JSONB))))


async def tell_of_operators(transaction: AsyncSession) -> None:
    """Have every open page of the console ask again who it is, once the transaction has committed."""
    await transaction.exec(select(func.pg_notify(CHANNEL, OPERATORS)))
