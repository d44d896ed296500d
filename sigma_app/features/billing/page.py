"""/billing: what somebody pays, why they have access or not, and the ways to pay, to change and to stop."""

import reflex as rx

from sigma_app.features.billing.access import RULES
from sigma_app.features.billing.catalogue import OPEN_TODAY, TODAY
from sigma_app.features.billing.parts import PORTAL, banner, heading, manage, plan_cards, some, terms
from sigma_app.features.billing.standing import Change
from sigma_app.features.billing.state import BillingState
from sigma_app.ui import head
from sigma_app.ui.layout import section
from sigma_app.ui.link import link
from sigma_app.ui.parts import PRIMARY, QUIET, post_form
from sigma_app.ui.portal import phase, portal, waiting

SHOWN = (BillingState.phase == "in") & BillingState.ready & (BillingState.trouble == "")


def billing() -> rx.Component:
    """What it costs, and what for."""
    return portal(
        phase(BillingState),
        rx.cond(
            SHOWN,
            rx.el.div(
                heading(
                    "07:50",
                    BillingState.headline,
                    BillingState.why,
                ),
                banner(BillingState.warning),
                # Whoever has bought nothing yet, or has just chosen a plan, came for the plans.
                rx.cond(
                    BillingState.customer & (BillingState.wanted == ""),
                    rx.fragment(_present(), _plans()),
                    rx.fragment(_plans(), rx.cond(BillingState.customer, _present())),
                ),
                _history(),
            ),
            waiting(BillingState.trouble, BillingState.load, _plainly()),
        ),
        here="/billing",
        console=BillingState.console,
    )


def _plainly() -> rx.Component:
    """What works without a script: plans can be chosen, and Stripe's pages know the invoices and the way out."""
    return rx.el.div(
        link("Plans and prices", href="/pricing", class_name=QUIET),
        post_form("Manage what you pay at Stripe", action=PORTAL, look=QUIET),
        rx.el.p("Whether a payment went through, a mail says.", class_name="fine-print"),
        class_name="stack",
    )


def _present() -> rx.Component:
    return section(
        rx.el.div(
            rx.el.dl(
                rx.el.div(rx.el.dt("Plan"), rx.el.dd(rx.cond(BillingState.plan != "", BillingState.plan, "none"))),
                rx.el.div(
                    rx.el.dt("Access"),
                    rx.cond(BillingState.access, rx.el.dd("yes"), rx.el.dd("no", class_name="not-yet")),
                ),
                class_name="bill slip",
            ),
            rx.foreach(BillingState.bought, lambda line: rx.el.p(line, class_name="fine-print")),
            rx.cond(BillingState.next != "", rx.el.p(BillingState.next, class_name="fine-print")),
            rx.cond(BillingState.customer, manage("Manage at Stripe", QUIET)),
            class_name="stack",
        ),
        anchor="plan",
        time="07:51",
        title="What you pay",
        intro="The card, the invoices, another plan and the way out are at Stripe.",
        layout="entry-split",
    )


def _plans() -> rx.Component:
    return rx.cond(some(BillingState.plans), _offer("07:52", "What you can have", TODAY))


def _offer(time: str, title: str, intro: str = "") -> rx.Component:
    return section(
        plan_cards(BillingState.plans, BillingState.wanted),
        terms(),
        anchor="plans",
        time=time,
        title=title,
        intro=intro,
    )


def _history() -> rx.Component:
    return section(
        rx.cond(
            some(BillingState.history),
            rx.el.ol(rx.foreach(BillingState.history, _change), class_name="changes"),
            rx.el.p("Nothing has changed yet.", class_name="fine-print"),
        ),
        anchor="why",
        time="07:55",
        title="Why, and since when",
        intro="Each time your access changed, and what changed it.",
        layout="entry-split",
    )


def _change(change: Change) -> rx.Component:
    return rx.el.li(
        rx.el.p(change.what, class_name="device-name"),
        rx.el.p(change.why),
        rx.el.p(change.at, class_name="fine-print"),
    )


def thanks() -> rx.Component:
    """Back from checkout: what became of it, by Stripe's word, and whether the door is open yet."""
    return portal(
        phase(BillingState),
        rx.cond(
            SHOWN & (BillingState.checkout != ""),
            rx.el.div(
                rx.cond(
                    BillingState.access & (BillingState.checkout == "paid"),
                    _outcome(
                        "Thank you. You are in.",
                        OPEN_TODAY,
                        link("Go in", href="/app", class_name=PRIMARY),
                    ),
                    rx.match(
                        BillingState.checkout,
                        (
                            "paid",
                            _outcome(
                                "Thank you. It is paid.",
                                "The door opens as soon as Stripe has told us, which takes a few seconds. "
                                "This page changes by itself.",
                                rx.el.p(rx.el.span(class_name="spinner"), "Waiting for Stripe …", role="status"),
                            ),
                        ),
                        (
                            "processing",
                            _outcome(
                                "Thank you. It is on its way.",
                                "A bank debit takes a few days. We mail you when it is through, and when it is not.",
                                rx.cond(
                                    BillingState.access,
                                    link("Go in", href="/app", class_name=PRIMARY),
                                    link("Your billing", href="/billing", class_name=QUIET),
                                ),
                            ),
                        ),
                        (
                            "unseen",
                            _outcome(
                                "Stripe does not answer right now.",
                                "If you have paid, it counts, and a mail says so: do not pay again.",
                                rx.el.button(
                                    "Look again", type="button", on_click=BillingState.load_thanks, class_name=PRIMARY
                                ),
                                link("Your billing", href="/billing", class_name=QUIET),
                            ),
                        ),
                        (
                            "failed",
                            _outcome(
                                "The payment failed.",
                                "Nothing was charged. Another card, or another bank, may do better.",
                                link("Try again", href="/billing", class_name=PRIMARY),
                            ),
                        ),
                        (
                            "open",
                            _outcome(
                                "Not paid yet.",
                                "Your checkout is still open, and nothing was charged.",
                                link("Go on paying", href=BillingState.checkout_url, class_name=PRIMARY),
                            ),
                        ),
                        (
                            "over",
                            _outcome(
                                "That is over.",
                                "It was paid once, and has ended or was given back since.",
                                link("Your billing", href="/billing", class_name=QUIET),
                            ),
                        ),
                        (
                            "expired",
                            _outcome(
                                "This checkout is over.",
                                "Nothing was charged. Start another one whenever you like.",
                                link("Choose a plan", href="/billing", class_name=PRIMARY),
                            ),
                        ),
                        _outcome(
                            "We know no such checkout.",
                            "At least none of yours. If you have just paid, your billing page knows.",
                            link("Your billing", href="/billing", class_name=QUIET),
                        ),
                    ),
                ),
            ),
            waiting(BillingState.trouble, BillingState.load_thanks, _plainly()),
        ),
        here="/billing",
        console=BillingState.console,
    )


def _outcome(title: str, words: rx.Var[str] | str, *onward: rx.Component) -> rx.Component:
    return heading("07:59", title, words, rx.el.div(*onward, class_name="ways-out"), live=True)


def home() -> rx.Component:
    """/app: what access opens; without it, what it would, and the way there."""
    return portal(
        phase(BillingState),
        rx.cond(
            SHOWN,
            rx.cond(BillingState.access, _inside(), _outside()),
            waiting(BillingState.trouble, BillingState.load, _plainly()),
        ),
        here="/app",
        console=BillingState.console,
    )


STEPS = (
    ("Paperwork", "Name, form, articles, and the number the state gives you."),
    ("Brand", "A mark, a voice, colours that are not blue by default."),
    ("Website", "Written, built, on its own domain."),
    ("Payments", "A checkout that takes cards and gives refunds."),
    ("Banking", "An account that is the company's and not yours."),
    ("Marketing", "The launch, and the week after it."),
)


def _inside() -> rx.Component:
    return rx.el.div(
        heading("08:01", "Good morning, CEO.", "Six parts add up to a company. This is where each will report."),
        banner(BillingState.warning),
        section(
            rx.el.ol(*(_step(name, what) for name, what in STEPS), class_name="checklist"),
            anchor="setup",
            time="08:02",
            title="Your setup",
            intro=OPEN_TODAY,
            layout="entry-split",
        ),
        custom_attrs={"data-inside": ""},
    )


def _nothing_for_sale() -> rx.Component:
    return section(
        rx.el.p("No plan is for sale at the moment. The list hears first when one is.", class_name="lede"),
        anchor="plans",
        time="08:03",
        title="What it costs",
    )


def _step(name: str, what: str) -> rx.Component:
    return rx.el.li(
        rx.el.h3(name),
        rx.el.p(what, class_name="fine-print"),
        rx.el.p("Not open yet", class_name="step-state"),
    )


def _outside() -> rx.Component:
    return rx.el.div(
        heading("08:01", "This door takes a plan.", BillingState.why),
        banner(BillingState.warning),
        section(
            rx.el.div(
                rx.el.p(
                    "Behind it: your company's setup, part by part, from the paperwork to the launch. Your profile, "
                    f"your picture and your data are yours without it. {TODAY}",
                    class_name="lede",
                ),
                rx.cond(BillingState.next != "", rx.el.p(BillingState.next, class_name="fine-print")),
                rx.cond(BillingState.subscribed, manage("Sort it out at Stripe", PRIMARY)),
                class_name="stack",
            ),
            anchor="inside",
            time="08:02",
            title="What is inside",
        ),
        rx.cond(
            some(BillingState.plans),
            _offer("08:03", "What it costs"),
            rx.cond(BillingState.why == RULES["nothing"], _nothing_for_sale()),
        ),
        custom_attrs={"data-outside": ""},
    )


PAGES = [
    head.page(billing, "/billing", "Your billing · Sigma", "What you pay, and why you have access.", indexed=False)
    | {"on_load": BillingState.load},
    head.page(thanks, "/billing/thanks", "Your payment · Sigma", "What became of your payment.", indexed=False)
    | {"on_load": BillingState.load_thanks},
    head.page(home, "/app", "Home · Sigma", "Where your company is set up.", indexed=False)
    | {"on_load": BillingState.load},
]
