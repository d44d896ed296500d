r"""The patterns of GOTRUE_URI_ALLOW_LIST, as the library reads them that GoTrue uses (gobwas/glob).

`.` and `/` separate: `*` is any characters between two of them, `**` any at all, `?` one that is no separator,
`[abc]`, `[a-z]` and `[!a]` one of a set, `{a,b}` either of two patterns, and `\` takes the meaning from what follows.
The libraries for Python know one separator. A regular expression would do, but several stars make it slow at the wish
of whoever sends the text; this goes over the text once for each part of the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from sigma_app.core.errors import StartError

_SEPARATORS = "./"
_PART = re.compile(
    r"(?P<any>\*\*)|(?P<between>\*)|(?P<one>\?)|(?P<open>\{)|(?P<comma>,)|(?P<close>\})"
    r"|\[(?P<but>!?)(?:(?P<low>[^\\])-(?P<high>[^\\])|(?P<among>(?:\\.|[^\]\\])+))\]"
    r"|\\(?P<escaped>.)|(?P<plain>[^\[\\])",
    re.DOTALL,
)

_Step = Callable[[str, set[int]], set[int]]
"""Where a part of a pattern ends in a text, for all places where it may begin."""


class Glob:
    """One pattern."""

    def __init__(self, pattern: str):
        """Read it.

        Raises:
            StartError: it is none.
        """
        self._step = _read(_parts(pattern), is_inside=False)

    def matches(self, text: str) -> bool:
        """Whether the whole of `text` is as the pattern says."""
        return len(text) in self._step(text, {0})


def _parts(pattern: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(pattern):
        found = _PART.match(pattern, at)
        if found is None or (found["low"] or "") > (found["high"] or ""):
            raise StartError(f"GOTRUE_URI_ALLOW_LIST: no pattern from character {at + 1} on: {pattern}")
        yield found
        at = found.end()


def _read(parts: Iterator[re.Match[str]], *, is_inside: bool) -> _Step:
    """A pattern, or the patterns inside a pair of braces; the second brace may be missing, as with GoTrue."""
    choices: list[list[_Step]] = [[]]
    for part in parts:
        if part["open"]:
            choices[-1].append(_read(parts, is_inside=True))
        elif part["comma"] and is_inside:
            choices.append([])
        elif part["close"] and is_inside:
            break
        else:
            choices[-1].append(_step(part))
    return _either(choices)


def _step(part: re.Match[str]) -> _Step:
    if part["any"]:
        return lambda text, starts: set(range(min(starts, default=len(text) + 1), len(text) + 1))
    if part["between"]:
        return _between
    if part["one"]:
        return _one(lambda char: char not in _SEPARATORS)
    if part["low"]:
        return _one(lambda char: (part["low"] <= char <= part["high"]) != bool(part["but"]))
    if part["among"]:
        among = re.sub(r"\\(.)", r"\1", part["among"], flags=re.DOTALL)
        return _one(lambda char: (char in among) != bool(part["but"]))
    return _one((part["escaped"] or part[0]).__eq__)


def _one(accepts: Callable[[str], bool]) -> _Step:
    return lambda text, starts: {at + 1 for at in starts if at < len(text) and accepts(text[at])}


def _between(text: str, starts: set[int]) -> set[int]:
    ends: set[int] = set()
    for start in starts - ends:
        at = start
        while at not in ends:
            ends.add(at)
            if at < len(text) and text[at] not in _SEPARATORS:
                at += 1
    return ends


def _either(choices: Sequence[Sequence[_Step]]) -> _Step:
    def step(text: str, starts: set[int]) -> set[int]:
        ends: set[int] = set()
        for choice in choices:
            reached = starts
            for each in choice:
                reached = each(text, reached)
            ends |= reached
        return ends

    return step
