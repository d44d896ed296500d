"""A page of plain text, such as the privacy notice: numbered clauses beside the ledger's margin."""

from collections.abc import Sequence

import reflex as rx

from sigma_app.ui.layout import shell

Paragraph = str | Sequence[str | rx.Component]
Clause = tuple[str, Sequence[Paragraph | rx.Component]]


def document(title: str, summary: str, clauses: Sequence[Clause], reviewed: str) -> rx.Component:
    """A titled document.

    Args:
        title: the page's only h1.
        summary: what a hurried reader should leave with.
        clauses: each with its heading and its paragraphs: text, pieces of text and links, or an element.
        reviewed: the day the text was last checked against the software.
    """
    return shell(
        rx.el.article(
            rx.el.header(
                rx.el.p("§", class_name="margin-note", aria_hidden="true"),
                rx.el.div(
                    rx.el.h1(title, class_name="title"),
                    rx.el.p(summary, class_name="lede"),
                    rx.el.p(f"Reviewed {reviewed}", class_name="fine-print"),
                    class_name="entry",
                ),
                class_name="ledger-row frame",
            ),
            *(_clause(number, *clause) for number, clause in enumerate(clauses, 1)),
            class_name="document",
        )
    )


def _clause(number: int, heading: str, paragraphs: Sequence[Paragraph | rx.Component]) -> rx.Component:
    return rx.el.section(
        rx.el.p(f"{number:02}", class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.el.h2(heading),
            *(_paragraph(paragraph) for paragraph in paragraphs),
            class_name="entry",
        ),
        class_name="ledger-row frame",
    )


def _paragraph(paragraph: Paragraph | rx.Component) -> rx.Component:
    if isinstance(paragraph, rx.Component):
        return paragraph
    pieces = (paragraph,) if isinstance(paragraph, str) else paragraph
    return rx.el.p(*pieces)
