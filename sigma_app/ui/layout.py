"""The frame every public page stands in: skip link, header, main, footer, and the ledger's margin."""

import reflex as rx

from sigma_app.ui.brand import wordmark

SECTIONS = (
    ("/#parts", "What it does"),
    ("/#night", "How it works"),
    ("/#price", "Pricing"),
    ("/#questions", "Questions"),
)


def shell(*children: rx.Component, call_to_action: bool = True) -> rx.Component:
    """A whole page; `children` are the content of <main>."""
    return rx.el.div(
        rx.el.a("Skip to content", href="#content", class_name="skip-link"),
        header(call_to_action),
        rx.el.main(
            *children,
            custom_attrs={"id": "content", "data-socket": "on-demand", "tabIndex": -1},
        ),
        footer(),
        class_name="page",
    )


def header(call_to_action: bool = True) -> rx.Component:
    """Wordmark, the sections of the landing page, and the way onto the list."""
    return rx.el.header(
        wordmark(),
        rx.el.nav(
            *(rx.el.a(label, href=href) for href, label in SECTIONS),
            aria_label="Sections",
            class_name="site-nav",
        ),
        rx.el.a("Join the list", href="/join", class_name="button button-quiet") if call_to_action else None,
        class_name="site-header frame",
    )


def footer() -> rx.Component:
    """Wordmark, the legal pages and a last word."""
    return rx.el.footer(
        rx.el.div(
            wordmark(),
            rx.el.p("Everything added up.", class_name="text-(--muted)"),
            class_name="flex flex-wrap items-baseline gap-x-5 gap-y-2",
        ),
        rx.el.nav(
            rx.el.a("Waitlist", href="/join"),
            rx.el.a("Privacy", href="/privacy"),
            rx.el.a("Terms", href="/terms"),
            aria_label="Footer",
            class_name="flex flex-wrap gap-x-6 gap-y-1",
        ),
        class_name="site-footer frame",
    )


def section(*children: rx.Component, anchor: str, time: str, title: str, intro: str = "") -> rx.Component:
    """A section of a page: the hour of the night in the margin, the heading and content beside it."""
    return rx.el.section(
        rx.el.p(time, class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.el.h2(title, id=f"{anchor}-title", class_name="heading"),
            rx.el.p(intro, class_name="lede") if intro else None,
            *children,
            class_name="entry",
        ),
        id=anchor,
        aria_labelledby=f"{anchor}-title",
        class_name="ledger-row frame",
    )
