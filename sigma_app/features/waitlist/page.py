"""The waitlist's pages: the landing page, the form on a page of its own, and the result of a plain POST."""

import reflex as rx

from sigma_app.features.waitlist import sections
from sigma_app.features.waitlist.form import join_form, join_script, joined_words
from sigma_app.ui.head import page
from sigma_app.ui.layout import lone, shell
from sigma_app.ui.link import link


def landing() -> rx.Component:
    """What Sigma is, and the form twice."""
    return shell(
        join_script(),
        sections.hero(),
        sections.parts(),
        sections.night(),
        sections.price(),
        sections.questions(),
        sections.closing(),
    )


def join() -> rx.Component:
    """The form alone; the server shows this page again, filled in, to those without JavaScript."""
    return shell(
        join_script(),
        lone(
            rx.el.h1("Get in line. Then lie down.", class_name="title"),
            rx.el.p(
                "One field, two e-mails: the first asks whether it was you, the second has your place. Then you hear "
                "from us when it comes up.",
                class_name="lede",
            ),
            join_form("page", template=True),
            time="23:04",
        ),
        ways=(),
    )


def joined() -> rx.Component:
    """Where a plain POST leads: the same words as the form shows in place."""
    return shell(
        join_script(),  # remembers it
        lone(
            rx.el.div(*joined_words(heading=rx.el.H1), class_name="joined"),
            rx.el.p(
                "Still nothing? ",
                link("Join again", href="/join", custom_attrs={"data-another": ""}),
                " with the address spelled differently; it happens at night.",
                class_name="fine-print",
            ),
            rx.el.p(link("Back to the start", href="/", class_name="button button-quiet")),
            time="23:05",
        ),
        ways=(),
    )


PAGES = [
    page(
        landing,
        "/",
        "Sigma: from zero to CEO while you sleep",
        "Sigma turns an idea into a running company: paperwork, brand, website, payments, bank account, "
        "marketing. Join the waitlist; it is free.",
    ),
    page(
        join,
        "/join",
        "Join the waitlist · Sigma",
        "One field, and you are in line for Sigma. Free to join; unsubscribe any time.",
    ),
    page(
        joined,
        "/joined",
        "You're on the list · Sigma",
        "Your place in line is in your inbox.",
        indexed=False,
    ),
]
