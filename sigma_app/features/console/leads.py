"""The list of leads as operators look through it: what they ask for, how many that are, and one lead's whole story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.sql import SQL, Composed

from sigma_app.core.errors import NotLikeThat
from sigma_app.features.console import asked as asks
from sigma_app.features.console.paging import NEWEST_FIRST, Key

STATUSES = ("joined", "confirmed", "invited", "signed up", "customer", "unsubscribed")
NO_SOURCE = "(none)"
EXACT = 10_000
"""Up to how many leads are counted, but for those of a file; of more, Postgres' estimate is told as one."""

MOST_SOURCES = 100  # that are offered

_BY_ADDRESS = Key({"address": "text"}, further="~>~")
_COLUMNS = SQL("id, email, created_at, status, utm_source, referrals, flag")


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """Which leads an operator asks for; empty for all of them."""

    q: str = ""
    """The beginning of an address, in any case."""
    status: str = ""
    source: str = ""
    """A utm_source, or `NO_SOURCE`."""
    since: str = ""
    """The first day of joining, in UTC, as YYYY-MM-DD."""
    until: str = ""
    """The last."""
    flagged: str = ""
    """ "1" for those alone that have a flag."""
    file: str = ""
    """The id of an import, for those alone that came by it."""

    @classmethod
    def read(cls, asked: Mapping[str, str]) -> LeadFilter:
        """What an address, or a stored filter, asks for; names that are none of these are ignored.

        Raises:
            NotLikeThat: a day or a status is none.
        """
        given = {name: asks.words(asked, name) for name in cls.__slots__}
        found = cls(**given)
        if found.status and found.status not in STATUSES:
            raise NotLikeThat(f"There is no status “{found.status}”.", "status")
        first, last = (asks.day(given, name) for name in ("since", "until"))
        if first and last and first > last:
            raise NotLikeThat(f"Nobody joined from {found.since} to {found.until}: the first day is after the last.")
        if found.file and not asks.identity(asked, "file"):
            raise NotLikeThat("There is no such imported file.", "file")
        return found

    def as_query(self) -> dict[str, str]:
        """What an address says, to ask for the same."""
        return {name: value for name, value in asdict(self).items() if value}

    def on_record(self) -> dict[str, str]:
        """The same without the beginning of an address, which the audit log would keep for ever."""
        return self.as_query() | ({"q": f"{len(self.q)} characters of an address"} if self.q else {})

    def condition(self) -> tuple[Composed, dict[str, Any]]:
        """What leads have to be, and its values; about the address only where `key` is its order."""
        parts, values = [SQL("true")], {}
        if self.q:
            parts.append(SQL("address ~>=~ %(beginning)s and address ~<~ %(beyond)s"))
            values |= asks.between(self.q)
        if self.status:
            parts.append(SQL("status = %(status)s"))
            values["status"] = self.status
        if self.source == NO_SOURCE:
            parts.append(SQL("utm_source is null"))
        elif self.source:
            parts.append(SQL("utm_source = %(source)s"))
            values["source"] = self.source
        if first := asks.day({"since": self.since}, "since"):
            parts.append(SQL("created_at >= %(since)s"))
            values["since"] = first
        if last := asks.day({"until": self.until}, "until"):
            parts.append(SQL("created_at < %(until)s::timestamptz + interval '24 hours'"))
            values["until"] = last
        if self.flagged:
            parts.append(SQL("flag is not null"))
        if self.file:
            parts.append(
                SQL(
                    "id in (select jsonb_array_elements_text(detail -> 'leads')::uuid from sigma.audit_log"
                    " where subject = %(file)s and action = 'leads.imported')"
                )
            )
            values["file"] = str(UUID(self.file))
        return SQL(" and ").join(parts), values

    @property
    def key(self) -> Key:
        """The order of the list: by address for who looks for one, else the newest first."""
        return _BY_ADDRESS if self.q else NEWEST_FIRST

    @property
    def table(self) -> SQL:
        """Where to look."""
        return SQL("sigma.leads_by_address") if self.q else SQL("public.leads")


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, and whether that is an estimate; one of no more than `EXACT` says that there are more."""

    number: int
    about: bool = False

    def __str__(self) -> str:
        """As it is written: "about 310,000"."""
        if not self.about:
            return f"{self.number:,}"
        return f"about {self.number:,}" if self.number > EXACT else f"more than {self.number:,}"


def listing(wanted: LeadFilter) -> tuple[Composed, dict[str, Any]]:
    """The SELECT of a list's rows, for `paging.read`, and its values."""
    condition, values = wanted.condition()
    address = SQL(", address") if wanted.q else SQL("")
    return SQL("select {}{} from {} where {}").format(_COLUMNS, address, wanted.table, condition), values


async def count(cursor: AsyncCursor[dict[str, Any]], wanted: LeadFilter) -> Count:
    """How many leads `wanted` finds: exactly up to `EXACT`, of more as the planner estimates.

    Those of a file are counted, however many: they are no more than its rows, and the planner cannot know how many.

    Raises:
        DatabaseUnavailable, psycopg.Error: it could not be asked.
    """
    condition, values = wanted.condition()
    most = None if wanted.file else EXACT + 1
    first_ones = SQL("select count(*) as n from (select from {} where {} limit {}) as first_ones").format(
        wanted.table, condition, most
    )
    await cursor.execute(first_ones, values)
    found = (await cursor.fetchone() or {"n": 0})["n"]
    if most is None or found < most:
        return Count(found)
    # By the view: under row level security the planner takes half of all leads to be hidden from whoever asks.
    view = SQL("explain (format json) select from sigma.leads_by_address where {}").format(condition)
    await cursor.execute(view, values)
    plan = (await cursor.fetchone() or {})["QUERY PLAN"]
    return Count(max(EXACT, round(plan[0]["Plan"]["Plan Rows"], -2)), about=True)


async def sources(cursor: AsyncCursor[dict[str, Any]]) -> Sequence[str]:
    """The sources that there are, in alphabetical order, `MOST_SOURCES` at most.

    By one look into the index for each, and by the view, as `count` says.
    """
    await cursor.execute(SOURCES, {"most": MOST_SOURCES})
    return [row["utm_source"] for row in await cursor.fetchall()]


async def as_spelt(cursor: AsyncCursor[dict[str, Any]], wanted: LeadFilter, known: Sequence[str]) -> LeadFilter:
    """`wanted` with its source as leads have it, where it was typed in another case; as an operator.

    A few looks into the index, however many sources there are: beyond those that are `known` it is found as it was
    typed, in small letters, in large ones, or with a large first one; else nobody is.

    Args:
        cursor: to read with.
        wanted: what was asked for.
        known: the sources that are offered.

    Raises:
        DatabaseUnavailable, psycopg.Error: it could not be asked.
    """
    typed = wanted.source
    if typed.lower() == NO_SOURCE:
        return replace(wanted, source=NO_SOURCE)
    if not typed or typed in known:
        return wanted
    alike = [source for source in known if source.lower() == typed.lower()]
    await cursor.execute(SPELT, {"spellings": [typed, *alike, typed.lower(), typed.upper(), typed.capitalize()]})
    found = await cursor.fetchone()
    return replace(wanted, source=found["spelling"]) if found else wanted


async def these(cursor: AsyncCursor[dict[str, Any]], ids: Sequence[str]) -> Sequence[dict[str, Any]]:
    """The rows of a list's leads as they are now, of those that are still there, in no order."""
    await cursor.execute(SQL("select {} from public.leads where id = any(%s::uuid[])").format(_COLUMNS), [list(ids)])
    return await cursor.fetchall()


async def fresh(cursor: AsyncCursor[dict[str, Any]], wanted: LeadFilter, since: datetime) -> int:
    """How many came since a list was shown, a thousand at most."""
    condition, values = wanted.condition()
    statement = SQL(
        "select count(*) as n from (select from {} where {} and created_at > %(seen)s limit 1000) as fresh"
    ).format(wanted.table, condition)
    await cursor.execute(statement, {**values, "seen": since})
    return (await cursor.fetchone() or {"n": 0})["n"]


async def now(cursor: AsyncCursor[dict[str, Any]]) -> datetime:
    """When what a cursor reads is so, by the database's clock, which is that of the leads' times."""
    await cursor.execute("select now() as now")
    (row,) = await cursor.fetchall()
    return row["now"]


SOURCES = """
with recursive seen as (
  select (select min(utm_source) from sigma.leads_by_address) as utm_source
  union all
  select (select min(utm_source) from sigma.leads_by_address where utm_source > seen.utm_source)
  from seen where seen.utm_source is not null
)
select utm_source from seen where utm_source is not null limit %(most)s
"""
# Each by the first source from there on, which the planner always takes from the index; one that is equal, it may look
# for among all leads.
SPELT = """
select spelling from unnest(%(spellings)s::text[]) with ordinality as tried (spelling, turn)
where (select min(utm_source) from sigma.leads_by_address where utm_source >= spelling) = spelling
order by turn limit 1
"""
