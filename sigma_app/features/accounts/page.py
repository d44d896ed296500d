"""/profile: the picture, the name, and what the account may do. Whose it is, the page learns once it is there."""

from pathlib import Path

import reflex as rx

from sigma_app.features.accounts.state import ProfileState
from sigma_app.ui import head
from sigma_app.ui.form import plain_form
from sigma_app.ui.layout import section
from sigma_app.ui.link import link
from sigma_app.ui.parts import PRIMARY, QUIET
from sigma_app.ui.portal import phase, portal, said, waiting
from sigma_app.ui.script import inline_script

SCRIPTS = Path(__file__).parent
SAID = {
    "password": "Your password is changed. Every other device is signed out.",
    "address": "Your address has moved.",
}
"""What was just done elsewhere, by the `said` in the address."""


def profile() -> rx.Component:
    """What somebody tells about themselves."""
    return portal(
        inline_script(SCRIPTS / "profile.js"),
        inline_script(SCRIPTS / "picture.js"),
        phase(ProfileState),
        rx.cond(
            (ProfileState.phase == "in") & (ProfileState.trouble == ""),
            rx.el.div(_heading(), _name(), _picture(), _plan()),
            waiting(ProfileState.trouble, ProfileState.load),
        ),
        here="/profile",
        console=ProfileState.console,
    )


def _heading() -> rx.Component:
    return rx.el.header(
        rx.el.p("07:10", class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.el.h1(rx.cond(ProfileState.name != "", ProfileState.name, "Good morning."), class_name="title"),
            rx.el.p(
                "You are ",
                rx.el.span(ProfileState.email, class_name="address"),
                rx.cond(ProfileState.member_since != "", f", with us since {ProfileState.member_since}.", "."),
                class_name="lede",
            ),
            said(SAID),
            class_name="entry",
        ),
        class_name="ledger-row frame portal-top",
    )


def _name() -> rx.Component:
    """The name, with what profile.js goes by: what is stored, and what became of the last try."""
    return section(
        rx.el.form(
            rx.el.div(
                rx.el.label("Your name", html_for="name", class_name="join-label"),
                rx.el.input(
                    type="text",
                    name="name",
                    default_value=ProfileState.name,
                    auto_complete="name",
                    max_length=200,
                    class_name="join-field",
                    custom_attrs={"id": "name", "aria-describedby": "name-said"},
                ),
            ),
            rx.el.input(type="hidden", name="before"),
            rx.el.input(type="hidden", name="attempt"),
            rx.el.p(
                custom_attrs={"id": "name-said", "data-message": ""},
                role="status",
                class_name="door-message",
            ),
            rx.el.div(
                rx.el.p("It is now: ", rx.el.strong(ProfileState.name, custom_attrs={"data-theirs": ""})),
                rx.el.div(
                    rx.el.button("Keep mine", type="submit", class_name=PRIMARY),
                    rx.el.button("Take theirs", type="button", class_name=QUIET, custom_attrs={"data-take": ""}),
                    class_name="ways-out",
                ),
                class_name="conflict",
                hidden=True,
                custom_attrs={"data-conflict": ""},
            ),
            rx.el.button(
                rx.el.span("Save", class_name="when-idle"),
                rx.el.span("Saving …", class_name="when-busy"),
                type="submit",
                class_name=f"{PRIMARY} door-button",
                custom_attrs={"data-save": ""},
            ),
            on_submit=ProfileState.save,
            class_name="link-form door",
            custom_attrs={
                "data-profile": "",
                "data-stored": ProfileState.name,
                "data-owner": ProfileState.owner,
                "data-outcome": ProfileState.outcome,
                "data-told": ProfileState.message,
                "data-attempt": ProfileState.attempt,
            },
        ),
        anchor="your-name",
        time="07:12",
        title="Name",
        intro="What the paperwork calls you.",
        layout="entry-split",
    )


def _picture() -> rx.Component:
    return section(
        rx.el.div(
            rx.el.div(
                rx.cond(
                    ProfileState.image != "",
                    rx.el.img(src=ProfileState.image, alt="Your picture", width="160", height="160"),
                    rx.el.span(_initial(), aria_hidden="true"),
                ),
                class_name="portrait",
                custom_attrs={"data-portrait": ""},
            ),
            plain_form(
                rx.el.label("A picture", html_for="picture", class_name="join-label"),
                rx.el.input(
                    type="file",
                    name="picture",
                    accept="image/jpeg,image/png,image/webp,image/gif",
                    class_name="file-field",
                    custom_attrs={"id": "picture", "aria-describedby": "picture-said"},
                ),
                rx.el.p(
                    "JPEG, PNG, WebP or GIF, up to 10 MB. We keep the middle of it, square, and nothing of where it "
                    "was taken.",
                    class_name="fine-print",
                ),
                rx.el.progress(max="100", value="0", hidden=True, aria_label="Upload"),
                rx.el.p(
                    role="status", class_name="door-message", custom_attrs={"id": "picture-said", "data-message": ""}
                ),
                rx.el.div(
                    rx.el.button(
                        "Use this picture",
                        type="submit",
                        hidden=True,
                        class_name=PRIMARY,
                        custom_attrs={"data-use": ""},
                    ),
                    rx.el.button(
                        "Cancel", type="button", hidden=True, class_name=QUIET, custom_attrs={"data-cancel": ""}
                    ),
                    rx.cond(
                        ProfileState.image != "",
                        rx.el.button(
                            "Remove it", type="button", class_name=QUIET, custom_attrs={"data-remove-picture": ""}
                        ),
                    ),
                    class_name="ways-out",
                ),
                action="/profile/picture",
                class_name="link-form",
                custom_attrs={"data-picture": ""},
            ),
            # What picture.js presses once a picture has changed: the state then reads where it is.
            rx.el.button("", type="button", on_click=ProfileState.load, hidden=True, custom_attrs={"data-reload": ""}),
            class_name="picture-row",
        ),
        anchor="your-picture",
        time="07:15",
        title="Picture",
        intro="Only you see it for now.",
        layout="entry-split",
    )


def _plan() -> rx.Component:
    return section(
        rx.el.div(
            rx.el.dl(
                rx.el.div(rx.el.dt("Plan"), rx.el.dd(rx.cond(ProfileState.plan != "", ProfileState.plan, "none yet"))),
                rx.el.div(rx.el.dt("Access"), rx.el.dd(rx.cond(ProfileState.has_access, "yes", "not yet"))),
                class_name="bill slip",
            ),
            rx.el.p(link("What you pay, and why", href="/billing", class_name=QUIET)),
            class_name="stack",
        ),
        anchor="your-plan",
        time="07:20",
        title="Plan and access",
        intro="What you pay, and whether that opens anything.",
        layout="entry-split",
    )


def _initial() -> rx.Var[str]:
    """What stands where a picture could."""
    return rx.cond(ProfileState.name != "", ProfileState.name[0], ProfileState.email[0])


PAGES = [
    head.page(profile, "/profile", "Your profile · Sigma", "Your name, your picture, your plan.", indexed=False)
    | {"on_load": ProfileState.load}
]
