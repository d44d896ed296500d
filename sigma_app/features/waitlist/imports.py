"""Whose address is in the rows of files that wait to be imported, or were refused: told to them, and forgotten.

A row has the address as it could be read, and where none could, the cell as it came: two addresses, say, or a sentence.
Whichever way an address stands in such a cell, the row is forgotten with it; a refused row is nothing but a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession


async def imports_of(session: AsyncSession, email: str) -> list[dict[str, Any]]:
    """What these rows say of whoever has an address, in any case; in a transaction of SERVICE.

    Of a refused cell that has more in it than the address it is told only that there is one.
    """
    connection = await session.connection()
    return list((await connection.execute(_TOLD, {"emails": [email], "email": email})).scalars())


async def forget_imports(session: AsyncSession, emails: Sequence[str]) -> None:
    """Remove the rows that have one of these addresses, some of which would bring it back, in a transaction of SERVICE.

    Reads every row of every file, so all addresses of a transaction are given at once, and before it holds the line. A
    row is locked while it is imported, so whoever comes in with it is on the list by the time this returns; and none
    is kept from here on until the transaction ends.
    """
    if emails:
        await session.exec(select(func.pg_advisory_xact_lock(_KEEPING)))
        await (await session.connection()).execute(_FORGET, {"emails": list(emails)})


async def keep_after_erasing(session: AsyncSession) -> None:
    """Before rows are kept, in their transaction: wait for whoever is erased, and have who is next wait for the rows.

    Else the rows of a file that is read at this moment would be found by nobody who erases.
    """
    await session.exec(select(func.pg_advisory_xact_lock_shared(_KEEPING)))


_KEEPING = func.hashtextextended("import rows", 0)
# A file may have 200,000 rows: addresses are hashed, and only a refused cell is searched, put in lower case once.
_THEIRS = """
lower(lead ->> 'email') in (select email from whose) or lower(address) in (select email from whose)
or lead is null and exists (
  select from (select lower(address) as cell offset 0) as lowered, whose where strpos(cell, email) > 0)
"""
# An account may have no address, which would be a part of every cell.
_WHOSE = (
    "whose as materialized (select lower(one) as email from unnest(cast(:emails as text[])) as one where one <> '')"
)
_TOLD = text(f"""
with {_WHOSE}
select case when lead is not null or lower(address) = lower(:email)
  then coalesce(lead, jsonb_build_object('address', address))
    || jsonb_strip_nulls(jsonb_build_object('problem', problem))
  else jsonb_build_object('address', cast(:email as text),
    'problem', 'It stands in a cell with more in it, which may be about others and is not told.')
  end
from sigma.import_rows where {_THEIRS} order by import_id, line
""")  # noqa: S608 - pieces of our own
_FORGET = text(f"with {_WHOSE} delete from sigma.import_rows where {_THEIRS}")  # noqa: S608 - pieces of our own
