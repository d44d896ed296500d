"""/account: the address, the password, the devices, and the ways to take one's data along or to leave."""

import reflex as rx

from sigma_app.features.accounts.devices import Device
from sigma_app.features.accounts.letters import EARLIER_ADDRESS
from sigma_app.features.accounts.page import SAID
from sigma_app.features.accounts.passwords import AT_LEAST
from sigma_app.features.accounts.state import AccountState
from sigma_app.ui import head
from sigma_app.ui.form import plain_form
from sigma_app.ui.layout import section
from sigma_app.ui.link import link
from sigma_app.ui.parts import ALARM, QUIET, door_form, email_field, fine, password_field
from sigma_app.ui.portal import phase, portal, said, waiting


def account() -> rx.Component:
    """How one gets in, and out."""
    return portal(
        phase(AccountState),
        rx.cond(
            (AccountState.phase == "in") & (AccountState.trouble == ""),
            rx.el.div(_heading(), _address(), _password(), _devices(), _data(), _leaving()),
            waiting(AccountState.trouble, AccountState.load),
        ),
        here="/account",
        console=AccountState.console,
    )


def _heading() -> rx.Component:
    return rx.el.header(
        rx.el.p("07:30", class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.el.h1("The keys.", class_name="title"),
            rx.el.p("How you get in, where you are in, and how you get out.", class_name="lede"),
            said(SAID),
            class_name="entry",
        ),
        class_name="ledger-row frame portal-top",
    )


def _address() -> rx.Component:
    return section(
        rx.el.div(
            rx.el.p("It is ", rx.el.span(AccountState.email, class_name="address"), ".", class_name="lede"),
            rx.cond(
                AccountState.moving_to != "",
                rx.el.p(
                    "On its way to ",
                    rx.el.span(AccountState.moving_to, class_name="address"),
                    ": it moves there once both addresses have said yes, and one of them may have. ",
                    link("Type a code from the mails", href="/verify?type=email_change"),
                    ", or press their buttons. To stay, do neither: it cannot be taken back here, but the mails stop "
                    "working by themselves, and another change takes its place.",
                    class_name="fine-print moving-to",
                ),
            ),
            door_form(
                "Change it",
                email_field("email", "", label="Your new address"),
                action="/account/address",
                busy="Asking both …",
                message="",
                look=QUIET,
            ),
        ),
        anchor="address",
        time="07:31",
        title="E-mail address",
        intro="A change takes two mails: the old address and the new one both have to agree.",
        layout="entry-split",
    )


def _password() -> rx.Component:
    return section(
        rx.el.div(
            door_form(
                "Change it",
                rx.el.input(
                    type="email",
                    name="email",
                    auto_complete="username",
                    value=AccountState.email,
                    read_only=True,
                    tab_index=-1,
                    aria_hidden="true",
                    class_name="off-screen",
                ),
                password_field("current", "Your current password", autocomplete="current-password", name="current"),
                password_field("new-password", "Your new password", autocomplete="new-password", strength=AT_LEAST),
                action="/account/password",
                busy="Changing it …",
                message="",
                look=QUIET,
            ),
            plain_form(
                rx.el.input(type="hidden", name="email", value=AccountState.email, read_only=True),
                fine("You never had one, or forgot it?"),
                rx.el.button("Choose one by mail", type="submit", class_name=f"{QUIET} link-button"),
                action="/forgot",
                class_name="link-form mail-again",
            ),
        ),
        anchor="password",
        time="07:33",
        title="Password",
        intro="Every other device is signed out when it changes.",
        layout="entry-split",
    )


def _devices() -> rx.Component:
    return section(
        rx.el.div(
            rx.el.ul(rx.foreach(AccountState.devices, _device), class_name="devices"),
            plain_form(
                rx.el.button("Sign out everywhere", type="submit", class_name=f"{QUIET} link-button"),
                action="/sign-out/everywhere",
                class_name="link-form",
                custom_attrs={"data-sign-out": ""},
            ),
        ),
        anchor="devices",
        time="07:40",
        title="Devices",
        intro="Where you are signed in. One you do not know? Sign it out, and change your password.",
        layout="entry-split",
    )


def _device(device: Device) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.p(device.name, class_name="device-name"),
            rx.el.p(
                rx.cond(device.is_this, "This one", f"Last here {device.seen}"),
                f" · signed in {device.since}",
                class_name="fine-print",
            ),
        ),
        rx.cond(
            device.is_this,
            rx.fragment(),
            rx.el.button(
                "Sign out",
                type="button",
                aria_label=f"Sign out {device.name}",
                on_click=AccountState.sign_out_device(device.id),
                class_name=QUIET,
            ),
        ),
    )


def _data() -> rx.Component:
    return section(
        rx.el.p(link("Download my data", href="/account/data.zip", class_name=QUIET, download=True)),
        anchor="data",
        time="07:50",
        title="Your data",
        intro="All we hold about you, but for the words of our mails, which are in your inbox: one JSON file and your "
        "files, in a ZIP. It names what Stripe and others hold besides.",
        layout="entry-split",
    )


def _leaving() -> rx.Component:
    return section(
        rx.el.details(
            rx.el.summary("Delete my account", class_name=QUIET),
            rx.el.p(
                "Your profile, your picture, your place in line, your devices: all of it goes, at once and for good. "
                "A subscription ends with it: nothing more is charged, nothing is given back, and Stripe keeps the "
                "invoices.",
            ),
            fine(EARLIER_ADDRESS),
            rx.cond(AccountState.stays != "", rx.el.p(AccountState.stays), _delete()),
            class_name="leaving-account",
        ),
        anchor="leave",
        time="08:00",
        title="Leave",
        intro="No questions, no retention team.",
        layout="entry-split",
    )


def _delete() -> rx.Component:
    return door_form(
        "Delete it for good",
        email_field("confirmation", "", autocomplete="off", label="Type your address to confirm", name="confirmation"),
        action="/account/delete",
        busy="Deleting it …",
        message="",
        look=ALARM,
    )


PAGES = [
    head.page(account, "/account", "Your account · Sigma", "Address, password, devices, data.", indexed=False)
    | {"on_load": AccountState.load}
]
