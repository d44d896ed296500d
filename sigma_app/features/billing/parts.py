"""What the pages of billing are made of: heading, banner, a plan with its button, the way to Stripe's portal."""

from typing import Any

import reflex as rx

from sigma_app.features.billing.errors import BoughtAlready, NotForSale, NothingToManage, OnItsWay, SubscribedAlready
from sigma_app.features.billing.standing import Offered
from sigma_app.ui.link import link
from sigma_app.ui.parts import PRIMARY, door_form
from sigma_app.ui.portal import said

SAID = {
    "not-paid": "Nothing was charged. Your plans are still here.",
    "away": "Stripe does not answer right now. Nothing was charged; please try again in a moment.",
    "back": "Back from Stripe. What you changed there shows here within seconds.",
    **{
        refusal.said: str(refusal())
        for refusal in (NotForSale, SubscribedAlready, BoughtAlready, OnItsWay, NothingToManage)
    },
}
"""What was just done, or could not be, by the `said` in the address."""
CHECKOUT, PORTAL = "/billing/checkout", "/billing/portal"


def heading(
    time: str, title: rx.Var[str] | str, words: rx.Var[str] | str, *more: rx.Component, live: bool = False
) -> rx.Component:
    """The top of a page; `live` has a change of it read out."""
    return rx.el.header(
        rx.el.p(time, class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            rx.el.h1(title, class_name="title"),
            rx.el.p(words, class_name="lede"),
            said(SAID),
            *more,
            class_name="entry",
            aria_live="polite" if live else "off",
        ),
        class_name="ledger-row frame portal-top",
    )


def banner(warning: rx.Var[str] | str) -> rx.Component:
    """What somebody should do something about, with the way to do it."""
    return rx.cond(
        warning != "",
        rx.el.section(
            rx.el.p("!", class_name="margin-note", aria_hidden="true"),
            rx.el.div(
                rx.el.p(warning, role="alert"), manage("Sort it out at Stripe", PRIMARY), class_name="entry banner"
            ),
            class_name="ledger-row frame",
        ),
    )


def some(things: Any) -> rx.Var[bool]:
    """Whether there is anything in a list of the state's."""
    return rx.Var.create(things).to(list).length() > 0


def plan_cards(plans: rx.Var[list[Offered]] | list[Offered], wanted: rx.Var[str] | str) -> rx.Component:
    """The plans side by side, each with its button; the one with the key `wanted` is marked."""
    return rx.el.ul(rx.foreach(plans, lambda plan: _plan(plan, wanted)), class_name="plans")


def terms() -> rx.Component:
    """What somebody agrees to who pays."""
    return rx.el.p(
        "You pay at Stripe. A subscription renews by itself until you cancel it, whenever you like; what is paid stays "
        "open until its end. Who pays agrees to the ",
        link("terms", href="/terms"),
        ".",
        class_name="fine-print",
    )


def _plan(plan: Offered, wanted: rx.Var[str] | str) -> rx.Component:
    return rx.el.li(
        rx.el.h3(plan.name, rx.cond(plan.key == wanted, " · your choice", "")),
        rx.el.p(rx.el.span(plan.price, class_name="plan-price"), " ", plan.every),
        rx.el.p(plan.description, class_name="fine-print"),
        buy(plan.key, f"{plan.name}, {plan.price} {plan.every}"),
        custom_attrs={"data-wanted": rx.cond(plan.key == wanted, "true", None)},
    )


def buy(key: rx.Var[str] | str, what: rx.Var[str] | str) -> rx.Component:
    """The button that opens a checkout for the plan of this key; works without a script, too."""
    return door_form(
        rx.fragment("Choose it", rx.el.span(f": {what}", class_name="off-screen")),
        rx.el.input(type="hidden", name="plan", value=key, read_only=True),
        action=CHECKOUT,
        busy="Opening the checkout …",
        message="",
    )


def manage(label: str, look: str) -> rx.Component:
    """The button that opens Stripe's customer portal."""
    return door_form(label, action=PORTAL, busy="Opening Stripe …", message="", look=look)
