"""What a benchmark found: medians with their spread, ratios, bars; as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.sigma import PROJECT_ROOT

FILE = PROJECT_ROOT / "bench.json"


class Unavailable(Exception):
    """A benchmark cannot be run here; the message says why in one line."""


@dataclass(frozen=True)
class Sample:
    """One measure of one contender over all rounds."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    def over(self, reference: Sample) -> Sample:
        """The ratio to `reference`, round by round."""
        return Sample([mine / theirs for mine, theirs in zip(self.values, reference.values, strict=True)])

    def facts(self) -> dict[str, Any]:
        """For the record: every value, the median, and the spread from the lowest to the highest."""
        return {
            "median": self.median,
            "low": min(self.values),
            "high": max(self.values),
            "values": list(self.values),
        }


@dataclass(frozen=True)
class Bar:
    """What a median must reach."""

    bound: float
    at_most: bool = False

    def is_met(self, sample: Sample) -> bool:
        return sample.median <= self.bound if self.at_most else sample.median >= self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {_number(self.bound)}"


@dataclass(frozen=True)
class Ratio:
    """A contender's measure as a multiple of another's."""

    reference: str
    sample: Sample
    bar: Bar | None = None


@dataclass
class Row:
    """One contender, or one measure of it."""

    name: str
    sample: Sample
    unit: str = ""
    bar: Bar | None = None
    ratios: list[Ratio] = field(default_factory=list)
    details: dict[str, Sample] = field(default_factory=dict)
    """Further measures, each a column of its own."""

    def bars(self) -> list[tuple[str, Bar, bool]]:
        """What was asked of this row: of what, how much, and whether it is met."""
        own = [(self.unit, self.bar, self.bar.is_met(self.sample))] if self.bar else []
        return own + [(f"× {r.reference}", r.bar, r.bar.is_met(r.sample)) for r in self.ratios if r.bar]


@dataclass
class Report:
    """One benchmark's outcome."""

    name: str
    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    def show(self) -> None:
        """Print the table."""
        columns = list(dict.fromkeys(name for row in self.rows for name in row.details))
        table = Table(title=self.title, title_justify="left", title_style="bold")
        table.add_column("Contender")
        for column in ("Median", "Spread", *columns, "Ratio", "Bar", "Met"):
            table.add_column(column, justify="left" if column in ("Ratio", "Bar") else "right", no_wrap=True)
        for row in self.rows:
            details = [_number(row.details[name].median) if name in row.details else "" for name in columns]
            table.add_row(row.name, *_value_cells(row), *details, *_bar_cells(row))
        console = Console(width=None if Console().is_terminal else 160)
        console.print()
        console.print(table)
        for note in self.notes:
            console.print(f"  {note}", highlight=False, soft_wrap=True)

    def facts(self) -> dict[str, Any]:
        """For the record."""
        return {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "title": self.title,
            "notes": self.notes,
            "rows": [_row_facts(row) for row in self.rows],
        }


def write(machine: dict[str, str], report: Report) -> None:
    """Put `report` into bench.json; those of other benchmarks stay as they were measured before."""
    try:
        known = json.loads(FILE.read_text())["benchmarks"]
    except (OSError, ValueError, KeyError):
        known = {}
    known[report.name] = {"machine": machine, **report.facts()}
    FILE.write_text(json.dumps({"benchmarks": known}, indent=2, ensure_ascii=False) + "\n")


def _row_facts(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        **row.sample.facts(),
        "details": {name: sample.facts() for name, sample in row.details.items()},
        "ratios": {ratio.reference: ratio.sample.facts() for ratio in row.ratios},
        "bars": [{"of": of, "bar": str(bar), "met": met} for of, bar, met in row.bars()],
    }


def _value_cells(row: Row) -> tuple[str, str]:
    low, high = min(row.sample.values), max(row.sample.values)
    spread = "" if low == high else f"{_number(low)}-{_number(high)}"
    return f"{_number(row.sample.median)} {row.unit}".strip(), spread


def _bar_cells(row: Row) -> tuple[str, str, str]:
    """The ratios below each other, each beside its bar; a bar on the value itself stands beside no ratio."""
    lines = [("", row.bar, row.sample)] if row.bar else []
    lines += [(f"{_number(r.sample.median)} × {r.reference}", r.bar, r.sample) for r in row.ratios]
    ratios = "\n".join(ratio for ratio, _, _ in lines)
    bars = "\n".join(str(bar) if bar else "" for _, bar, _ in lines)
    met = "\n".join(
        ("[green]yes[/]" if bar.is_met(sample) else "[red]no[/]") if bar else "" for _, bar, sample in lines
    )
    return ratios, bars, met


def _number(value: float) -> str:
    """Three significant digits, thousands separated."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
