"""/admin/growth: who comes and what becomes of them, step by step, beside as many days before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import urlencode

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core import clock
from sigma_app.features.console.growth_charts import Bar, Chart, bars, chart_of_days, chart_of_values, charts, funnel
from sigma_app.features.console.growth_words import STEPS, VALUES, change, percent
from sigma_app.features.console.parts import QUIET, Row, console_page, field, page, part, table
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.growth import service
from sigma_app.features.growth.service import DIMENSIONS, BadDates, Compared, Counts, Span
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session
from sigma_app.ui.form import plain_form
from sigma_app.ui.link import link

ROUTE = "/admin/growth"
FILE = "/admin/growth.csv"
BY_DAY = "day"
DAYS = ("7", "30", "90", "365")
NAMES = {BY_DAY: "Day", **{dimension: dimension.capitalize() for dimension in DIMENSIONS}}
_NUMBERS = (
    "Visits",
    "Joined",
    "Per 100 visits",
    "Confirmed",
    "Invited",
    "Signed up",
    "Paid",
    "Joined before",
    "Change",
)
_MOST = 100  # values in the page; the file has them all


@dataclass(frozen=True, slots=True)
class Way:
    """A link to the same page otherwise."""

    name: str
    href: str
    here: bool


class Wanted(NamedTuple):
    """What an address asks for."""

    span: Span
    by: str
    """`BY_DAY`, or one of `DIMENSIONS`."""
    days: str
    """One of `DAYS` where the span is the last so many; "" where it is of somebody's own choice."""

    @property
    def dimension(self) -> str:
        """For `service.read`."""
        return "" if self.by == BY_DAY else self.by

    def address(self, path: str = ROUTE, **otherwise: str) -> str:
        """That of a page which asks for the same, but for what is named."""
        span = {"days": self.days} if self.days else {"since": str(self.span.since), "until": str(self.span.until)}
        return f"{path}?{urlencode(span | {'by': self.by} | otherwise)}"


def read_wanted(asked: Mapping[str, str]) -> Wanted:
    """What an address asks for; the last 30 days by day where it says nothing.

    Raises:
        BadDates: its dates will not do, in words.
    """
    by = asked.get("by", BY_DAY)
    since, until = asked.get("since", "").strip(), asked.get("until", "").strip()
    days = "" if since or until else asked.get("days", "")
    last = int(days) if days in DAYS else 30
    span = service.read_span(since, until, clock.now().date(), last)
    return Wanted(span, by if by in NAMES else BY_DAY, "" if since or until else str(last))


class GrowthState(ConsolePage, SessionState):
    """The numbers of some days, and the ways to others; `said` is what was wrong with the dates that were asked for."""

    said: str = ""
    since: str = ""
    until: str = ""
    by: str = BY_DAY
    days: list[Way] = []  # noqa: RUF012 - a Var, copied for each state
    ways: list[Way] = []  # noqa: RUF012 - a Var, copied for each state
    words: str = ""
    file: str = ""
    is_empty: bool = True

    steps: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    became: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    funnel: list[Bar] = []  # noqa: RUF012 - a Var, copied for each state
    funnel_words: str = ""
    charts: list[Chart] = []  # noqa: RUF012 - a Var, copied for each state
    rows: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    more: str = ""

    _cohort: tuple[Span, Counts] | None = None
    _topics = frozenset({"leads", "visits"})

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        await self._read_numbers(cursor, asked, only_visits=False)

    async def _read_again(
        self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session, changed: frozenset[str]
    ) -> None:
        """As `_read`, but for what became of those who joined where visits alone came in."""
        await self._read_numbers(cursor, asked, only_visits=changed & {"leads", "", "visits"} == {"visits"})

    async def _read_numbers(
        self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], *, only_visits: bool
    ) -> None:
        try:
            wanted, self.said = read_wanted(asked), ""
        except BadDates as error:
            wanted, self.said = read_wanted({"by": asked.get("by", BY_DAY)}), f"{error} These are the last 30 days."
        found = await service.read(cursor, wanted.span, wanted.dimension)

        self.since, self.until = str(wanted.span.since), str(wanted.span.until)
        self.by, self.file = wanted.by, wanted.address(FILE)
        self.days = [Way(f"{days} days", f"{ROUTE}?days={days}&by={wanted.by}", days == wanted.days) for days in DAYS]
        self.ways = [Way(f"By {by}", wanted.address(by=by), by == wanted.by) for by in NAMES]
        self.words = f"{_in_words(found.span)}, beside {_in_words(found.span.before)}. Days are those of UTC."

        self.is_empty = not any((*found.total.now, *found.total.before))
        self.steps = _steps(found.total)
        # All leads of the span, which no visit changes, and visits come in each second
        if self._cohort is None or self._cohort[0] != wanted.span or not only_visits:
            self._cohort = wanted.span, await service.read_cohort(cursor, wanted.span)
        self.became = _became(self._cohort[1])
        self.funnel, self.funnel_words = funnel(found.total)
        if wanted.dimension:
            named = {VALUES[wanted.by].get(value, value): one for value, one in found.values.items()}
            self.charts = [chart_of_values(step, named, found.total) for step in STEPS]
        else:
            named = {str(day): one for day, one in found.days.items()}
            self.charts = [chart_of_days(step, found) for step in STEPS]
        self.rows = [_row(name, one) for name, one in list(named.items())[: None if not wanted.dimension else _MOST]]
        left = len(named) - len(self.rows)
        self.more = f"And {left:,} more: the file has them all." if left else ""


def _in_words(span: Span) -> str:
    """Such as "1 to 28 November 2026 (28 days)"."""

    def day(one: date, like: date | None = None) -> str:
        year = "" if like and one.year == like.year else f" {one.year}"
        month = "" if like and not year and one.month == like.month else f" {one:%B}"
        return f"{one.day}{month}{year}"

    if span.days == 1:
        return day(span.since)
    return f"{day(span.since, span.until)} to {day(span.until)} ({span.days:,} days)"


def _steps(total: Compared) -> list[Row]:
    rows = []
    for step, name in STEPS.items():
        now, before = getattr(total.now, step), getattr(total.before, step)
        rows.append(Row(step, [name, f"{now:,}", f"{before:,}", *change(now, before)]))
    return rows


def _became(cohort: Counts) -> list[Row]:
    return [
        Row(step, [name, f"{getattr(cohort, step):,}", percent(getattr(cohort, step), cohort.joined)])
        for step, name in STEPS.items()
        if step != "visits"
    ]


def _per_hundred(joined: int, visits: int) -> str:
    """Such as "12.5": no percentage, since who joins need not be among the visits."""
    return percent(joined, visits).removesuffix("%")


def _row(name: str, one: Compared) -> Row:
    now, before = one
    cells = [name, f"{now.visits:,}", f"{now.joined:,}", _per_hundred(now.joined, now.visits)]
    cells += [f"{count:,}" for count in (now.confirmed, now.invited, now.signed_up, now.paid, before.joined)]
    difference, in_percent = change(now.joined, before.joined)
    return Row(name, [*cells, f"{difference} ({in_percent})" if in_percent != "–" else difference])


def growth() -> rx.Component:
    """The funnel, the numbers told apart, and their file."""
    return console_page(
        GrowthState,
        "Growth",
        part(
            "Which days",
            rx.cond(GrowthState.said != "", rx.el.p(GrowthState.said, role="alert", class_name="said")),
            plain_form(
                rx.el.input(type="hidden", name="by", default_value=GrowthState.by, key=GrowthState.by),
                field("From", "since", GrowthState.since, type="date"),
                field("To", "until", GrowthState.until, type="date"),
                rx.el.button("Show", type="submit", class_name=QUIET),
                action=ROUTE,
                class_name="console-filters",
                custom_attrs={"method": "get"},
            ),
            _links(GrowthState.days, "The last days"),
        ),
        part(
            "Step by step",
            rx.cond(
                GrowthState.is_empty,
                rx.el.p("Nothing happened in these days, nor in those before.", class_name="console-empty"),
                bars(GrowthState.funnel, GrowthState.funnel_words),
            ),
            table(
                "What happened in these days, and in those before",
                ("Step", "These days", "The days before", "Change", "In percent"),
                GrowthState.steps,
                empty="",
                numbers=("These days", "The days before", "Change", "In percent"),
            ),
            intro="Each step counts what happened in these days, whoever it happened to: who joins today may have been "
            "here before, and who is invited joined some time ago. Who signs up or pays without having "
            "been on the list is not counted. What is filled is these days; a mark or a dashed line is the days "
            "before.",
        ),
        part(
            "What became of those who joined in these days",
            table(
                "How far those who joined in these days have come",
                ("Step", "So far", "Share of those who joined"),
                GrowthState.became,
                empty="",
                numbers=("So far", "Share of those who joined"),
            ),
            intro="The same people at every step, whenever it happened to them, up to now: who joined lately has had "
            "less time. Who was erased since is not among them.",
        ),
        part(
            "By day, and by where from",
            _links(GrowthState.ways, "Break down by"),
            rx.el.details(
                rx.el.summary("As a table", class_name=QUIET),
                rx.el.p(
                    "Per 100 visits: how many joined for each hundred visits of the same days. It can be more than "
                    "100: not everybody who joins is counted as a visit.",
                    class_name="fine-print",
                ),
                rx.cond(GrowthState.by == BY_DAY, _numbers("Day"), _numbers("Where from")),
                rx.cond(GrowthState.more != "", rx.el.p(GrowthState.more, class_name="fine-print")),
                open=GrowthState.by != BY_DAY,
                class_name="console-fold",
            ),
            rx.cond(GrowthState.is_empty, rx.fragment(), charts(GrowthState.charts)),
            beside=link("CSV", href=GrowthState.file, class_name=QUIET),
        ),
        part(
            "",
            rx.el.p(
                "Visits are arrivals from elsewhere at a public page. Who has no JavaScript is not counted, nor who "
                "has their browser ask not to be. A visit is nobody's: there is no cookie and no address with it.",
                class_name="fine-print",
            ),
        ),
        here=ROUTE,
        lede=rx.fragment(GrowthState.words),
    )


def _links(ways: Any, label: str) -> rx.Component:
    return rx.el.nav(
        rx.foreach(
            ways,
            lambda one: link(
                one.name, href=one.href, class_name=QUIET, aria_current=rx.cond(one.here, "true", "false"), key=one.name
            ),
        ),
        aria_label=label,
        class_name="console-actions growth-ways",
    )


def _numbers(first: str) -> rx.Component:
    return table(
        "The numbers that the charts show", (first, *_NUMBERS), GrowthState.rows, empty="Nothing.", numbers=_NUMBERS
    )


PAGES = [page(growth, ROUTE, "Growth", GrowthState)]
