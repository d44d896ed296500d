"""The rules of the numbers: what an arrival is, which days are kept, and what happened between two of them.

Days are UTC's. What happened on a day that is over is kept (`sigma.growth_days`); days that are not kept yet, today
among them, are counted when somebody asks, by the same function of the database. Each step of a lead counts on the day
when it happened, so the number of a day that is over stays what it was, whoever is erased later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from operator import add
from typing import Any, LiteralString, NamedTuple
from urllib.parse import urlsplit

from psycopg import AsyncCursor

from sigma_app.core.errors import SigmaError
from sigma_app.features.waitlist.service import Arrival, read_arrival
from sigma_app.settings import get_settings

PAGES = ("/", "/join", "/pricing", "/privacy", "/terms")
"""Where an arrival is a visit, as people write these addresses."""

DIMENSIONS = ("source", "medium", "campaign", "referrer", "referral", "page")
"""By what the numbers can be told apart; `sigma.growth_days.dimension`."""

OTHER = "(other)"
"""The value that stands for those that are not told apart (0016_growth.up.sql)."""

VISITS_KEPT = timedelta(days=35)
LONGEST_SPAN = 731  # days that can be looked at at once: two years
_FIRST = date(2000, 1, 1)  # that can be asked for
_EARLIEST = timedelta(days=3653)  # no day is kept from before the last ten years: a lead may be given any time


class Counts(NamedTuple):
    """How often each step happened."""

    visits: int = 0
    joined: int = 0
    confirmed: int = 0
    invited: int = 0
    signed_up: int = 0
    paid: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*map(add, self, other))


class Span(NamedTuple):
    """Days that follow each other, the first and the last included."""

    since: date
    until: date

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.until - self.since).days + 1

    @property
    def before(self) -> Span:
        """As many days, right before these."""
        return Span(self.since - timedelta(days=self.days), self.since - timedelta(days=1))

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.since <= day <= self.until

    def each(self) -> Iterator[date]:
        """One day after the other."""
        return (self.since + timedelta(days=passed) for passed in range(self.days))


class Compared(NamedTuple):
    """What happened in some days, and in as many right before."""

    now: Counts = Counts()
    before: Counts = Counts()


@dataclass(frozen=True, slots=True)
class Growth:
    """What happened in a span of days, and before."""

    span: Span
    days: Mapping[date, Compared]
    """Each day of the span, beside the day that is as far into the days before."""
    values: Mapping[str, Compared]
    """By the values of the dimension that was asked for, the most leads first; "" for those without. Empty without."""
    total: Compared


class BadDates(SigmaError):
    """These dates will not do."""

    status = 422


def read_span(since: str, until: str, today: date, days: int = 30) -> Span:
    """The days that an address asks for; where it says nothing, the last `days` up to today.

    Raises:
        BadDates: they are none, in words.
    """
    last = _date(until) if until else today
    first = _date(since) if since else last - timedelta(days=days - 1)
    if first > last:
        raise BadDates("The first day is after the last.")
    if first > today:
        raise BadDates("Nothing has happened on these days yet: they are still to come.")
    span = Span(first, min(last, today))
    if span.days > LONGEST_SPAN:
        raise BadDates(f"Please choose at most {LONGEST_SPAN} days at once; those were {span.days:,}.")
    return span


def read_visit(page: str, referrer: str) -> Arrival | None:
    """What is counted of an arrival, told apart as that of a lead is; None where it is none at a page of `PAGES`.

    Args:
        page: the address of the page.
        referrer: that of the page which led there, as the browser told it.
    """
    arrival = read_arrival(page, referrer)
    return arrival if arrival["landing_path"] in PAGES else None


def noting(visits: Sequence[Arrival]) -> tuple[LiteralString, list[str]]:
    """The statement that counts visits; as SERVICE."""
    return "select sigma.note_visits(%s, %s)", [json.dumps(visits, ensure_ascii=False), own_host()]


async def days_to_roll_up(cursor: AsyncCursor[dict[str, Any]], today: date) -> Sequence[date]:
    """The days that are over and not kept yet, since anything happened at all; in a transaction of SERVICE."""
    await cursor.execute(_TO_ROLL_UP, {"earliest": today - _EARLIEST, "yesterday": today - timedelta(days=1)})
    return [row["day"] for row in await cursor.fetchall()]


async def roll_up(cursor: AsyncCursor[dict[str, Any]], day: date) -> None:
    """Keep what happened on a day that is over, counted anew; in a transaction of SERVICE."""
    await cursor.execute("select sigma.roll_up(%s, %s)", [day, own_host()])


async def forget_visits(cursor: AsyncCursor[dict[str, Any]], today: date) -> None:
    """Forget visits that are older than `VISITS_KEPT` and kept as numbers; in a transaction of SERVICE."""
    await cursor.execute(_FORGET, {"before": today - VISITS_KEPT})


async def read(cursor: AsyncCursor[dict[str, Any]], span: Span, dimension: str = "") -> Growth:
    """What happened in `span` and in the days before it.

    Args:
        cursor: of an operator, or of the service.
        span: which days.
        dimension: one of `DIMENSIONS`, or "" for no more than the days.

    Raises:
        psycopg.Error, DatabaseUnavailable: it could not be read.
    """
    whole = Span(span.before.since, span.until)
    between = {"since": whole.since, "until": whole.until}
    await cursor.execute(_DAYS, between)
    days = {row["day"]: _counts(row) for row in await cursor.fetchall()}
    missing = [day for day in whole.each() if day not in days]

    values: dict[str, Compared] = {}
    if dimension:
        # Of exactly the days that were read above: a roll-up may have come in between.
        asked = between | {"dimension": dimension, "first": span.since, "missing": missing}
        await cursor.execute(_VALUES, asked)
        for row in await cursor.fetchall():
            _add(values, row["value"], _counts(row), row["now"])

    wanted = ["all", dimension] if dimension else ["all"]
    for gap in _runs(missing):
        await cursor.execute(_LIVE, {"since": gap.since, "until": gap.until, "own": own_host(), "wanted": wanted})
        for row in await cursor.fetchall():
            if row["dimension"] == "all":
                days[row["day"]] = _counts(row)
            else:
                _add(values, row["value"], _counts(row), row["day"] in span)
    return _growth(span, days, values)


async def read_cohort(cursor: AsyncCursor[dict[str, Any]], span: Span) -> Counts:
    """What became so far of those who joined in `span` and are on the list; without visits, which are nobody's.

    Raises:
        psycopg.Error, DatabaseUnavailable: it could not be read.
    """
    await cursor.execute(_COHORT, {"since": span.since, "beyond": span.until + timedelta(days=1)})
    return _counts(await cursor.fetchone() or dict.fromkeys(Counts._fields, 0))


def own_host() -> str:
    """The host of our own pages, as `sigma.growth_host` compares it."""
    return (urlsplit(get_settings().base_url).hostname or "").removeprefix("www.")


def _growth(span: Span, days: Mapping[date, Counts], values: Mapping[str, Compared]) -> Growth:
    none = Counts()
    earlier = timedelta(days=span.days)
    compared = {day: Compared(days.get(day, none), days.get(day - earlier, none)) for day in span.each()}
    total = Compared()
    for one in compared.values():
        total = Compared(total.now.plus(one.now), total.before.plus(one.before))
    return Growth(span, compared, dict(sorted(values.items(), key=_most_first)), total)


def _most_first(item: tuple[str, Compared]) -> tuple[Any, ...]:
    value, (now, before) = item
    return (-now.joined, -now.visits, -sum(now), -sum(before), value)


def _add(values: dict[str, Compared], value: str, counts: Counts, is_now: bool) -> None:
    now, before = values.get(value, Compared())
    values[value] = Compared(now.plus(counts), before) if is_now else Compared(now, before.plus(counts))


def _runs(days: Sequence[date]) -> Iterator[Span]:
    """Days in order as spans of those that follow each other."""
    run: Span | None = None
    for day in days:
        if run and day - run.until == timedelta(days=1):
            run = Span(run.since, day)
        else:
            if run:
                yield run
            run = Span(day, day)
    if run:
        yield run


def _counts(row: Mapping[str, Any]) -> Counts:
    return Counts(*(int(row[step]) for step in Counts._fields))


def _date(said: str) -> date:
    try:
        day = date.fromisoformat(said)
    except ValueError:
        raise BadDates("A day is written as 2026-11-28: the year, the month and the day.") from None
    if day < _FIRST:
        raise BadDates(f"There are no numbers from before {_FIRST.year}.")
    return day


_TO_ROLL_UP = """
select over.day::date
from least((select min(at) from sigma.visits), (select min(created_at) from leads)) as first,
  generate_series(
    case when first is not null then greatest(date_trunc('day', first at time zone 'UTC'), %(earliest)s::timestamp) end,
    %(yesterday)s::timestamp, interval '1 day'
  ) as over (day)
where not exists (select from sigma.growth_days where dimension = 'all' and growth_days.day = over.day::date)
"""
_FORGET = """
delete from sigma.visits
where at < %(before)s::timestamp at time zone 'UTC'
  and exists (
    select from sigma.growth_days where dimension = 'all' and day = (visits.at at time zone 'UTC')::date
  )
"""
_DAYS = """
select day, visits, joined, confirmed, invited, signed_up, paid from sigma.growth_days
where dimension = 'all' and day between %(since)s and %(until)s
"""
_VALUES = """
select value, day >= %(first)s as now, sum(visits) as visits, sum(joined) as joined, sum(confirmed) as confirmed,
  sum(invited) as invited, sum(signed_up) as signed_up, sum(paid) as paid
from sigma.growth_days
where dimension = %(dimension)s and day between %(since)s and %(until)s and day <> all (%(missing)s::date[])
group by 1, 2
"""
# By the view: under row level security the planner takes half of all leads to be hidden from whoever asks.
_COHORT = """
select 0 as visits, count(*) as joined, count(confirmed_at) as confirmed, count(invited_at) as invited,
  count(signed_up_at) as signed_up, count(customer_at) as paid
from sigma.leads_by_address
where created_at >= %(since)s::timestamp at time zone 'UTC' and created_at < %(beyond)s::timestamp at time zone 'UTC'
"""
_LIVE = "select * from sigma.growth(%(since)s, %(until)s, %(own)s, %(wanted)s::text[])"
