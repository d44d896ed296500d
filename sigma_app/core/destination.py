"""Where somebody wanted to go before they had to sign in: `next` in an address, which anybody may write."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit

HOME = "/profile"
_LONGEST = 512
# A path of this site and nothing else. Browsers drop tabs and line ends anywhere in an address, and read a backslash as
# a slash (WHATWG URL, "special scheme"), so that "/\evil.example" and "/<tab>/evil.example" lead elsewhere.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def safe_next(wished: str | None, default: str = HOME) -> str:
    """`wished` where it is a path of this site, as it may stand in a Location header; else `default`."""
    if not wished or len(wished) > _LONGEST or not _PATH.fullmatch(wished):
        return default
    try:
        parts = urlsplit(wished)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else wished


def with_next(path: str, wished: str | None, **query: str) -> str:
    """The address of `path`, which goes on to `wished` afterwards; of this site, as `safe_next`.

    Args:
        path: of a page of ours.
        wished: where to go on to; left out where it is nowhere or the usual place.
        query: further parameters; those that are empty are left out.
    """
    onward = safe_next(wished)
    given = {name: value for name, value in query.items() if value}
    if onward != HOME:
        given["next"] = onward
    return f"{path}?{urlencode(given)}" if given else path
