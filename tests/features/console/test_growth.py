"""What /admin/growth shows of the numbers, how it puts them into words and shapes, and who gets the file of them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from starlette.applications import Starlette

from sigma_app.core import clock
from sigma_app.core.database import Database, serve_requests_from
from sigma_app.core.errors import DatabaseUnavailable
from sigma_app.features.console import growth_csv
from sigma_app.features.console.growth import BY_DAY, GrowthState, _in_words, read_wanted
from sigma_app.features.console.growth_charts import chart_of_days, chart_of_values, funnel
from sigma_app.features.console.growth_words import STEPS, VALUES, change, percent
from sigma_app.features.growth import service
from sigma_app.features.growth.service import DIMENSIONS, BadDates, Compared, Counts, Growth, Span
from sigma_app.session.operators import reader
from sigma_app.session.store import Session
from tests.features.console.conftest import set_role
from tests.features.console.pages import opened
from tests.waiting import until

pytestmark = pytest.mark.anyio

TODAY = date(2026, 11, 28)
Grant = Callable[[], None]


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC))


@pytest.fixture
def grant(owner: psycopg.Connection, session: Session) -> Grant:
    """Makes Alice an operator."""
    return lambda: set_role(owner, session.user_id, "admin")


@pytest.fixture
async def client(serving, cookie: str) -> AsyncIterator[httpx.AsyncClient]:
    """Alice's browser."""
    transport = httpx.ASGITransport(Starlette(routes=growth_csv.ROUTES))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://localhost:3000", headers={"cookie": f"sigma_session={cookie}"}
    ) as client:
        yield client


@pytest.fixture
def laid(owner: psycopg.Connection) -> None:
    """Three leads, one of them with a source that a spreadsheet would compute, and a visit."""
    owner.execute(
        "insert into leads (email, created_at, utm_source) values"
        " ('a@example.com', '2026-11-27 10:00Z', '=1+1'), ('b@example.com', '2026-11-28 10:00Z', 'News, \"daily\"'),"
        " ('c@example.com', '2026-11-25 10:00Z', null)"
    )
    owner.execute("insert into sigma.visits values ('2026-11-28 10:00Z', '/', 'news, \"daily\"', '', '', '', '')")


async def rows(client: httpx.AsyncClient, query: str) -> list[list[str]]:
    answer = await client.get(f"/admin/growth.csv?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.reader(io.StringIO(answer.text)))


async def test_the_file_has_each_day_and_the_day_as_far_before(client, grant, laid):
    grant()
    heading, *found = await rows(client, "days=7&by=day")
    assert heading == ["day", *Counts._fields, *(f"{step}_before" for step in Counts._fields)]
    assert [row[0] for row in found] == [str(TODAY - timedelta(days=days)) for days in range(6, -1, -1)]
    assert found[-1] == [str(TODAY), "1", "1", "0", "0", "0", "0", "0", "0", "0", "0", "0", "0"]
    (row,) = (await rows(client, "since=2026-11-28&until=2026-11-28"))[1:]
    assert row[:3] + row[7:9] == [str(TODAY), "1", "1", "0", "1"]


async def test_the_file_has_each_value_and_none_that_a_spreadsheet_computes(client, grant, laid):
    grant()
    found = await rows(client, "since=2026-11-20&until=2026-11-28&by=source")
    assert {row[0]: row[1:3] for row in found[1:]} == {
        "'=1+1": ["0", "1"], 'news, "daily"': ["1", "1"], "(none)": ["0", "1"],
    }  # fmt: skip


@pytest.mark.parametrize("by", [BY_DAY, *DIMENSIONS])
async def test_there_is_a_file_of_each(client, grant, laid, by):
    grant()
    heading, *found = await rows(client, f"by={by}&days=7")
    assert heading[0] == by
    assert sum(int(row[2]) for row in found) == 3
    answer = await client.get(f"/admin/growth.csv?by={by}&days=7")
    name = f"growth-by-{by}-2026-11-22-2026-11-28.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


async def test_for_who_is_no_operator_there_is_no_file(client, grant, owner, session, laid):
    answer = await client.get("/admin/growth.csv")
    assert (answer.status_code, answer.text) == (404, "Not Found")
    grant()
    assert (await client.get("/admin/growth.csv")).status_code == 200
    set_role(owner, session.user_id, None)
    assert (await client.get("/admin/growth.csv")).status_code == 404


async def test_who_is_not_signed_in_is_led_to_sign_in(client, grant):
    grant()
    answer = await client.get("/admin/growth.csv?by=page", headers={"cookie": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fadmin%2Fgrowth.csv%3Fby%3Dpage")


@pytest.fixture
def cohorts(monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    """Each reading of what became of those who joined."""
    read: list[Span] = []
    cohort = service.read_cohort

    async def counted(cursor: Any, span: Span) -> Counts:
        read.append(span)
        return await cohort(cursor, span)

    monkeypatch.setattr(service, "read_cohort", counted)
    return read


VISIT = "insert into sigma.visits values ('2026-11-28 11:00Z', '/', '', '', '', '', '')"
LEAD = "insert into leads (email, created_at) values (%s, '2026-11-28 11:00Z')"


def numbers(page: GrowthState) -> tuple[str, str]:
    """The visits, and how many of those who joined in these days there are, as an open page shows them."""
    return page.steps[0].cells[1], page.became[0].cells[1]


async def test_visits_alone_have_no_lead_read_again(cohorts, grant, laid, owner, cookie, monkeypatch):
    grant()
    async with opened(GrowthState, cookie, owner, monkeypatch) as page:
        assert (numbers(page), len(cohorts)) == (("1", "3"), 1)
        owner.execute(VISIT)
        await until(lambda: numbers(page) == ("2", "3"))
        assert len(cohorts) == 1
        owner.execute(LEAD, ["d@example.com"])
        await until(lambda: numbers(page) == ("2", "4"))
        assert len(cohorts) == 2


@pytest.mark.parametrize("failing", ["read", "read_cohort"])
async def test_leads_that_could_not_be_read_are_read_with_the_next_visit(
    grant, laid, owner, cookie, monkeypatch, failing
):
    grant()

    async def away(*_: Any) -> None:
        raise DatabaseUnavailable

    async with opened(GrowthState, cookie, owner, monkeypatch) as page:
        with monkeypatch.context() as broken:
            broken.setattr(service, failing, away)
            owner.execute(LEAD, ["d@example.com"])
            await until(lambda: page.trouble)
        assert numbers(page)[1] == "3"
        owner.execute(VISIT)
        await until(lambda: not page.trouble)
        assert numbers(page) == ("2", "4")


async def test_bad_dates_are_answered_in_words_and_no_file(client, grant):
    grant()
    answer = await client.get("/admin/growth.csv?since=2026-11-28&until=2026-11-01")
    assert (answer.status_code, answer.text) == (422, "The first day is after the last.")


async def test_while_the_database_is_away_it_says_so(client):
    async with Database("postgresql://nobody@127.0.0.1:9/none", pool_size=1) as away:
        with serve_requests_from(away):
            answer = await client.get("/admin/growth.csv")
    assert answer.status_code == 503


async def test_an_operator_reads_the_same_as_the_service_and_nobody_else_anything(
    session: Session, database: Database, grant, laid
):
    span = Span(TODAY - timedelta(days=6), TODAY)

    async def read() -> Growth:
        async with database.cursor(reader(session.user_id)) as cursor:
            return await service.read(cursor, span, "source")

    assert (await read()).total == Compared()
    grant()
    found = await read()
    assert found.total.now[:2] == (1, 3)
    assert set(found.values) == {"=1+1", 'news, "daily"', ""}


class TestWanted:
    def test_what_an_address_says_nothing_of_is_the_last_thirty_days_by_day(self):
        wanted = read_wanted({})
        assert (wanted.span.days, wanted.by, wanted.days, wanted.dimension) == (30, "day", "30", "")
        assert wanted.address() == "/admin/growth?days=30&by=day"

    def test_the_last_days_stay_the_last_days_and_chosen_ones_are_named(self):
        assert read_wanted({"days": "7", "by": "page"}).address(by="source") == "/admin/growth?days=7&by=source"
        chosen = read_wanted({"since": " 2026-11-01", "until": "2026-11-02 ", "days": "7"})
        assert chosen.address() == "/admin/growth?since=2026-11-01&until=2026-11-02&by=day"

    @pytest.mark.parametrize("asked", [{"days": "8"}, {"days": "-1"}, {"days": "x"}, {"by": "'; drop"}])
    def test_what_nobody_offered_is_the_usual(self, asked):
        assert read_wanted(asked) == read_wanted({})

    def test_bad_dates_are_refused(self):
        with pytest.raises(BadDates):
            read_wanted({"since": "tomorrow"})


class TestWords:
    @pytest.mark.parametrize(
        ("part", "whole", "words"),
        [(1, 8, "12.5%"), (1, 2, "50%"), (0, 5, "0%"), (3, 2, "150%"), (1, 0, "–"), (0, 0, "–"), (5000, 1, "500,000%")],
    )
    def test_percent(self, part, whole, words):
        assert percent(part, whole) == words

    @pytest.mark.parametrize(
        ("now", "before", "words"),
        [
            (1500, 300, ("+1,200", "+400%")),
            (0, 4, ("−4", "−100%")),
            (2, 2, ("±0", "±0%")),
            (3, 0, ("+3", "–")),
            (0, 0, ("±0", "–")),
        ],
    )
    def test_change(self, now, before, words):
        assert change(now, before) == words

    @pytest.mark.parametrize(
        ("since", "until", "words"),
        [
            ("2026-11-28", "2026-11-28", "28 November 2026"),
            ("2026-11-01", "2026-11-28", "1 to 28 November 2026 (28 days)"),
            ("2026-10-30", "2026-11-28", "30 October to 28 November 2026 (30 days)"),
            ("2025-12-01", "2026-11-28", "1 December 2025 to 28 November 2026 (363 days)"),
        ],
    )
    def test_days(self, since, until, words):
        assert _in_words(Span(date.fromisoformat(since), date.fromisoformat(until))) == words

    def test_every_step_and_every_dimension_has_its_words(self):
        assert tuple(STEPS) == Counts._fields
        assert tuple(VALUES) == DIMENSIONS


class TestCharts:
    def test_days_are_drawn_at_the_scale_of_the_most(self):
        span = Span(date(2026, 11, 27), date(2026, 11, 28))
        days = {
            span.since: Compared(Counts(visits=4), Counts(visits=8)),
            span.until: Compared(Counts(visits=2), Counts()),
        }
        found = Growth(span, days, {}, Compared(Counts(visits=6), Counts(visits=8)))
        chart = chart_of_days("visits", found)
        assert (chart.box, chart.area, chart.line) == ("0 0 2 100", "M0 100V50H1V75H2V100Z", "M0 0V0H1V100H2")
        assert chart.words == "Visits day by day: 6 in all, 8 in the days before, most on 27 Nov (4)."
        assert (chart.first, chart.last, chart.most, chart.change) == ("27 Nov", "28 Nov", "most 4", "−25%")
        nothing = chart_of_days("paid", found)
        assert nothing.area == "M0 100V100H1V100H2V100Z"
        assert nothing.words == "Paid day by day: 0 in all, 0 in the days before."

    def test_values_are_drawn_longest_first_and_those_without_any_are_not(self):
        values = {
            name: Compared(Counts(joined=many), Counts(joined=2)) for name, many in (("a", 1), ("b", 4), ("c", 0))
        }
        values["d"] = Compared(Counts(visits=9))
        chart = chart_of_values("joined", values, Compared(Counts(joined=5), Counts(joined=6)))
        assert [(bar.name, bar.now, bar.before) for bar in chart.bars] == [
            ("b", "100.0%", "50.0%"), ("a", "25.0%", "50.0%"), ("c", "0.0%", "50.0%"),
        ]  # fmt: skip
        assert chart.words == "Joined: 5 in all, 6 in the days before. b 4, a 1, c 0"

    def test_one_among_a_million_is_seen(self):
        drawn, words = funnel(Compared(Counts(visits=1_000_000, paid=1), Counts(visits=2_000_000)))
        assert [(bar.now, bar.before) for bar in drawn][::5] == [("50.0%", "99.5%"), ("0.4%", "0.0%")]
        assert words.startswith("From visits to paid: Visits 1,000,000 (before 2,000,000), Joined 0 (before 0)")
