"""What the pages behind the links in our mails are made of: forms with one button, slips, notices."""

from pathlib import Path

import reflex as rx

from sigma_app.ui.brand import check_mark
from sigma_app.ui.layout import shell
from sigma_app.ui.link import link
from sigma_app.ui.script import inline_script
from sigma_app.ui.template import slot

NO_HOUR = "--:--"  # in the margin of what never happened
PRIMARY, QUIET, ALARM = ("button button-primary", "button button-quiet", "button button-alarm")
FRESH_MAIL = "Send me a fresh mail"
HOW_OFTEN = "We send one mail in ten minutes at most, and three a day."


def link_page(*children: rx.Component) -> rx.Component:
    """A whole page; `children` are its entries."""
    return shell(inline_script(Path(__file__).parent / "links.js"), *children, call_to_action=False)


def title(words: str) -> rx.Component:
    """The page's only h1."""
    return rx.el.h1(words, class_name="title")


def lede(*words: str | rx.Component) -> rx.Component:
    """What it comes to."""
    return rx.el.p(*words, class_name="lede")


def fine(*words: str | rx.Component) -> rx.Component:
    """The fine print."""
    return rx.el.p(*words, class_name="fine-print")


def address() -> rx.Component:
    """The e-mail address that the page is about."""
    return rx.el.span(slot("email"), class_name="address")


def home() -> rx.Component:
    """A way out."""
    return link("Back to the start", href="/", class_name=QUIET)


def post_form(label: str, *fields: rx.Component, action: str, look: str = PRIMARY) -> rx.Component:
    """A form that is posted to `action` by its only button, `label`."""
    return rx.el.form(
        *fields,
        rx.el.button(label, type="submit", class_name=f"{look} link-button"),
        action=action,
        method="post",
        class_name="link-form",
    )


def email_field(identity: str, value: str) -> rx.Component:
    """The e-mail address, labelled; `identity` is the field's own on its page."""
    return rx.el.div(
        rx.el.label("Your e-mail address", html_for=identity, class_name="join-label"),
        rx.el.input(
            name="email",
            type="email",
            default_value=value,
            auto_complete="email",
            auto_capitalize="none",
            spell_check=False,
            placeholder="you@example.com",
            required=True,
            max_length=320,
            class_name="join-field",
            custom_attrs={"id": identity},
        ),
    )


def slip(*lines: tuple[str, str]) -> rx.Component:
    """A small bill: items and what stands against them, the last one below the double rule."""
    return rx.el.dl(
        *(rx.el.div(rx.el.dt(item), rx.el.dd(entry)) for item, entry in lines),
        class_name="bill slip",
    )


def notice(*words: str | rx.Component) -> rx.Component:
    """What has just been done, for the one who asked for it."""
    return rx.el.div(check_mark("joined-check"), rx.el.p(*words), role="status", class_name="notice")


def mail_is_on_its_way() -> rx.Component:
    """After asking for a fresh mail; says the same of every address, and of one that has had its mails for now."""
    return notice(
        "If the address is on the list, its newest mail is on its way, or came in the last ten minutes. After three in "
        "a day we stop until tomorrow. Look where the newsletters go, too."
    )
