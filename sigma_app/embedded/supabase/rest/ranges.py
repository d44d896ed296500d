"""Which page of the rows is asked for, and how the answer says which it is (PostgREST's RangeQuery.hs)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sigma_app.embedded.supabase.rest.errors import Refusal, bad_range
from sigma_app.embedded.supabase.rest.query import Query

_HEADER = re.compile(r"([0-9]{1,30})-([0-9]{0,30})")


@dataclass(frozen=True)
class Page:
    """Rows from `offset` on, at most `limit` of them if that is a number."""

    offset: int = 0
    limit: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no page was asked for."""
        return self.offset == 0 and self.limit is None

    def bounded(self, most: int | None) -> Page:
        """The same page with no more than `most` rows."""
        if most is None or (self.limit is not None and self.limit <= most):
            return self
        return Page(self.offset, most)


EVERYTHING = Page()


def page(query: Query, header: str | None) -> Page:
    """What `limit` and `offset` say, cut down to what a Range header says.

    Args:
        query: the query string.
        header: of a GET; for other methods it does not count.

    Raises:
        Refusal: PGRST103, 416.
    """
    if query.limit is None and query.offset is None and header is None:
        return EVERYTHING
    if query.limit == 0 and query.offset in (None, 0):
        return Page(0, 0)
    low, high = query.offset or 0, None
    if query.limit is not None:
        high = low + query.limit - 1
    found = _HEADER.fullmatch(header.strip()) if header else None
    if found:
        first, last = int(found[1]), int(found[2]) if found[2] else None
        if last is not None and first > last:
            raise bad_range("The lower boundary must be lower than or equal to the upper boundary in the Range header.")
        low = max(low, first)
        high = last if high is None else high if last is None else min(high, last)
    if high is not None and high < low:
        raise bad_range("Limit should be greater than or equal to zero.")
    return Page(low, None if high is None else high - low + 1)


def content_range(first: int, last: int, total: int | None) -> str:
    """The Content-Range header: the numbers of the first and the last row, and how many there are."""
    numbers = f"{first}-{last}" if total != 0 and first <= last else "*"
    return f"{numbers}/{'*' if total is None else total}"


def status(asked: Page, rows: int, total: int | None) -> int:
    """200, or 206 where there are more rows than these.

    Raises:
        Refusal: PGRST103, 416: it begins behind the last row.
    """
    if total is None:
        return 200
    if asked.offset > total:
        raise _beyond(asked, total)
    return 206 if rows < total else 200


def _beyond(asked: Page, total: int) -> Refusal:
    details = f"An offset of {asked.offset} was requested, but there are only {total} rows."
    return bad_range(details, {"content-range": f"*/{total}"})
