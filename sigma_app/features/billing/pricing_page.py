"""/pricing: what each plan costs, for everybody; a template that the server fills in from our copy of the catalogue."""

import reflex as rx

from sigma_app.features.billing.catalogue import PLANS, TODAY, Plan
from sigma_app.features.billing.parts import CHECKOUT, terms
from sigma_app.ui import head
from sigma_app.ui.layout import WAYS_IN, section, shell
from sigma_app.ui.link import link
from sigma_app.ui.parts import PRIMARY, QUIET, post_form
from sigma_app.ui.template import slot, when

TEMPLATE = "pricing"


def pricing() -> rx.Component:
    """The bill before the dinner."""
    return shell(
        rx.el.header(
            rx.el.p("03:38", class_name="margin-note", aria_hidden="true"),
            rx.el.div(
                rx.el.h1("What it costs.", class_name="title"),
                rx.el.p("Waiting is free. This is for those who are in.", class_name="lede"),
                class_name="entry",
            ),
            class_name="ledger-row frame portal-top",
        ),
        section(
            when("plans", rx.el.ul(*map(_plan, PLANS), class_name="plans")),
            when(
                "not plans",
                rx.el.p("Nothing is for sale at the moment. The list hears first when it is.", class_name="lede"),
            ),
            terms(),
            when(
                "not (open or signed_in)",
                rx.el.p(
                    "Accounts are by invitation for now. No account yet? ",
                    link("Join the list", href="/join"),
                    ": it is how invitations come.",
                    class_name="fine-print",
                ),
            ),
            anchor="plans",
            time="03:39",
            title="Pick one.",
            intro=TODAY,
        ),
        ways=(
            when("signed_in", link("My account", href="/app", class_name=QUIET)),
            when("not signed_in", *WAYS_IN),
        ),
    )


def _plan(plan: Plan) -> rx.Component:
    shown = f"plans['{plan.key}']"
    return when(
        f"'{plan.key}' in plans",
        rx.el.li(
            rx.el.h3(slot(f"{shown}.name")),
            rx.el.p(
                rx.el.span(slot(f"{shown}.price"), class_name="plan-price"), " ", rx.el.span(slot(f"{shown}.every"))
            ),
            rx.el.p(slot(f"{shown}.description"), class_name="fine-print"),
            post_form(
                rx.fragment("Choose it", rx.el.span(slot(f"': ' ~ {shown}.name"), class_name="off-screen")),
                rx.el.input(type="hidden", name="plan", default_value=plan.key),
                action=CHECKOUT,
                look=PRIMARY,
            ),
        ),
    )


PAGES = [
    head.page(
        pricing,
        f"/templates/{TEMPLATE}",
        "Pricing · Sigma",
        "What Sigma costs: by the month, by the year, or once and for good.",
        indexed=False,
    )
]
