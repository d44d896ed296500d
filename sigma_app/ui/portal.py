"""The frame of the portal's pages: for whoever is signed in."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import reflex as rx

from sigma_app.ui.brand import wordmark
from sigma_app.ui.form import plain_form
from sigma_app.ui.layout import footer
from sigma_app.ui.link import link
from sigma_app.ui.script import forms_script, inline_script

PAGES = (("/app", "Home"), ("/profile", "Profile"), ("/billing", "Billing"), ("/account", "Account"))


def portal(
    *children: rx.Component,
    here: str,
    pages: Sequence[tuple[str, str]] = PAGES,
    label: str = "Portal",
    look: str = "portal",
    console: Any = "",
    not_theirs: Any = None,
) -> rx.Component:
    """A whole page for whoever is signed in.

    Args:
        children: the content of <main>, none of it anybody's until the page has asked who is signed in.
        here: which of `pages` it is.
        pages: what the header leads to, each an address and its name.
        label: what these pages are, for who cannot see that.
        look: the class of the whole page.
        console: the console's address, for whoever may go there.
        not_theirs: a Var, whether `pages` are not for whoever is signed in; the header then leads to the portal's.
    """

    def ways(among: Sequence[tuple[str, str]]) -> list[rx.Component]:
        return [link(name, href=href, **({"aria_current": "page"} if href == here else {})) for href, name in among]

    links = rx.fragment(*ways(pages))
    return rx.el.div(
        link("Skip to content", href="#content", class_name="skip-link"),
        rx.el.header(
            wordmark(),
            rx.el.nav(
                links if not_theirs is None else rx.cond(not_theirs, rx.fragment(*ways(PAGES)), links),
                rx.cond(console, link("Console", href=console)),
                aria_label=label,
                class_name="portal-nav",
            ),
            plain_form(
                rx.el.button("Sign out", type="submit", class_name="button button-quiet"),
                action="/sign-out",
                custom_attrs={"data-sign-out": ""},
            ),
            class_name="site-header portal-header frame",
        ),
        rx.el.main(
            forms_script(),
            inline_script(Path(__file__).parent / "portal.js"),
            *children,
            custom_attrs={"id": "content", "data-start": "now", "tabIndex": -1},
        ),
        footer(),
        class_name=f"page {look}",
    )


def said(words: Mapping[str, str]) -> rx.Component:
    """Where portal.js says what was just done elsewhere: `words` by the `said` in the page's address."""
    return rx.el.p("", role="status", class_name="said", custom_attrs={"data-said": json.dumps(words)})


def phase(state: Any) -> rx.Component:
    """Where portal.js reads whether the session goes on, of a state that extends `SessionState`.

    Not before the page has asked: what a tab's state said last may be of a session before this one.
    """
    return rx.el.div(hidden=True, custom_attrs={"data-phase": rx.cond(state.is_hydrated, state.phase, "")})


def waiting(trouble: rx.Var[str] | str, again: Any, *plainly: rx.Component) -> rx.Component:
    """Room for what is to come, or why there is nothing, `trouble`, and a button with the event that asks again.

    `plainly` is what can be done here without a script, besides signing out.
    """
    return rx.el.section(
        rx.el.p("--:--", class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.cond(
                trouble != "",
                rx.el.div(
                    rx.el.p(trouble, role="alert", class_name="lede"),
                    rx.el.button("Try again", type="button", on_click=again, class_name="button button-quiet"),
                    class_name="stack",
                ),
                rx.el.p("One moment …", class_name="lede waiting", role="status"),
            ),
            rx.el.noscript(
                rx.el.div(
                    rx.el.p("This page needs JavaScript. Signing out works without it.", class_name="lede"),
                    *plainly,
                    class_name="stack",
                )
            ),
            class_name="entry",
        ),
        class_name="ledger-row frame waiting-room",
    )
