"""The one-field form, and what takes its place once somebody has joined.

It works in three ways, all into the same service: as a plain POST to /join, through join.js before the page
is hydrated, and through `WaitlistState.join` after.

What becomes of a try is shown by join.js alone: React hands it over in the form's `data-` attributes, and so never
writes what the script has written. Both panels, the form and the joined one, are on the page from the start.
"""

import re
from pathlib import Path

import reflex as rx

from sigma_app.features.waitlist.consent import CONSENT_TEXT, CONSENT_VERSION
from sigma_app.features.waitlist.intake import JOINED
from sigma_app.features.waitlist.state import WaitlistState
from sigma_app.ui.brand import check_mark
from sigma_app.ui.link import link
from sigma_app.ui.script import inline_script

JOINED_TITLE = JOINED.message
FOUNDERS_FALLBACK = "Free to join. Unsubscribe with one click."


def join_form(form: str, *, template: bool = False) -> rx.Component:
    """The form named `form` ("hero", "closing" or "page").

    Args:
        form: its name on the page, which the answer is addressed to.
        template: mark the field and the status line for the server, which fills them where no script runs.
    """
    return rx.el.div(
        rx.el.form(
            rx.el.label("Your e-mail address", html_for=f"{form}-email", class_name="join-label"),
            rx.el.div(
                _email_field(form, template),
                _submit_button(),
                class_name="join-row",
            ),
            _status_line(form, template),
            rx.el.p(
                CONSENT_TEXT + " ",
                link("Privacy", href="/privacy"),
                class_name="fine-print",
                custom_attrs={"id": f"{form}-consent"},
            ),
            *_hidden_fields(),
            action="/join",
            method="post",
            no_validate=True,  # the server's reason stands beside the field; the browser's would hide it
            on_submit=WaitlistState.join,
            class_name="join-form",
            custom_attrs={
                "data-join": form,
                "data-attempt": WaitlistState.attempt,
                "data-outcome": WaitlistState.outcome,
                "data-message": WaitlistState.message,
            },
        ),
        rx.el.div(
            rx.el.div(
                *joined_words(),
                rx.el.button(
                    "Use another address",
                    type="button",
                    class_name="joined-another",
                    custom_attrs={"data-another": ""},
                ),
                class_name="joined",
            ),
            role="group",
            aria_label=JOINED_TITLE,  # read when the focus comes here
            tab_index=-1,
            class_name="join-result",
            custom_attrs={"data-joined": form},
        ),
        class_name="join",
    )


def joined_words(heading: type[rx.Component] = rx.el.P) -> tuple[rx.Component, ...]:
    """What somebody reads who has joined, for the first time or again."""
    on_the_list, place = re.split(r"(?<=\.) ", JOINED_TITLE)
    return (
        check_mark("joined-check"),
        heading.create(rx.el.span(on_the_list), " ", rx.el.span(place), class_name="joined-title"),
        rx.el.p(
            "One step left: press the button in the mail we sent",
            rx.el.span(  # join.js writes where to; as HTML, so that React looks for no text of its own there
                " to ",
                rx.el.span(class_name="address", custom_attrs={"dangerouslySetInnerHTML": {"__html": ""}}),
                hidden=True,
                custom_attrs={"data-sent-to": ""},
            ),
            ". Then sleep.",
            class_name="joined-note until-confirmed",
        ),
        rx.el.p(
            "You have confirmed it. The way to your place is the button in the mail that came then.",
            class_name="joined-note once-confirmed",
        ),
        rx.el.p(
            rx.el.span(
                "Have the code from the mail? ",
                link("Type it here.", href="/confirm", custom_attrs={"data-confirm": ""}),
            ),
            " ",
            rx.el.span(
                "No mail? Look where newsletters go, or ",
                link("have a fresh one.", href="/confirm#no-mail", custom_attrs={"data-confirm": ""}),
            ),
            class_name="joined-note fine-print until-confirmed",
        ),
    )


def join_script() -> rx.Component:
    """The small script that fills the hidden fields and follows an attempt; the page reads and posts without it.

    It stands before the forms, so that whoever has joined already sees none of them flash.
    """
    return inline_script(Path(__file__).parent / "join.js")


def _email_field(form: str, template: bool) -> rx.Component:
    marks = {"data-template": "email"} if template else {}
    return rx.el.input(
        name="email",
        type="email",
        auto_complete="email",
        input_mode="email",
        placeholder="you@example.com",
        required=True,
        max_length=320,
        auto_capitalize="none",
        spell_check=False,
        aria_invalid="false",
        aria_describedby=f"{form}-status {form}-consent",
        class_name="join-field",
        custom_attrs={"id": f"{form}-email", **marks},
    )


def _submit_button() -> rx.Component:
    return rx.el.button(
        rx.el.span("Join the waitlist", class_name="when-idle"),
        rx.el.span("Joining…", class_name="when-busy"),
        type="submit",
        class_name="button button-primary join-button",
    )


def _status_line(form: str, template: bool) -> rx.Component:
    """The reason a try failed, in the place where the count of founders stands otherwise."""
    marks = {"data-template": "message"} if template else {}
    return rx.el.div(
        rx.el.p(
            role="status",
            class_name="join-status",
            # As HTML, so that React looks for no text of its own where join.js has written before it came
            custom_attrs={"id": f"{form}-status", "dangerouslySetInnerHTML": {"__html": ""}, **marks},
        ),
        rx.el.p(
            rx.el.span(
                FOUNDERS_FALLBACK,
                custom_attrs={"data-founders-text": "", "suppressHydrationWarning": True},
            ),
            class_name="founders",
            custom_attrs={"data-founders": ""},
        ),
        class_name="join-slot",
    )


def _hidden_fields() -> tuple[rx.Component, ...]:
    """What join.js fills in, and a field that only a machine would see and fill."""
    return (
        rx.el.input(type="hidden", name="consent_version", default_value=CONSENT_VERSION),
        *(
            rx.el.input(type="hidden", name=name)  # a default value would undo join.js when React hydrates
            for name in ("landing_url", "referrer", "elapsed_ms", "attempt")
        ),
        rx.el.div(
            rx.el.label(
                "Leave this empty",
                rx.el.input(name="company_website", type="text", tab_index=-1, auto_complete="off"),
            ),
            aria_hidden="true",
            class_name="off-screen",
        ),
    )
