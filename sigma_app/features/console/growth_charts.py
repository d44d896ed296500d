"""The charts of growth: small pictures of the same numbers that stand in the tables beside them, as inline SVG.

Their shapes are computed here and styled by console.css. Each has its own scale, since a hundred visits may be one who
pays; a line, or a mark, shows the days before at that scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import reflex as rx

from sigma_app.features.console.growth_words import STEPS, change
from sigma_app.features.growth.service import Compared, Growth

_HIGH = 100  # of a chart, in its own units; a day is one wide
_BARS = 6  # of a chart of values
_NOTHING = "0.0%"  # of the longest


@dataclass(frozen=True, slots=True)
class Bar:
    """A number beside others: how long it is drawn, and how long it was before, in percent of the longest."""

    name: str
    value: str
    now: str
    before: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A step: in words, and as it is drawn: either day by day, or as bars."""

    step: str
    title: str
    total: str
    change: str
    words: str
    box: str
    area: str
    line: str
    most: str
    first: str
    last: str
    bars: list[Bar]


def chart_of_days(step: str, found: Growth) -> Chart:
    """A step day by day: an area of these days, and a line of those before."""
    now = [getattr(one.now, step) for one in found.days.values()]
    before = [getattr(one.before, step) for one in found.days.values()]
    most = max((*now, *before, 1))
    best = list(found.days)[now.index(max(now))]
    summed, total = _summed(step, found.total)
    words = f"{STEPS[step]} day by day: {summed}" + (f", most on {_short(best)} ({max(now):,})." if any(now) else ".")
    return Chart(
        *(step, STEPS[step], total, _changed(step, found.total), words),
        box=f"0 0 {len(now)} {_HIGH}",
        area=f"M0 {_HIGH}{_stairs(now, most)}V{_HIGH}Z",
        line=f"M0 {_height(before[0], most)}{_stairs(before, most)}",
        most=f"most {max(now):,}",
        first=_short(found.span.since),
        last=_short(found.span.until),
        bars=[],
    )


def chart_of_values(step: str, values: Mapping[str, Compared], total: Compared) -> Chart:
    """A step by where people came from: the longest bars."""
    counts = {name: (getattr(one.now, step), getattr(one.before, step)) for name, one in values.items()}
    first = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))[:_BARS]
    drawn = _bars({name: pair for name, pair in first if any(pair)})
    summed, sum_now = _summed(step, total)
    words = f"{STEPS[step]}: {summed}. " + ", ".join(f"{one.name} {one.value}" for one in drawn)
    blank = dict.fromkeys(("box", "area", "line", "most", "first", "last"), "")
    return Chart(step, STEPS[step], sum_now, _changed(step, total), words, **blank, bars=drawn)


def funnel(total: Compared) -> tuple[list[Bar], str]:
    """All steps beside each other, and the same in words."""
    counts = {name: (getattr(total.now, step), getattr(total.before, step)) for step, name in STEPS.items()}
    words = ", ".join(f"{name} {now:,} (before {before:,})" for name, (now, before) in counts.items())
    return _bars(counts), f"From visits to paid: {words}"


def charts(known: Any) -> rx.Component:
    """A Var of `list[Chart]`."""
    return rx.el.div(
        rx.foreach(
            known,
            lambda one: rx.el.figure(
                rx.el.figcaption(
                    rx.el.span(one.title), rx.el.b(one.total), rx.el.span(one.change, class_name="growth-change")
                ),
                rx.cond(one.area != "", _days(one), bars(one.bars, one.words)),
                key=one.step,
                class_name="growth-chart",
            ),
        ),
        class_name="growth-charts",
    )


def bars(known: Any, words: Any) -> rx.Component:
    """A Var of `list[Bar]`, and what they say in words for who cannot see them."""
    return rx.el.div(
        rx.foreach(
            known,
            lambda one: rx.el.div(
                rx.el.span(one.name, class_name="growth-name"),
                rx.el.svg(
                    rx.el.svg.rect(width=one.now, height="100%", class_name="growth-now"),
                    rx.cond(
                        one.before != _NOTHING,
                        rx.el.svg.rect(x=one.before, width="4", height="100%", class_name="growth-before"),
                    ),
                ),
                rx.el.b(one.value),
                key=one.name,
            ),
        ),
        role="img",
        aria_label=words,
        class_name="growth-bars",
    )


def _days(one: Any) -> rx.Component:
    return rx.el.div(
        rx.el.svg(
            rx.el.svg.path(d=one.area, class_name="growth-now"),
            rx.el.svg.path(d=one.line, class_name="growth-before"),
            view_box=one.box,
            preserve_aspect_ratio="none",
        ),
        rx.el.p(rx.el.span(one.first), rx.el.span(one.most), rx.el.span(one.last)),
        role="img",
        aria_label=one.words,
        class_name="growth-days",
    )


def _bars(counts: Mapping[str, tuple[int, int]]) -> list[Bar]:
    longest = max((number for pair in counts.values() for number in pair), default=0) or 1
    return [
        Bar(name, f"{now:,}", f"{_share(now, longest)}%", f"{min(_share(before, longest), 99.5)}%")
        for name, (now, before) in counts.items()
    ]


def _share(number: int, longest: int) -> float:
    """In percent; a single one among a million is still seen."""
    return max(round(100 * number / longest, 1), 0.4) if number else 0.0


def _stairs(numbers: Sequence[int], most: int) -> str:
    return "".join(f"V{_height(number, most)}H{day + 1}" for day, number in enumerate(numbers))


def _height(number: int, most: int) -> str:
    return f"{_HIGH - _HIGH * number / most:.1f}".removesuffix(".0")


def _summed(step: str, total: Compared) -> tuple[str, str]:
    now, before = getattr(total.now, step), getattr(total.before, step)
    return f"{now:,} in all, {before:,} in the days before", f"{now:,}"


def _changed(step: str, total: Compared) -> str:
    difference, in_percent = change(getattr(total.now, step), getattr(total.before, step))
    return in_percent if in_percent != "–" else difference


def _short(day: date) -> str:
    return f"{day.day} {day:%b}"
