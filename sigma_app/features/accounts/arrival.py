"""What a page says to whoever comes by a link from one of auth's mails that the portal did not ask for.

The address of such an arrival carries a session, or what is wrong. arrival.js takes that away before any other script
runs, and marks <html> with `data-arrived`; every page has every sentence, and the style shows the one that is meant. So
it works without React, and nothing moves.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import reflex as rx

from sigma_app.ui.script import inline_script

OUTCOMES = {
    "confirmed": "Your address is confirmed. Sign in, and go on.",
    "worked": "Your link works. Sign in, and go on.",
    "recovery": "Your link works, but not here. Ask for a new password where you sign in.",
    "half": "One half is done. The other address has a mail, too: confirm it there.",
    "over": "This link was used, or its time is over. Ask for a new one.",
    "failed": "This link did not work. Ask for a new one.",
}
"""What became of a link, in words; assets/styles/arrival.css knows each by its name."""


def arrival_script() -> rx.Component:
    """For the head of every page: a link may lead to any."""
    return inline_script(Path(__file__).parent / "arrival.js")


def with_arrival(page: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `app.add_page`, for the same page with the note above everything else."""
    component: Callable[[], rx.Component] = page["component"]
    return page | {"component": lambda: rx.fragment(_note(), component())}


def _note() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            *(rx.el.p(words, custom_attrs={"data-outcome": outcome}) for outcome, words in OUTCOMES.items()),
            rx.el.button("Close", type="button"),
            class_name="frame",
        ),
        role="status",
        class_name="arrival",
        custom_attrs={"data-arrival": "", "tabIndex": -1},
    )
