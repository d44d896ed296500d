"""The frame every public page stands in: skip link, header, main, footer, and the ledger's margin."""

from collections.abc import Sequence

import reflex as rx

from sigma_app.ui.brand import sigma_mark, wordmark
from sigma_app.ui.link import link

SECTIONS = (
    ("/#parts", "What it does"),
    ("/#night", "How it works"),
    ("/pricing", "Pricing"),
    ("/#questions", "Questions"),
)


WAYS_IN = (
    link("Sign in", href="/sign-in", class_name="sign-in"),
    link(
        rx.el.span("Join the list", class_name="until-listed"),
        rx.el.span("On the list", class_name="once-listed"),
        href="/join",
        class_name="button button-quiet list-button",
    ),
)
"""For those with an account, and onto the list, or to what is said there to who has joined from this browser."""


def shell(*children: rx.Component, ways: Sequence[rx.Component] = WAYS_IN) -> rx.Component:
    """A whole page; `children` are the content of <main>, `ways` stand at the end of the header."""
    return rx.el.div(
        link("Skip to content", href="#content", class_name="skip-link"),
        header(*ways),
        rx.el.main(
            *children,
            custom_attrs={"id": "content", "data-socket": "on-demand", "tabIndex": -1},
        ),
        footer(link("Waitlist", href="/join"), link("Pricing", href="/pricing"), link("Sign in", href="/sign-in")),
        class_name="page",
    )


def header(*ways: rx.Component) -> rx.Component:
    """Wordmark, the sections of the landing page, and `ways` to elsewhere."""
    return rx.el.header(
        wordmark(),
        rx.el.nav(
            *(link(label, href=href) for href, label in SECTIONS),
            aria_label="Sections",
            class_name="site-nav",
        ),
        *ways,
        class_name="site-header frame",
    )


def footer(*ways: rx.Component) -> rx.Component:
    """Wordmark, a last word, the legal pages, and before them `ways` to other places."""
    return rx.el.footer(
        rx.el.div(
            wordmark(),
            rx.el.p("Everything added up.", class_name="text-(--muted)"),
            class_name="flex flex-wrap items-center gap-x-5 gap-y-2",
        ),
        rx.el.nav(
            *ways,
            link("Privacy", href="/privacy"),
            link("Terms", href="/terms"),
            aria_label="Footer",
            class_name="flex flex-wrap gap-x-6 gap-y-1",
        ),
        class_name="site-footer frame",
    )


def section(
    *children: rx.Component, anchor: str, time: str, title: str, intro: str = "", layout: str = ""
) -> rx.Component:
    """A section of a page: the hour of the night in the margin, the heading and content beside it.

    Args:
        children: what comes after the heading.
        anchor: the section's id, which the header links to.
        time: the hour in the margin, such as "23:41"; decoration, hidden from screen readers.
        title: the heading.
        intro: a sentence or two under it.
        layout: "entry-split" puts the heading and the content side by side where there is room.
    """
    return rx.el.section(
        rx.el.p(time, class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.el.div(
                # An id given as a prop would cost a React ref each.
                rx.el.h2(title, class_name="heading", custom_attrs={"id": f"{anchor}-title"}),
                rx.el.p(intro, class_name="lede") if intro else rx.fragment(),
            ),
            *children,
            class_name=f"entry {layout}".strip(),
        ),
        aria_labelledby=f"{anchor}-title",
        class_name="ledger-row frame",
        custom_attrs={"id": anchor},
    )


def lone(*children: rx.Component, time: str) -> rx.Component:
    """The single entry of a page that has little to say; the mark keeps it company on wide screens."""
    return rx.el.section(
        rx.el.p(time, class_name="margin-note", aria_hidden="true"),
        rx.el.div(*children, class_name="entry stack"),
        sigma_mark("lone-mark"),
        class_name="ledger-row frame lone",
    )
