"""Whose address is in the rows of files that wait to be imported, or were refused: told to them, and forgotten.

A row has the address as it could be read, and where none could, the cell as it came: two addresses, say, or a sentence.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession


async def imports_of(session: AsyncSession, email: str) -> list[dict[str, Any]]:
    """What these rows say of whoever has an address, in any case; in a transaction of SERVICE.

    Of a cell with several addresses it is theirs alone: the others are somebody else's.
    """
    connection = await session.connection()
    return list((await connection.execute(_TOLD, {"email": email})).scalars())


async def forget_imports(session: AsyncSession, email: str) -> None:
    """Remove the rows that have this address, some of which would bring it back; before the lead is sought.

    A row is locked while it is imported, so whoever comes in with it is on the list by the time this returns.
    """
    await (await session.connection()).execute(_FORGET, {"email": email})


# Cells are taken apart only where the address is somewhere in them: a file may have 200,000.
_THEIRS = r"""
lower(lead ->> 'email') = lower(:email) or lower(address) = lower(:email)
or case when strpos(lower(address), lower(:email)) > 0
  then lower(:email) = any(regexp_split_to_array(lower(address), '\.*[][\s,;:<>()"“”'']+|\.+$')) end
"""
_TOLD = text(f"""
select coalesce(lead, jsonb_build_object('address', case when address like '%@%@%' then lower(:email) else address end))
  || jsonb_strip_nulls(jsonb_build_object('problem', problem))
from sigma.import_rows where {_THEIRS} order by import_id, line
""")  # noqa: S608 - a piece of our own
_FORGET = text(f"delete from sigma.import_rows where {_THEIRS}")  # noqa: S608 - a piece of our own
