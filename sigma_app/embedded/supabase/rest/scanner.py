"""Reading a parameter's text from left to right, and what all of them are made of: names, quoted texts, JSON paths.

Names and paths are PostgREST's (its source, ApiRequest/QueryParams.hs).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from sigma_app.embedded.supabase.rest.errors import unparsable

MOST_NESTED = 100  # trees in trees, steps into JSON; each costs Postgres' parser and ours a piece of the stack
FIELD = "field name (* or [a..z0..9_$])"
WORDS = re.compile(r"[\w $]+")

_JSON_KEY = re.compile(r"[^(\-:.,>)]+")
_INDEX = re.compile(r"-?[0-9]+(?=->|::|[.,)]|\Z)")


@dataclass(frozen=True)
class Step:
    """One step into JSON: `->key` or `->>key`, or with a number."""

    as_text: bool
    key: str
    is_index: bool


class Scanner:
    """A text, and how far it was read."""

    def __init__(self, text: str, what: str, before: str = ""):
        """`what` names it in errors; `before` is read ahead of it, and counts there as its beginning."""
        self.text = before + text
        self.at = 0
        self._shown = text
        self._what = what

    @property
    def next(self) -> str:
        """The character that comes, or "" at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, text: str) -> bool:
        """Read `text` if it comes now."""
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what `pattern` matches, if it does."""
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def skip_blanks(self) -> None:
        """Read spaces and tabs."""
        while self.next in (" ", "\t") and self.next:
            self.at += 1

    def until(self, ends: str) -> str:
        """Read up to one of the characters `ends`, or to the end."""
        start = self.at
        while self.at < len(self.text) and self.text[self.at] not in ends:
            self.at += 1
        return self.text[start : self.at]

    def rest(self) -> str:
        """Read all that is left."""
        found, self.at = self.text[self.at :], len(self.text)
        return found

    def expect(self, text: str) -> None:
        """Read `text`, which must come now."""
        if not self.take(text):
            self.fail(f'"{text}"')

    def fail(self, expected: str, at: int | None = None) -> NoReturn:
        """Refuse the text, because `expected` was to come."""
        at = self.at if at is None else at
        found = f'"{self.text[at]}"' if at < len(self.text) else "end of input"
        raise unparsable(self._what, self._shown, at + 1, f"unexpected {found} expecting {expected}")


def quoted_value(scanner: Scanner) -> str | None:
    """A text in double quotes, where a backslash takes the next character as it is; None if there is none."""
    at, text = scanner.at + 1, scanner.text
    if scanner.next != '"':
        return None
    found = []
    while at < len(text) and text[at] != '"':
        at += text[at] == "\\"
        found.append(text[at : at + 1])
        at += 1
    if at >= len(text):
        return None
    scanner.at = at + 1
    return "".join(found)


def field_name(scanner: Scanner) -> str:
    """A column's name: letters, digits, `_`, `$`, blanks inside, dashes that begin no arrow; or anything in quotes."""
    found = quoted_value(scanner)
    if found is not None:
        return found
    if scanner.next == '"':
        scanner.fail('"\\"" or any character', len(scanner.text))
    parts = []
    while True:
        part = scanner.match(WORDS)
        if not part:
            scanner.fail("letter or digit" if parts else FIELD)
        parts.append(part.group().strip())
        if scanner.next != "-" or scanner.text.startswith("->", scanner.at):
            return "-".join(parts)
        scanner.at += 1


def json_path(scanner: Scanner) -> Sequence[Step]:
    """Arrows into JSON; none at all, too."""
    steps: list[Step] = []
    while scanner.text.startswith("->", scanner.at):
        if len(steps) == MOST_NESTED:
            scanner.fail(f"at most {MOST_NESTED} steps")
        as_text = scanner.take("->>") or not scanner.take("->")
        if index := scanner.match(_INDEX):
            steps.append(Step(as_text, index.group(), is_index=True))
        elif scanner.next == "-":
            scanner.fail("digit", scanner.at + 1)
        else:
            steps.append(Step(as_text, _json_key(scanner), is_index=False))
    return steps


def _json_key(scanner: Scanner) -> str:
    found = quoted_value(scanner)
    if found is not None:
        return found
    parts = []
    while True:
        part = scanner.match(_JSON_KEY)
        if not part:
            scanner.fail('"-", digit or any non reserved character different from: .,>()')
        parts.append(part.group().strip())
        if scanner.next != "-" or scanner.text.startswith("->", scanner.at):
            return "-".join(parts)
        scanner.at += 1
