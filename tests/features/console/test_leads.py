"""The list of leads: what is asked for, in which order, how many, and its pages."""

from __future__ import annotations

import re
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.errors import NotLikeThat
from sigma_app.features.console import leads, paging
from sigma_app.features.console.leads import NO_SOURCE, LeadFilter
from sigma_app.features.console.service import reading
from tests.features.console.operators import planned

pytestmark = pytest.mark.anyio


async def found(operator, asked: dict[str, str]) -> list[str]:
    wanted = LeadFilter.read(asked)
    statement, values = leads.listing(wanted)
    async with reading(operator) as cursor:
        page = await paging.read(cursor, statement, wanted.key, asked, values)
        count = await leads.count(cursor, wanted)
    assert len(page.rows) == min(count.number, paging.LENGTH)
    return [row["email"] for row in page.rows]


@pytest.fixture
def people(lead, owner):
    lead("Ann@example.com", utm_source="x", created_at="2026-01-01T00:00:00Z")
    lead("annika@example.com", utm_source="y", created_at="2026-01-02T00:00:00Z", confirmed=True)
    lead("bob_1@example.com", created_at="2026-01-03T23:59:59Z", flag="odd")
    lead("bobx1@example.com", created_at="2026-01-04T00:00:00Z", utm_source="x")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["bobx1", "bob_1", "annika", "Ann"]),
        ({"q": "ANN"}, ["Ann", "annika"]),
        ({"q": "bob_"}, ["bob_1"]),
        ({"q": "%"}, []),
        ({"q": "annika@example.com"}, ["annika"]),
        ({"q": "bob", "source": "x"}, ["bobx1"]),
        ({"status": "confirmed"}, ["annika"]),
        ({"source": "x"}, ["bobx1", "Ann"]),
        ({"source": NO_SOURCE}, ["bob_1"]),
        ({"flagged": "1"}, ["bob_1"]),
        ({"since": "2026-01-02", "until": "2026-01-03"}, ["bob_1", "annika"]),
        ({"until": "2026-01-03"}, ["bob_1", "annika", "Ann"]),
        ({"until": "9999-12-31"}, ["bobx1", "bob_1", "annika", "Ann"]),
        ({"nonsense": "x", "after": "x", "q": " "}, ["bobx1", "bob_1", "annika", "Ann"]),
        ({"after": "yesterday~nobody"}, ["bobx1", "bob_1", "annika", "Ann"]),
        ({"before": "2026-01-01T00:00:00Z~nobody"}, ["bobx1", "bob_1", "annika", "Ann"]),
        ({"q": "ann", "after": "\ud800"}, ["Ann", "annika"]),
        ({"q": "a\0nn"}, ["Ann", "annika"]),
    ],
)
async def test_filters(operator, people, asked, expected):
    assert [email.partition("@")[0] for email in await found(operator, asked)] == expected


async def test_a_day_ends_with_utc_s_whatever_the_server_s_time_zone(operator, lead):
    """Also where its own day has 25 hours."""
    lead("late@example.com", created_at="2026-10-25T23:59:00Z")
    lead("next@example.com", created_at="2026-10-26T00:30:00Z")
    wanted = LeadFilter.read({"since": "2026-10-25", "until": "2026-10-25"})
    source, values = leads.listing(wanted)
    async with reading(operator) as cursor:
        await cursor.execute("set local time zone 'Europe/Berlin'")
        page = await paging.read(cursor, source, wanted.key, {}, values)
    assert [row["email"] for row in page.rows] == ["late@example.com"]


@pytest.mark.parametrize(
    "asked",
    [
        {"since": "yesterday"},
        {"until": "2026-13-01"},
        {"status": "customers"},
        {"since": "2026-01-02", "until": "2026-01-01"},
        {"file": "mine.csv"},
    ],
)
def test_what_cannot_be_meant_is_said(asked):
    with pytest.raises(NotLikeThat):
        LeadFilter.read(asked)


async def test_the_sources_that_there_are_are_offered_and_found_in_any_case(operator, owner, lead):
    for number, source in enumerate(("HN", "hn", "Twitter", None, "")):
        lead(f"p{number}@example.com", utm_source=source)
    async with reading(operator) as cursor:
        known = await leads.sources(cursor)
        typed = ("TWITTER", "HN", "hn", "nobody", "", "(NONE)")
        spelt = [(await leads.as_spelt(cursor, LeadFilter(source=one), known)).source for one in typed]
    assert sorted(known) == ["", "HN", "Twitter", "hn"]
    assert spelt == ["Twitter", "HN", "hn", "nobody", "", NO_SOURCE]


async def test_many_sources_are_read_one_look_each_and_not_all_leads(operator, owner):
    put_many_sources(owner)
    async with reading(operator) as cursor:
        assert len(await leads.sources(cursor)) == leads.MOST_SOURCES
        plan = await explained(cursor, leads.SOURCES, {"most": leads.MOST_SOURCES})
    assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize(
    ("typed", "found"),
    [("hn", "hn"), ("HN", "hn"), ("zed", "Zed"), ("zoë news", "ZOË NEWS"), ("gone", "gone"), ("", "")],
)
async def test_a_source_that_is_not_offered_costs_a_few_looks_also_where_nobody_has_it(operator, owner, typed, found):
    put_many_sources(owner)
    async with reading(operator) as cursor:
        known = await leads.sources(cursor)
        assert not {"hn", "Zed", "ZOË NEWS"} & set(known)
        assert (await leads.as_spelt(cursor, LeadFilter(source=typed), known)).source == found
        plan = await explained(cursor, leads.SPELT, {"spellings": [typed, typed.upper()]})
    assert "leads_newest_by_source" in plan, plan
    assert not {"Seq Scan", "Bitmap"} & set(re.findall(r"Seq Scan|Bitmap", plan)), plan


def put_many_sources(owner: psycopg.Connection) -> None:
    """More than are offered, of which some come after those that are."""
    owner.execute(
        "insert into leads (email, utm_source) select 'p' || n || '@example.com', n % 150"
        " from generate_series(1, 3000) as n;"
        "insert into leads (email, utm_source)"
        " select md5(source) || '@example.com', source from unnest(array['hn', 'Zed', 'ZOË NEWS']) as source;"
        "analyze leads"
    )


async def explained(cursor: Any, statement: LiteralString, values: dict[str, Any]) -> str:
    """How Postgres reads a statement."""
    await cursor.execute(f"explain (costs off) {statement}", values)
    return "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())


@pytest.mark.parametrize("q", ["", "p"])
async def test_pages_go_forth_and_back_and_leave_out_nobody(operator, lead, q):
    for number in range(2 * paging.LENGTH + 7):
        lead(f"p{number:03}@example.com", created_at="2026-01-01T00:00:00Z")  # the same moment: the id decides
    wanted = LeadFilter.read({"q": q})
    statement, values = leads.listing(wanted)
    seen: list[list[str]] = []
    asked: dict[str, str] = {}
    async with reading(operator) as cursor:
        while True:
            page = await paging.read(cursor, statement, wanted.key, asked, values)
            seen.append([row["email"] for row in page.rows])
            assert bool(page.before) is (len(seen) > 1)
            if not page.after:
                break
            asked = {"after": page.after}
        assert [len(one) for one in seen] == [paging.LENGTH, paging.LENGTH, 7]
        assert len({email for one in seen for email in one}) == 2 * paging.LENGTH + 7
        back = await paging.read(cursor, statement, wanted.key, {"before": page.before}, values)
        assert [row["email"] for row in back.rows] == seen[1]
        first = await paging.read(cursor, statement, wanted.key, {"before": back.before}, values)
        assert [row["email"] for row in first.rows] == seen[0]
        assert (first.before, bool(first.after)) == ("", True)


async def test_many_are_an_estimate_and_few_are_counted(operator, owner, monkeypatch):
    monkeypatch.setattr(leads, "EXACT", 100)
    owner.execute(
        "insert into leads (email, utm_source) select 'p' || n || '@example.com', case when n % 10 = 0 then 'x' end"
        " from generate_series(1, 3000) as n; analyze leads"
    )
    async with reading(operator) as cursor:
        everybody = await leads.count(cursor, LeadFilter())
        some = await leads.count(cursor, LeadFilter(source="x"))
        few = await leads.count(cursor, LeadFilter(q="p300"))
    assert (everybody.number, str(everybody)) == (3000, "about 3,000")
    assert some.about
    assert 200 <= some.number <= 400
    assert (few.number, few.about) == (2, False)


async def test_the_lists_are_read_by_indexes(operator, owner):
    """Whatever is asked for: at a million leads a scan would be felt."""
    owner.execute(
        "insert into leads (email, utm_source, created_at) select 'p' || n || '@example.com',"
        " case when n % 50 = 0 then 'x' end, now() - n * interval '1 minute' from generate_series(1, 20000) as n;"
        " analyze leads"
    )
    for asked in ({}, {"q": "p777"}, {"status": "joined"}, {"source": "x"}, {"flagged": "1"}):
        wanted = LeadFilter.read(asked)
        source, values = leads.listing(wanted)
        edge = ["p7770"] if "q" in asked else ["2026-11-28T00:00:00Z", str(UUID(int=0))]
        for page in (None, edge):
            plan = await planned(operator, source, wanted.key, values, page)
            assert "Seq Scan" not in plan, (asked, plan)
            assert " Sort" not in plan.replace("Incremental Sort", ""), (asked, plan)
