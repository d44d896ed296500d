"""What is counted of whom, on which day; and that a day that is over keeps its numbers."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from sigma_app.core.database import SERVICE, Step
from sigma_app.features.growth import service
from sigma_app.features.growth.service import BadDates, Counts, Span, read_span, read_visit
from sigma_app.features.waitlist.service import read_arrival
from tests.features.growth.conftest import PUBLIC, TODAY, ago

pytestmark = pytest.mark.anyio

KEPT = "select * from sigma.growth_days order by dimension, day, value"
CAME_BY = ("utm_source", "utm_medium", "utm_campaign", "referrer", "landing_path", "referral_code")


async def test_each_step_counts_on_the_day_on_which_it_happened(look, lead, visited):
    visited(ago(2), times=5)
    lead(created_at=ago(2), confirmed_at=ago(1), invited_at=ago(1), signed_up_at=ago(0), customer_at=ago(0))
    lead(created_at=ago(1))
    found = await look(3)
    assert [one.now for one in found.days.values()] == [
        Counts(visits=5, joined=1),
        Counts(joined=1, confirmed=1, invited=1),
        Counts(signed_up=1, paid=1),
    ]
    assert found.total.now == Counts(5, 2, 1, 1, 1, 1)


async def test_a_day_is_utcs_wherever_the_database_thinks_it_is(serving, lead, visited):
    for time in ("00:00:00", "23:59:59.999999"):
        lead(created_at=ago(1, time))
        visited(ago(1, time))
    lead(created_at=ago(0, "00:00:00"))
    span = Span(TODAY - timedelta(days=2), TODAY)
    for zone in ("UTC", "America/Los_Angeles", "Pacific/Kiritimati"):
        async with serving.cursor(SERVICE) as cursor:
            await cursor.execute(f"set local timezone = '{zone}'")
            found = await service.read(cursor, span)
            assert [one.now[:2] for one in found.days.values()] == [(0, 0), (2, 2), (0, 1)]
            assert (await service.days_to_roll_up(cursor, TODAY)) == [TODAY - timedelta(days=1)]
            await service.roll_up(cursor, TODAY - timedelta(days=1))
            assert await service.read(cursor, span) == found
            await cursor.connection.rollback()


async def test_what_was_kept_and_what_is_counted_now_are_the_same(look, roll_up, lead, visited):
    for days in range(12):
        lead(created_at=ago(days), utm_source="News" if days % 2 else None, confirmed_at=ago(days // 2))
        visited(ago(days), times=days + 1, source="news" if days % 3 else "")
    live = await look(5, "source")
    await roll_up()
    kept = await look(5, "source")
    assert kept == live
    assert kept.total.before.joined == 5
    assert kept.total.before.visits == sum(range(6, 11))
    assert sum((one.now.joined for one in kept.values.values()), 0) == kept.total.now.joined == 5


async def test_rolling_up_twice_changes_nothing(roll_up, lead, visited, owner, serving):
    lead(created_at=ago(2), confirmed_at=ago(1), utm_source="news")
    visited(ago(1))
    await roll_up()
    once = owner.execute(KEPT).fetchall()
    await roll_up()
    for _ in range(2):
        async with serving.cursor(SERVICE) as cursor:
            await service.roll_up(cursor, TODAY - timedelta(days=1))
    assert owner.execute(KEPT).fetchall() == once
    assert {row[0] for row in once} == {TODAY - timedelta(days=1), TODAY - timedelta(days=2)}


async def test_two_that_roll_up_the_same_day_at_once_keep_it_once(serving, lead, owner):
    lead(created_at=ago(1))
    day = TODAY - timedelta(days=1)
    roll = [serving.run(Step(SERVICE, "select sigma.roll_up(%s, '')", [day])) for _ in range(4)]
    await asyncio.gather(*roll)
    assert owner.execute("select joined from sigma.growth_days where dimension = 'all'").fetchall() == [(1,)]


async def test_a_day_that_is_kept_while_it_is_read_counts_once(serving, roll_up, lead):
    lead(created_at=ago(1), utm_source="news")

    class Interrupted:
        """A cursor between whose statements the job comes in."""

        def __init__(self, cursor):
            self.cursor = cursor
            self.fetchall = cursor.fetchall

        async def execute(self, statement, values):
            if "%(dimension)s" in statement:
                await roll_up()
            await self.cursor.execute(statement, values)

    async with serving.cursor(SERVICE) as cursor:
        found = await service.read(Interrupted(cursor), Span(TODAY - timedelta(days=2), TODAY), "source")  # pyright: ignore[reportArgumentType]
    assert found.values["news"].now.joined == found.total.now.joined == 1


async def test_a_week_without_the_job_is_made_up_for(roll_up, look, lead, owner):
    lead(created_at=ago(20))
    await roll_up()
    owner.execute("delete from sigma.growth_days where day > %s", [TODAY - timedelta(days=8)])
    lead(created_at=ago(4), utm_source="late")
    await roll_up()
    days = [day for (day,) in owner.execute("select distinct day from sigma.growth_days order by 1")]
    assert days == [TODAY - timedelta(days=days) for days in range(20, 0, -1)]
    assert (await look(7, "source")).values["late"].now.joined == 1


async def test_today_is_not_kept_while_it_goes_on(roll_up, lead, owner):
    lead()
    await roll_up()
    assert owner.execute(KEPT).fetchall() == []


async def test_where_nothing_ever_happened_there_is_nothing_to_keep(roll_up, look, owner):
    await roll_up()
    assert owner.execute(KEPT).fetchall() == []
    assert (await look(7, "source")).total.now == Counts()


async def test_an_erased_lead_changes_no_day_that_is_over(roll_up, look, lead, owner):
    lead(email="alice@example.com", created_at=ago(3), confirmed_at=ago(2), utm_source="news")
    lead(email="bob@example.com", utm_source="news")
    await roll_up()
    before = await look(7, "source")
    owner.execute("delete from leads where email = 'alice@example.com'")
    await roll_up()
    assert await look(7, "source") == before
    owner.execute("delete from leads")
    assert (await look(7, "source")).values["news"].now.joined == 1


async def test_visits_are_forgotten_once_they_are_old_and_kept_as_numbers(roll_up, look, visited, owner):
    for days in (0, 34, 35, 36, 90):
        visited(ago(days))
    await roll_up()
    left = owner.execute("select at::date from sigma.visits order by 1").fetchall()
    assert left == [(TODAY - timedelta(days=days),) for days in (35, 34, 0)]
    assert (await look(91)).total.now.visits == 5
    await roll_up()
    assert (await look(91)).total.now.visits == 5


async def test_a_visit_whose_day_is_not_kept_is_not_forgotten(serving, visited, owner):
    visited(ago(90))
    async with serving.cursor(SERVICE) as cursor:
        await service.forget_visits(cursor, TODAY)
    assert owner.execute("select count(*) from sigma.visits").fetchone() == (1,)


@pytest.mark.parametrize("dimension", service.DIMENSIONS)
async def test_a_visit_and_the_lead_that_comes_of_it_are_told_apart_alike(look, lead, serving, dimension):
    """By the statement that /visit runs, and by what the form stores."""
    ways = [
        (f"{PUBLIC}/", ""),
        (f"{PUBLIC}/?utm_source=News%20Letter&utm_medium=E-Mail&utm_campaign=Spring", "https://www.Example.org/a?b=c"),
        (f"{PUBLIC}/join?utm_source=%20news%20%20letter%20&ref=abc", "https://sub.example.org:8443/x"),
        (f"{PUBLIC}/pricing?utm_source={'x' * 300}", "android-app://com.example.reader/"),
        (f"{PUBLIC}/?utm_source=alice%40example.com&utm_source=second", "https://192.0.2.7/"),
        (f"{PUBLIC}/?utm_source=a%2540b", "https://[2001:db8::1]:8080/page"),
        (f"{PUBLIC}/?utm_source=(None)&utm_campaign=(not%20set)", ""),
        (f"{PUBLIC}/?utm_source=%00%0a", "https://user:password@example.org/"),
        (f"{PUBLIC}/", f"https://{'a' * 200}.example.org/"),
        (f"{PUBLIC}/", "https://sigma.example/join"),
        (f"{PUBLIC}/", "no address at all"),
    ]
    for page, referrer in ways:
        visit = read_visit(page, referrer)
        assert visit
        await serving.run(Step(SERVICE, *service.noting([visit])))
        arrival = read_arrival(page, referrer)
        lead(**{name: arrival[name] for name in CAME_BY})
    values = (await look(1, dimension)).values
    assert all(one.now.visits == one.now.joined for one in values.values())
    assert sum(one.now.visits for one in values.values()) == len(ways)
    assert (
        set(values)
        == {
            "source": {"", "news letter", "x" * 64, "(other)"},
            "medium": {"", "e-mail"},
            "campaign": {"", "spring"},
            "referrer": {"", "example.org", "sub.example.org", "com.example.reader", "(other)", "a" * 64},
            "referral": {"", "yes"},
            "page": {"/", "/join", "/pricing"},
        }[dimension]
    )


async def test_a_page_that_is_for_one_person_is_not_told(look, lead):
    for path in ("/place/tOkEn123", "/privacy", "/Confirm", None):
        lead(landing_path=path)
    values = (await look(1, "page")).values
    assert {value: one.now.joined for value, one in values.items()} == {"(other)": 2, "/privacy": 1, "": 1}


async def test_of_a_day_two_hundred_values_are_told_apart_those_with_leads_first(look, roll_up, lead, visited, owner):
    for number in range(250):
        visited(ago(1), times=3, source=f"junk-{number:03}")
    visited(ago(1), times=9, source="popular")
    visited(ago(1), source="small")
    lead(created_at=ago(1), utm_source="small")
    live = await look(2, "source")
    await roll_up()
    found = await look(2, "source")
    assert found == live
    assert len(found.values) == 201
    assert found.values["small"].now == Counts(visits=1, joined=1)
    assert found.values["popular"].now.visits == 9
    assert found.values["(other)"].now.visits == 52 * 3
    assert sum(one.now.visits for one in found.values.values()) == 250 * 3 + 10
    assert owner.execute("select count(*) from sigma.growth_days where dimension = 'source'").fetchone() == (201,)


async def test_the_values_with_the_most_leads_come_first(look, lead, visited):
    for source, joined, visits in (("a", 1, 50), ("b", 2, 0), ("c", 0, 90), ("d", 0, 5)):
        visited(times=visits, source=source)
        for _ in range(joined):
            lead(utm_source=source)
    assert list((await look(1, "source")).values) == ["b", "a", "c", "d"]


async def test_a_lead_with_a_date_of_long_ago_makes_no_endless_work(roll_up, lead, owner):
    lead(created_at=ago(20_000))
    await roll_up()
    kept = owner.execute("select count(*), min(day) from sigma.growth_days").fetchone()
    assert kept == (3653, TODAY - timedelta(days=3653))


class TestDates:
    def test_without_any_they_are_the_last_thirty(self):
        assert read_span("", "", TODAY) == Span(TODAY - timedelta(days=29), TODAY)
        assert read_span("", "2026-11-10", TODAY, 7) == Span(date(2026, 11, 4), date(2026, 11, 10))

    def test_days_that_are_still_to_come_are_left_out(self):
        assert read_span("2026-11-20", "2027-05-01", TODAY) == Span(date(2026, 11, 20), TODAY)

    def test_before_them_are_as_many(self):
        span = read_span("2026-11-01", "2026-11-28", TODAY)
        assert span.before == Span(date(2026, 10, 4), date(2026, 10, 31))
        assert span.days == span.before.days == len(list(span.each())) == 28

    @pytest.mark.parametrize(
        ("since", "until", "says"),
        [
            ("2026-02-30", "", "written as"),
            ("yesterday", "", "written as"),
            ("", "1; drop table leads", "written as"),
            ("2026-11-20", "2026-11-19", "after the last"),
            ("2026-11-29", "2026-12-05", "still to come"),
            ("2024-11-27", "", "at most 731 days"),
            ("0001-01-01", "0001-01-02", "before 2000"),
            ("", "0001-01-02", "before 2000"),
        ],
    )
    def test_bad_ones_are_answered_in_words(self, since, until, says):
        with pytest.raises(BadDates, match=says):
            read_span(since, until, TODAY)


class TestVisit:
    @pytest.mark.parametrize("path", service.PAGES)
    def test_a_public_page_can_be_visited(self, path):
        visit = read_visit(f"https://sigma.example{path}?ref=abc", "")
        assert visit
        assert (visit["landing_path"], visit["referral_code"]) == (path, "abc")

    @pytest.mark.parametrize("path", ["/place/abc", "/profile", "/admin", "/join/", "/JOIN", "", "//join"])
    def test_no_other_can(self, path):
        assert read_visit(f"https://sigma.example{path}", "") is None


async def test_nobody_but_the_service_counts_and_nobody_but_an_operator_reads(attempt_as):
    refused = [attempt_as(role, statement) for role in ("anon", "authenticated") for statement in (
        "select count(*) from sigma.visits", "select count(*) from sigma.growth_days",
        "insert into sigma.visits values (now(), '/', '', '', '', '', '')",
        "select sigma.note_visits('[]', '')", "select sigma.growth(current_date, current_date, '')",
        "select sigma.roll_up(current_date, '')",
    )]  # fmt: skip
    assert set(refused) == {"42501"}
    assert attempt_as("sigma_operator", "select sigma.roll_up(current_date, '')") == "42501"
    assert attempt_as("sigma_operator", "delete from sigma.growth_days") == "42501"
