"""The one-field form, and what takes its place once somebody has joined.

It works in three ways, all into the same service: as a plain POST to /join, through join.js before the page
is hydrated, and through `WaitlistState.join` after.
"""

from pathlib import Path

import reflex as rx

from sigma_app.features.waitlist.consent import CONSENT_TEXT, CONSENT_VERSION
from sigma_app.features.waitlist.intake import JOINED
from sigma_app.features.waitlist.state import WaitlistState
from sigma_app.ui.brand import check_mark
from sigma_app.ui.link import link

JOINED_TITLE = JOINED.message
JOINED_NOTE = "Nothing else to do tonight. We suggest sleep."
FOUNDERS_FALLBACK = "Free to join. Unsubscribe with one click."


def join_form(form: str, *, template: bool = False) -> rx.Component:
    """The form named `form` ("hero", "closing" or "page").

    Args:
        form: its name on the page, which the answer is addressed to.
        template: mark the field and the status line for the server, which fills them where no script runs.
    """
    answered_here = rx.Var.create(WaitlistState.form == form)
    joined = answered_here & (WaitlistState.outcome == "joined")
    return rx.el.div(
        rx.el.form(
            rx.el.label("Your e-mail address", html_for=f"{form}-email", class_name="join-label"),
            rx.el.div(
                _email_field(form, answered_here, template),
                _submit_button(),
                class_name="join-row",
            ),
            _status_line(form, answered_here, template),
            rx.el.p(
                CONSENT_TEXT + " ",
                link("Privacy", href="/privacy"),
                class_name="fine-print",
                custom_attrs={"id": f"{form}-consent"},
            ),
            *_hidden_fields(form),
            action="/join",
            method="post",
            no_validate=True,  # the server's reason stands beside the field; the browser's would hide it
            on_submit=WaitlistState.join,
            class_name="join-form",
            custom_attrs={"data-join": form, "data-attempt": WaitlistState.attempt},
        ),
        rx.el.div(
            rx.cond(joined, rx.el.div(*joined_words(), class_name="joined"), ""),
            role="status",
            tab_index=-1,
            class_name="join-result",
            custom_attrs={"data-joined": form},
        ),
        class_name=rx.cond(joined, "join is-joined", "join"),
    )


def joined_words(heading: type[rx.Component] = rx.el.P) -> tuple[rx.Component, ...]:
    """What somebody reads who has joined, for the first time or again."""
    return (
        check_mark("joined-check"),
        heading.create(JOINED_TITLE, class_name="joined-title"),
        rx.el.p(JOINED_NOTE, class_name="joined-note"),
    )


def join_script() -> rx.Component:
    """The small script that fills the hidden fields and follows an attempt; the page reads and posts without it.

    It is part of the page: a file of its own would be one more request before the first paint.
    """
    lines = (Path(__file__).parent / "join.js").read_text(encoding="utf-8").splitlines()
    code = "\n".join(stripped for line in lines if (stripped := line.strip()) and not stripped.startswith("//"))
    return rx.el.script(custom_attrs={"dangerouslySetInnerHTML": {"__html": code}})


def _email_field(form: str, answered_here: rx.Var[bool] | bool, template: bool) -> rx.Component:
    marks = {"data-template": "email"} if template else {}
    invalid = answered_here & (WaitlistState.outcome == "invalid")
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
        aria_invalid=rx.cond(invalid, "true", "false"),
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


def _status_line(form: str, answered_here: rx.Var[bool] | bool, template: bool) -> rx.Component:
    """The reason a try failed, in the place where the count of founders stands otherwise."""
    marks = {"data-template": "message"} if template else {}
    failed = answered_here & (WaitlistState.outcome != "joined")
    return rx.el.div(
        rx.el.p(
            rx.cond(failed, WaitlistState.message, ""),
            role="status",
            class_name="join-status",
            custom_attrs={"id": f"{form}-status", **marks},
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


def _hidden_fields(form: str) -> tuple[rx.Component, ...]:
    """The form's name, what join.js fills in, and a field that only a machine would see and fill."""
    return (
        rx.el.input(type="hidden", name="form", default_value=form),
        rx.el.input(type="hidden", name="consent_version", default_value=CONSENT_VERSION),
        *(
            rx.el.input(type="hidden", name=name)  # a default value would undo join.js when React hydrates
            for name in ("landing_url", "referrer", "elapsed_ms")
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
