"""What the console's pages are made of: their frame, tables, facts, and the ways through a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import reflex as rx

from sigma_app.session.state import SessionState
from sigma_app.ui import head
from sigma_app.ui.form import plain_form
from sigma_app.ui.link import link
from sigma_app.ui.parts import PRIMARY as PRIMARY
from sigma_app.ui.parts import QUIET as QUIET
from sigma_app.ui.portal import phase, portal, waiting
from sigma_app.ui.script import inline_script

PAGES = (
    ("/admin", "Overview"),
    ("/admin/leads", "Leads"),
    ("/admin/growth", "Growth"),
    ("/admin/users", "Users"),
    ("/admin/events", "Events"),
    ("/admin/jobs", "Jobs"),
    ("/admin/mail", "Mail"),
    ("/admin/audit", "Audit log"),
)


_LOOKS = {"State": "whole", "Access": "whole", "Did what": "sentence"}
"""How cells look under their headings: in one line where there is room, as times do, or with room for words."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: its cells as texts, where its first one leads, and how it is marked, such as "bad"."""

    id: str
    cells: list[str]
    href: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that is so, and what."""

    name: str
    value: str
    href: str = ""


def console_page(
    state: Any,
    title: Any,
    *children: rx.Component,
    here: str,
    lede: rx.Component | str = "",
    script: Path | None = None,
    of_one: bool = False,
) -> rx.Component:
    """A whole page of the console.

    Args:
        state: a `ConsolePage`, which says when there is something to show.
        title: the page's h1.
        children: what it has read.
        here: which of `PAGES` it is, or belongs to.
        lede: what the page is about.
        script: a file that is run as the document is read; among `children` it would not be.
        of_one: whether the address names the one thing that it shows. Of another one a tab remembers nothing then, for
            as long as that takes to read. A list goes on showing what it has, and whoever types in its filters.
    """
    return portal(
        inline_script(Path(__file__).parent / "deeds.js"),
        inline_script(script) if script else rx.fragment(),
        phase(state),
        rx.cond(
            (state.phase == "in") & (state.ready & _is_for_this_address(state) if of_one else state.ready),
            rx.el.div(
                rx.el.header(
                    rx.el.h1(title, class_name="title"),
                    rx.el.p(lede, class_name="lede") if lede else rx.fragment(),
                    rx.el.p(
                        "Signed in as ",
                        rx.el.strong(SessionState.email),
                        ". ",
                        link("Your own account", href="/account"),
                        class_name="fine-print console-who",
                    ),
                    # What was read before stays, and says that it may not be so any more.
                    rx.cond(state.trouble != "", rx.el.p(state.trouble, role="alert", class_name="said")),
                    class_name="frame console-top",
                ),
                *children,
            ),
            rx.cond(state.revoked, _not_theirs(state), waiting(state.trouble, state.load)),
        ),
        here=here,
        pages=PAGES,
        label="Console",
        look="portal console",
        not_theirs=state.revoked,
    )


def _not_theirs(state: Any) -> rx.Component:
    """What is left of a page for whoever is signed in and no operator any more."""
    return rx.el.section(
        rx.el.h1("For operators", class_name="title"),
        rx.el.p(state.trouble, role="alert", class_name="lede"),
        rx.el.p(
            "You are still signed in as ",
            rx.el.strong(SessionState.email),
            ", and the rest of your account is as it was. Ask whoever runs Sigma if this surprises you.",
        ),
        rx.el.p(link("To your account", href="/app", class_name=PRIMARY)),
        class_name="frame console-part console-nothing",
    )


def _is_for_this_address(state: Any) -> rx.Var[bool]:
    """Whether what was read is of what the browser's address names, of which the state knows later than the page."""
    here = rx.Var("(typeof window === 'undefined' ? '' : window.location.search.slice(1))", _var_type=str)
    return here == state.read_for


def page(component: Any, route: str, title: str, state: Any) -> dict[str, Any]:
    """The arguments of `app.add_page` for one of these."""
    return head.page(component, route, f"{title} · Sigma", "For operators.", indexed=False) | {"on_load": state.load}


def part(title: Any, *children: Any, intro: str = "", beside: rx.Component | None = None) -> rx.Component:
    """A section of a page; `beside` stands in the line of its heading."""
    heading = rx.fragment() if isinstance(title, str) and not title else rx.el.h2(title, class_name="console-heading")
    return rx.el.section(
        rx.el.div(heading, beside, class_name="console-headed") if beside else heading,
        rx.el.p(intro, class_name="fine-print") if intro else rx.fragment(),
        *children,
        class_name="frame console-part",
    )


def table(
    caption: str, headings: Sequence[str], rows: Any, *, empty: Any, pick: bool = False, numbers: Sequence[str] = ()
) -> rx.Component:
    """A table of `Row`s; on a small screen each row is a card.

    Args:
        caption: what it is a table of, for who cannot see that.
        headings: one for each cell.
        rows: a Var of `list[Row]`.
        empty: what stands in the place of no rows.
        pick: whether each row has a box to tick, named "pick-" and the row's id; inside a form, with pick.js.
        numbers: the headings of those that are numbers, which stand at the right.
    """

    def row(one: Any) -> rx.Component:
        box = rx.el.td(
            rx.el.input(type="checkbox", name=f"pick-{one.id}", aria_label=f"Pick {one.cells[0]}", key=one.id),
            class_name="pick",
        )
        leads = rx.cond(one.href != "", link(one.cells[0], href=one.href), rx.el.span(one.cells[0]))
        said = [leads, *(one.cells[index] for index in range(1, len(headings)))]
        cells = row_of(headings, said, numbers)
        return rx.el.tr(*([box] if pick else []), *cells, key=one.id, custom_attrs={"data-tone": one.tone})

    everyone = rx.el.input(type="checkbox", aria_label="Pick all of this page", custom_attrs={"data-pick-all": ""})
    first = [rx.el.th(everyone, scope="col", class_name="pick")] if pick else []
    return table_of(caption, headings, rows, row, empty=empty, numbers=numbers, first=first)


def row_of(headings: Sequence[str], said: Sequence[Any], numbers: Sequence[str] = ()) -> list[rx.Component]:
    """The cells of a row of `table_of`, under their headings."""
    return [
        rx.el.td(cell, class_name=_look(heading, numbers), custom_attrs={"data-label": heading})
        for heading, cell in zip(headings, said, strict=True)
    ]


def table_of(
    caption: str,
    headings: Sequence[str],
    rows: Any,
    row: Callable[[Any], rx.Component],
    *,
    empty: Any,
    numbers: Sequence[str] = (),
    first: Sequence[rx.Component] = (),
) -> rx.Component:
    """A table of rows of any kind, as `table` takes them.

    Args:
        caption: as `table`'s.
        headings: one for each cell.
        rows: a Var of a list.
        row: the `tr` of one of them, of the cells that `row_of` makes.
        empty: what stands in the place of no rows.
        numbers: as `table`'s.
        first: headings before the others.
    """
    heads = [rx.el.th(heading, scope="col", class_name=_look(heading, numbers)) for heading in headings]
    return rx.cond(
        rows.length() > 0,
        rx.el.div(
            rx.el.table(
                rx.el.caption(caption, class_name="sr-only"),
                rx.el.thead(rx.el.tr(*first, *heads)),
                rx.el.tbody(rx.foreach(rows, row)),
                class_name="console-table",
            ),
            class_name="console-scroll",
            role="region",
            aria_label=caption,
            custom_attrs={"tabIndex": 0},
        ),
        rx.el.p(empty, class_name="console-empty"),
    )


def _look(heading: str, numbers: Sequence[str]) -> str:
    if heading in numbers:
        return "number"
    return "whole" if heading.endswith("(UTC)") else _LOOKS.get(heading, "")


def facts(known: Any) -> rx.Component:
    """A Var of `list[Fact]`, one below the other."""
    return _listed(known, "console-facts")


def numbers(known: Any) -> rx.Component:
    """A Var of `list[Fact]` as numbers side by side, which move in silence: a busy list has no end of news."""
    return _listed(known, "console-numbers")


def _listed(known: Any, look: str) -> rx.Component:
    return rx.el.dl(
        rx.foreach(
            known,
            lambda one: rx.el.div(
                rx.el.dt(one.name),
                rx.el.dd(rx.cond(one.href != "", link(one.value, href=one.href), rx.el.span(one.value))),
            ),
        ),
        class_name=look,
    )


def nothing_here(words: Any, href: str, back: str) -> rx.Component:
    """What stands in the place of something that is not there, and the way to its list."""
    return rx.el.section(
        rx.el.h2("Nothing here", class_name="console-heading"),
        rx.el.p(words),
        rx.el.p(link(back, href=href, class_name=QUIET)),
        class_name="frame console-part console-nothing",
    )


def no_rows(empty: Any, *, asked: Any, matches: str, href: str, everything: str, mistake: Any = None) -> rx.Component:
    """What stands in the place of no rows of a list that has filters, for `table`.

    Args:
        empty: what is said of a list that has nothing in it.
        asked: a Var, whether the filters leave anything out.
        matches: what is said then, such as "Nobody matches."
        href: the list without filters.
        everything: the way there, such as "Show everybody".
        mistake: a Var, what is wrong with what was asked for, which stands above the list; "" for nothing.
    """
    nothing = rx.cond(asked, rx.fragment(matches, " ", link(everything, href=href)), empty)
    if mistake is None:
        return nothing
    return rx.cond(mistake != "", "Nothing is shown: what was asked for cannot be, as it says above.", nothing)


def pager(newer: Any, older: Any) -> rx.Component:
    """The ways to the pages before and after, as addresses; "" where there is none."""
    return rx.el.nav(
        rx.cond(newer != "", link("← Newer", href=newer, class_name=QUIET, rel="prev")),
        rx.cond(older != "", link("Older →", href=older, class_name=QUIET, rel="next")),
        aria_label="Pages of this list",
        class_name="console-pager",
    )


def filters(*fields: rx.Component, action: str) -> rx.Component:
    """A form that asks for another part of a list, by the address; and the way back to all of it."""
    return plain_form(
        *fields,
        rx.el.div(
            rx.el.button("Show", type="submit", class_name=QUIET),
            link("All", href=action, class_name=QUIET),
            class_name="console-actions",
        ),
        action=action,
        class_name="console-filters",
        custom_attrs={"method": "get", "role": "search"},
    )


def folded(active: Any, *fields: rx.Component, is_open: Any = False) -> rx.Component:
    """Fields of `filters` that are out of the way until they are asked for, with how many of them are in use."""
    return rx.el.details(
        rx.el.summary("More filters", rx.cond(active > 0, f" ({active} in use)", ""), class_name=QUIET),
        rx.el.div(*fields, class_name="console-folded"),
        open=is_open,
        class_name="console-fold",
    )


def field(label: str, name: str, value: Any, **attrs: Any) -> rx.Component:
    """A labelled field of a form; another `value` makes it anew, so that going back shows what the address says."""
    return rx.el.label(rx.el.span(label), rx.el.input(name=name, default_value=value, key=value, **attrs))


def choice(label: str, name: str, value: Any, choices: Sequence[tuple[str, str]], **attrs: Any) -> rx.Component:
    """A labelled choice of a form, of values and their names; made anew as a field is."""
    options = [rx.el.option(words, value=one) for one, words in choices]
    return rx.el.label(rx.el.span(label), rx.el.select(*options, name=name, default_value=value, key=value, **attrs))


def moment(at: Any, exactly: Any) -> rx.Component:
    """A moment as `when` writes it, with its seconds for whoever points at it, and for programs."""
    return rx.el.time(at, date_time=exactly, title=exactly, class_name="console-moment")


def exactly(at: datetime) -> str:
    """A moment to the second, as programs read it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def when(at: datetime | None) -> str:
    """A moment as the console writes it, in UTC; "" for none."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" if at else ""
