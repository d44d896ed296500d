"""What every mail of Sigma looks like: one letter, as HTML for people and as plain text for those who prefer it.

Callers say what a mail has to tell, in `Letter`; `render` gives both parts, so that none is forgotten, and the same
letter always gives the same bytes, which an idempotency key needs. The HTML loads nothing and runs nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

_WIDTH = 72  # characters of a line of plain text


@dataclass(frozen=True)
class Letter:
    """What a mail tells; all texts are plain, markup in them is shown as typed."""

    subject: str
    preheader: str
    """What mail programs show behind the subject, in their list."""
    heading: str
    paragraphs: Sequence[str]
    action: tuple[str, str] | None = None
    """The one thing to do: the words on the button, and its address."""
    code: str | None = None
    """To type elsewhere, instead of the action if there is one."""
    notes: Sequence[str] = ()
    """Small print, such as how long the link works."""
    unsubscribe: str | None = None
    """The address that ends mails like this one."""


class Rendered(NamedTuple):
    """A letter ready to send: `Mail(to, *render(letter))`."""

    subject: str
    html: str
    text: str


def render(letter: Letter) -> Rendered:
    """Both parts of a mail, and its subject in one line."""
    subject = " ".join(letter.subject.split())
    html, text = (
        _templates.get_template(name).render(letter=letter, subject=subject) for name in ("letter.html", "letter.txt")
    )
    return Rendered(subject, html, text)


def _wrap(text: str) -> str:
    """Lines of at most `_WIDTH` characters; a longer word, such as an address, has one to itself."""
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["wrapped"] = _wrap
