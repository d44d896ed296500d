"""The sections of the landing page, in the order of the night they tell."""

import reflex as rx

from sigma_app.features.waitlist import copy
from sigma_app.features.waitlist.form import join_form
from sigma_app.ui.brand import sigma_mark
from sigma_app.ui.layout import section
from sigma_app.ui.link import link
from sigma_app.ui.parts import QUIET


def hero() -> rx.Component:
    """The promise, the form, and the night it promises as a ledger."""
    return rx.el.section(
        rx.el.p("23:04", class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.el.h1(
                rx.el.span("From zero to CEO "),
                rx.el.span("while you sleep.", class_name="display-rest"),
                class_name="display",
            ),
            rx.el.div(
                rx.el.div(
                    rx.el.p(
                        "Sigma turns an idea into a running company: paperwork, brand, website, payments, "
                        "bank account, marketing. You bring the idea. And the pyjamas.",
                        class_name="lede",
                    ),
                    join_form("hero"),
                    class_name="hero-pitch",
                ),
                _night(),
                class_name="hero-columns",
            ),
            class_name="entry",
        ),
        class_name="ledger-row frame hero",
    )


def parts() -> rx.Component:
    """What Sigma does, written as the sum it is."""
    return section(
        rx.el.div(
            rx.el.div(
                rx.el.span("6", class_name="sum-limit"),
                sigma_mark("sum-sign"),
                rx.el.span("n = 1", class_name="sum-limit"),
                class_name="sum-operator",
                aria_hidden="true",
            ),
            rx.el.div(
                rx.el.dl(*(_term(term) for term in copy.TERMS), class_name="sum-terms"),
                rx.el.p(
                    rx.el.span("=", class_name="sum-glyph", aria_hidden="true"),
                    rx.el.span("A company, with your name on the door."),
                    class_name="sum-total",
                ),
            ),
            class_name="sum",
        ),
        anchor="parts",
        time="23:41",
        title="A company is a sum.",
        intro="Six parts, each with its own forms, logins and tone of voice, all due at once. "
        "This is what Sigma is being built to take off your hands.",
    )


def night() -> rx.Component:
    """How it works, as double-entry bookkeeping: your column and ours."""
    return section(
        rx.el.ol(*(_exchange(step) for step in copy.EXCHANGES), class_name="exchanges"),
        anchor="night",
        time="02:17",
        title="You have three jobs. One of them is sleep.",
        intro="Three steps, kept in two columns, as is customary.",
    )


def price() -> rx.Component:
    """What it costs now, which is nothing, and where the rest stands."""
    return section(
        rx.el.div(
            rx.el.dl(*(_price(line) for line in copy.PRICES), class_name="bill"),
            rx.el.p(link("What Sigma costs", href="/pricing", class_name=QUIET), class_name="to-pricing"),
        ),
        anchor="price",
        time="03:38",
        title="Waiting is free.",
        intro="Nobody is asked to pay before they are in, and what it costs then stands on a page of its own.",
        layout="entry-split",
    )


def questions() -> rx.Component:
    """Questions and answers, readable without a script."""
    return section(
        rx.el.div(*(_question(item) for item in copy.QUESTIONS), class_name="questions"),
        anchor="questions",
        time="05:05",
        title="Things one wonders at five in the morning.",
        layout="entry-split",
    )


def closing() -> rx.Component:
    """The same form again, for those who read to the end."""
    return rx.el.section(
        rx.el.div(
            rx.el.p("06:58", class_name="margin-note", aria_hidden="true"),
            rx.el.div(
                rx.el.h2(
                    "Go to bed. We will keep your place.",
                    class_name="heading",
                    custom_attrs={"id": "closing-title"},
                ),
                join_form("closing"),
                class_name="entry closing-columns",
            ),
            class_name="ledger-row frame",
        ),
        aria_labelledby="closing-title",
        class_name="closing",
    )


def _night() -> rx.Component:
    """The rehearsed night: one line for each part, and the sum below a double rule."""
    return rx.el.figure(
        rx.el.figcaption(
            rx.el.span("Night shift"),
            rx.el.span("a rehearsal, not a recording", class_name="night-note"),
            class_name="night-head",
        ),
        rx.el.ol(
            *(_entry(entry) for entry in copy.REHEARSAL),
            _entry(copy.REHEARSAL_SUM, "night-line night-sum"),
        ),
        class_name="night",
    )


def _entry(entry: copy.Entry, class_name: str = "night-line") -> rx.Component:
    return rx.el.li(
        rx.el.span(entry.time, class_name="night-time"),
        rx.el.span(entry.part, class_name="night-part"),
        rx.el.span(entry.line, class_name="night-text"),
        class_name=class_name,
    )


def _term(term: copy.Term) -> rx.Component:
    return rx.el.div(
        rx.el.dt(rx.el.span("+", class_name="sum-glyph", aria_hidden="true"), term.name),
        rx.el.dd(term.text),
    )


def _exchange(step: copy.Exchange) -> rx.Component:
    return rx.el.li(
        rx.el.h3(step.when),
        rx.el.p(rx.el.b("You"), step.you),
        rx.el.p(rx.el.b("Sigma"), step.sigma),
    )


def _price(line: copy.Price) -> rx.Component:
    return rx.el.div(rx.el.dt(line.item), rx.el.dd(line.amount))


def _question(item: copy.Question) -> rx.Component:
    return rx.el.details(
        rx.el.summary(item.question),
        *(rx.el.p(paragraph) for paragraph in item.answer),
    )
