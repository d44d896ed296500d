"""What the pages behind the links in our mails are made of: forms with one button, slips, notices."""

from pathlib import Path

import reflex as rx

from sigma_app.ui.layout import shell
from sigma_app.ui.parts import notice
from sigma_app.ui.script import inline_script
from sigma_app.ui.template import slot

NO_HOUR = "--:--"  # in the margin of what never happened
FRESH_MAIL = "Send me a fresh mail"
HOW_OFTEN = "We send one mail in ten minutes at most, and three a day."


def link_page(*children: rx.Component) -> rx.Component:
    """A whole page; `children` are its entries."""
    return shell(inline_script(Path(__file__).parent / "links.js"), *children, ways=())


def address() -> rx.Component:
    """The e-mail address that the page is about."""
    return rx.el.span(slot("email"), class_name="address")


def mail_is_on_its_way() -> rx.Component:
    """After asking for a fresh mail; says the same of every address, and of one that has had its mails for now."""
    return notice(
        "If the address is on the list, its newest mail is on its way, or came in the last ten minutes. After three in "
        "a day we stop until tomorrow. Look where the newsletters go, too."
    )
