"""Fills in exported pages whose words depend on the request, so that these have the frame and styles of all others.

Such a page holds marks (ui/template.py): what stands between ⟦ and ⟧ is Jinja2. It is shown without hydration, since
React would find other words than its own. Every value is escaped, and one that is missing is an error.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import HTMLResponse

from sigma_app.core.marks import CLOSE, OPEN
from sigma_app.frontend.finish import without_hydration
from sigma_app.frontend.policy import policy_of
from sigma_app.frontend.static import MemoryFiles

# Not "no-referrer", with which a browser sends the forms of these pages as from nowhere ("Origin: null").
PRIVATE = {"cache-control": "no-store", "referrer-policy": "strict-origin", "x-robots-tag": "noindex"}
"""The headers of what is said to one person: no cache keeps it, no search engine lists it, and its address, which may
hold a token, is told to nobody."""

_MARK = re.compile(f"{OPEN}.*?{CLOSE}", re.DOTALL)
_BETWEEN_TEXTS = "<!-- -->"  # React's, to find its texts again


def respond(
    pages: MemoryFiles, path: str, values: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] = PRIVATE
) -> HTMLResponse:
    """The page at `path`, filled in.

    Args:
        pages: the finished frontend.
        path: where the page was exported to, such as "/templates/place".
        values: by name; those that are `markupsafe.Markup` are not escaped.
        status: of the answer.
        headers: of the answer; the page's own policy comes on top.

    Raises:
        jinja2.UndefinedError: the page asks for a value that is not among `values`.
        KeyError: there is no such page.
    """
    text = _environment(pages).get_template(path).render(values)
    return HTMLResponse(text, status, {**headers, "content-security-policy": policy(pages, path)})


@lru_cache(maxsize=64)  # more than there are
def policy(pages: MemoryFiles, path: str) -> str:
    """The Content-Security-Policy of the page at `path` without hydration: by the page as built, never as filled in."""
    return policy_of(without_hydration(pages.text(path)))


@lru_cache(maxsize=1)  # a process serves one build
def _environment(pages: MemoryFiles) -> Environment:
    """Compiles each page of `pages` once."""
    return Environment(
        variable_start_string=OPEN,
        variable_end_string=CLOSE,
        block_start_string=f"{OPEN}%",
        block_end_string=f"%{CLOSE}",
        comment_start_string=f"{OPEN}#",
        comment_end_string=f"#{CLOSE}",
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        loader=FunctionLoader(lambda path: _source(pages.text(path))),
    )


def _source(page: str) -> str:
    """The exported page as Jinja2 reads it: React has escaped the quotes inside of marks."""
    page = without_hydration(page).replace(_BETWEEN_TEXTS, "")
    return _MARK.sub(lambda mark: html.unescape(mark[0]), page)
