"""Which backups of a directory there are, and which of them stay."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"sigma-(\d{8}T\d{6}Z)(\.sealed)?\.zip")
_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Kept:
    """A backup of a directory, by its name."""

    path: Path
    made_at: datetime
    sealed: bool


class Rule(NamedTuple):
    """How many days, weeks and months have a backup that stays: the newest of each. Days are those of UTC."""

    daily: int
    weekly: int
    monthly: int


def name_of(made_at: datetime, *, sealed: bool) -> str:
    """What a backup of that moment is called, such as "sigma-20261128T031700Z.sealed.zip"."""
    return f"sigma-{made_at.astimezone(UTC).strftime(_TIME)}{'.sealed' if sealed else ''}.zip"


def backups_in(directory: Path) -> list[Kept]:
    """The backups of a directory, the newest first; other files are none of ours."""
    found = []
    for path in directory.glob("sigma-*.zip"):
        if match := _NAME.fullmatch(path.name):
            made_at = datetime.strptime(match[1], _TIME).replace(tzinfo=UTC)
            found.append(Kept(path, made_at, bool(match[2])))
    return sorted(found, key=lambda kept: kept.made_at, reverse=True)


def staying(backups: Iterable[Kept], rule: Rule) -> set[Path]:
    """Which of these backups, the newest first, the rule keeps: with a day or more the newest of all always."""
    backups = list(backups)
    stay: set[Path] = set()
    for period, many in ((_day, rule.daily), (_week, rule.weekly), (_month, rule.monthly)):
        newest: dict[tuple[int, ...], Path] = {}
        for kept in backups:
            newest.setdefault(period(kept.made_at), kept.path)
        stay |= set(list(newest.values())[:many])
    return stay


def rotate(directory: Path, rule: Rule) -> list[Path]:
    """Remove the backups of a directory that the rule does not keep; which they were."""
    backups = backups_in(directory)
    stay = staying(backups, rule)
    gone = [kept.path for kept in backups if kept.path not in stay]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def _day(at: datetime) -> tuple[int, ...]:
    return at.year, at.month, at.day


def _week(at: datetime) -> tuple[int, ...]:
    return at.isocalendar()[:2]


def _month(at: datetime) -> tuple[int, ...]:
    return at.year, at.month
