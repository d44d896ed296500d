"""Which backups stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sigma_app.features.operations.backup.keeping import Kept, Rule, backups_in, name_of, rotate, staying

NOW = datetime(2026, 11, 28, 3, 40, tzinfo=UTC)  # a Saturday


def made(*ages: timedelta) -> list[Kept]:
    """Backups of these ages, the newest first."""
    times = sorted((NOW - age for age in ages), reverse=True)
    return [Kept(Path(name_of(at, sealed=False)), at, False) for at in times]


def days(number: int) -> timedelta:
    return timedelta(days=number)


def test_a_year_of_days_keeps_the_last_ones_of_each_day_week_and_month():
    every_day = made(*map(days, range(400)))
    stay = staying(every_day, Rule(7, 5, 12))
    kept = [one.made_at.date().isoformat() for one in every_day if one.path in stay]
    assert kept[:7] == [f"2026-11-{day}" for day in range(28, 21, -1)]
    assert kept[7:10] == ["2026-11-15", "2026-11-08", "2026-11-01"]  # Sundays; that of the 22nd is one of the days
    assert kept[10:] == [
        *("2026-10-31", "2026-09-30", "2026-08-31", "2026-07-31", "2026-06-30", "2026-05-31"),
        *("2026-04-30", "2026-03-31", "2026-02-28", "2026-01-31", "2025-12-31"),
    ]


def test_of_one_day_the_newest_stays():
    several = made(timedelta(0), timedelta(hours=1), timedelta(hours=2), timedelta(days=1))
    assert staying(several, Rule(2, 0, 0)) == {several[0].path, several[3].path}


def test_gaps_cost_nothing():
    rare = made(days(0), days(100), days(200))
    assert staying(rare, Rule(3, 0, 0)) == {one.path for one in rare}


@given(st.lists(st.integers(0, 4000), unique=True, min_size=1), st.integers(1, 9), st.integers(0, 9), st.integers(0, 9))
def test_the_newest_always_stays_and_never_more_than_the_rule_says(hours, daily, weekly, monthly):
    backups = made(*(timedelta(hours=hour) for hour in hours))
    stay = staying(backups, Rule(daily, weekly, monthly))
    assert backups[0].path in stay
    assert len(stay) <= daily + weekly + monthly
    again = [one for one in backups if one.path in stay]
    assert staying(again, Rule(daily, weekly, monthly)) == stay  # nothing more goes the next time


def test_only_files_that_are_named_as_backups_are_ever_removed(tmp_path: Path):
    names = [name_of(NOW - days(day), sealed=day % 2 == 0) for day in range(4)]
    others = ["sigma-notes.zip", "sigma-20200101T000000Z.zip.old", ".sigma-20200101T000000Z.zip.draft", "other.zip"]
    for name in [*names, *others]:
        (tmp_path / name).touch()
    assert [kept.path.name for kept in backups_in(tmp_path)] == names
    assert [kept.sealed for kept in backups_in(tmp_path)] == [True, False, True, False]
    gone = rotate(tmp_path, Rule(1, 0, 0))
    assert {path.name for path in gone} == set(names[1:])
    assert {path.name for path in tmp_path.iterdir()} == {names[0], *others}
