"""What pages are made of that say one thing and ask for one: headings, slips, notices, forms with one button."""

import reflex as rx

from sigma_app.ui.brand import check_mark
from sigma_app.ui.form import plain_form
from sigma_app.ui.link import link

PRIMARY, QUIET, ALARM = ("button button-primary", "button button-quiet", "button button-alarm")


def title(words: str) -> rx.Component:
    """The page's only h1."""
    return rx.el.h1(words, class_name="title")


def lede(*words: str | rx.Component) -> rx.Component:
    """What it comes to."""
    return rx.el.p(*words, class_name="lede")


def fine(*words: str | rx.Component) -> rx.Component:
    """The fine print."""
    return rx.el.p(*words, class_name="fine-print")


def home() -> rx.Component:
    """A way out."""
    return link("Back to the start", href="/", class_name=QUIET)


def post_form(label: str | rx.Component, *fields: rx.Component, action: str, look: str = PRIMARY) -> rx.Component:
    """A form that is posted to `action` by its only button, `label`."""
    return plain_form(
        *fields,
        rx.el.button(label, type="submit", class_name=f"{look} link-button"),
        action=action,
        class_name="link-form",
    )


def email_field(
    identity: str,
    value: str,
    *,
    autocomplete: str = "email",
    invalid: str = "false",
    label: str = "Your e-mail address",
    name: str = "email",
) -> rx.Component:
    """The e-mail address, labelled.

    Args:
        identity: the field's own on its page.
        value: what it holds.
        autocomplete: "username" where it names an account.
        invalid: "true" where it was refused, or a slot for it.
        label: what it asks for.
        name: by which it is posted.
    """
    return rx.el.div(
        rx.el.label(label, html_for=identity, class_name="join-label"),
        rx.el.input(
            name=name,
            type="email",
            default_value=value,
            auto_complete=autocomplete,
            auto_capitalize="none",
            spell_check=False,
            placeholder="you@example.com",
            required=True,
            max_length=320,
            class_name="join-field",
            custom_attrs={"id": identity, **({"aria-invalid": invalid} if invalid != "false" else {})},
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


def password_field(
    identity: str,
    label: str,
    *,
    autocomplete: str,
    name: str = "password",
    strength: str = "",
    invalid: str = "false",
) -> rx.Component:
    """A password, labelled, with a button that shows it; forms.js does both.

    Args:
        identity: the field's own on its page.
        label: what it asks for.
        autocomplete: "current-password" or "new-password", by which password managers know what to fill in.
        name: by which it is posted.
        strength: where it is said how strong it is, what stands there before.
        invalid: "true" where it was refused, or a slot for it.
    """
    told = f"{identity}-strength"
    attributes = {"id": identity, **({"aria-invalid": invalid} if invalid != "false" else {})}
    if strength:
        attributes |= {"data-strength": told, "aria-describedby": told}
    return rx.el.div(
        rx.el.label(label, html_for=identity, class_name="join-label"),
        rx.el.div(
            rx.el.input(
                name=name,
                type="password",
                auto_complete=autocomplete,
                auto_capitalize="none",
                spell_check=False,
                required=True,
                max_length=72,
                class_name="join-field password-field",
                custom_attrs=attributes,
            ),
            rx.el.button(
                rx.el.span("Show", class_name="when-hidden"),
                rx.el.span("Hide", class_name="when-shown"),
                type="button",
                class_name="reveal",
                custom_attrs={"data-reveal": identity, "aria-pressed": "false", "aria-controls": identity},
            ),
            class_name="password-row",
        ),
        rx.el.p(strength, aria_live="polite", class_name="strength", custom_attrs={"id": told})
        if strength
        else rx.fragment(),
    )


def door_form(
    label: str | rx.Component, *fields: rx.Component, action: str, busy: str, message: str, look: str = PRIMARY, **attrs
):
    """A form that forms.js posts without leaving the page.

    Args:
        label: of its button.
        fields: what is typed.
        action: where it goes.
        busy: what the button says meanwhile, such as "Signing in …".
        message: what was wrong at the last try, or a slot for it.
        look: of its button.
        attrs: further attributes of the form.
    """
    return plain_form(
        *fields,
        rx.el.p(message, role="alert", class_name="door-message", custom_attrs={"data-message": ""}),
        rx.el.button(
            rx.el.span(label, class_name="when-idle"),
            rx.el.span(busy, class_name="when-busy"),
            type="submit",
            class_name=f"{look} door-button",
        ),
        action=action,
        class_name="link-form door",
        custom_attrs={"data-door": "", **attrs},
    )
