"""The pages behind the links in our mails, as templates that the server fills in per request (frontend/templates.py).

Each state of a page is an entry of its own, with its own hour in the margin. Every form is a plain POST.
"""

from collections.abc import Callable
from typing import Any

import reflex as rx

from sigma_app.features.waitlist.consent import CONSENT_TEXT
from sigma_app.features.waitlist.link_parts import (
    FRESH_MAIL,
    HOW_OFTEN,
    NO_HOUR,
    address,
    link_page,
    mail_is_on_its_way,
)
from sigma_app.features.waitlist.place_page import place
from sigma_app.ui import head
from sigma_app.ui.brand import sigma_mark
from sigma_app.ui.layout import lone, section
from sigma_app.ui.link import link
from sigma_app.ui.parts import ALARM, PRIMARY, QUIET, email_field, fine, home, lede, post_form, slip, title
from sigma_app.ui.script import on_the_list
from sigma_app.ui.template import slot, when

ERASED = (
    ("Your entry", "The address, where you came from, and who sent you."),
    ("Your place", "And with it the line you stood in. Those behind you move up."),
    ("Your consents", "Each yes of yours, with its date."),
    ("Our mails to you", "Those we kept, and those that were still to go out."),
)


def confirm() -> rx.Component:
    """The link in the first mail: puts an address in line."""
    return link_page(
        when(
            "state == 'valid'",
            lone(
                title("Was that you?"),
                lede("Somebody joined the list with this address. If it was you, one button is left to press."),
                slip(("Address", slot("email")), ("In line", "once you confirm")),
                post_form("Confirm my place", action=slot("action")),
                _consent(),
                time="23:06",
            ),
        ),
        when(
            "state == 'used'",
            lone(
                title("This link has done its work."),
                lede("It put you in line. Your place is in your inbox, in the mail that came after this one."),
                _again("Mail me my place"),
                time="23:07",
            ),
        ),
        when(
            "state == 'expired'",
            lone(
                title("This link fell asleep."),
                lede("They stay up for three days. A fresh one takes a minute, and your address is still here."),
                _again(FRESH_MAIL),
                time="+ 3 d",
            ),
        ),
        when(
            "state == 'unknown'",
            _unknown(
                "It lost something on the way, or has done its work already. Try the button in the mail itself, or "
                "have a fresh mail.",
                link(FRESH_MAIL, href="/confirm#no-mail", class_name=PRIMARY),
                link("Join the list", href="/join", class_name=QUIET),
            ),
        ),
    )


def code() -> rx.Component:
    """For those who read their mail on another device: the six digits from it."""
    return link_page(
        lone(
            title("Six digits, please."),
            lede("They are in the mail that asked you to confirm, below its button."),
            when("sent", mail_is_on_its_way()),
            post_form(
                "Confirm my place",
                email_field("email", slot("email")),
                when("message", _code_field(refused=True)),
                when("not message", _code_field(refused=False)),
                action="/confirm",
            ),
            _consent(),
            time="23:06",
        ),
        section(
            post_form(FRESH_MAIL, email_field("again", slot("email")), action="/confirm/again", look=QUIET),
            anchor="no-mail",
            time="23:16",
            title="No mail?",
            intro="Look where the newsletters go. If it is not there either, have another one. "
            f"{HOW_OFTEN} And where the code works no more, the button in the mail still does.",
            layout="entry-split entry-quiet",
        ),
    )


def unsubscribe() -> rx.Component:
    """Out of the line, and out of our mails."""
    return link_page(
        when(
            "state == 'valid'",
            lone(
                title("No more mail?"),
                lede(
                    "One button, and we write no more. If you are still in line, your place goes to whoever stands "
                    "behind you."
                ),
                slip(("Address", slot("email")), ("Mails from us, from now on", "0")),
                post_form("Unsubscribe me", action=slot("action"), look=QUIET),
                fine("Opened the link by accident? Close the page. Nothing has happened."),
                time="04:04",
            ),
        ),
        when(
            "state == 'done'",
            on_the_list("left"),
            lone(
                title("We write no more."),
                lede("No more mail to ", address(), ". The sleep was yours all along."),
                fine(
                    "If that was a mistake, ",
                    link("join again", href="/join"),
                    ". If you were still in line, you start at the back, with what your friends have earned you.",
                ),
                home(),
                time="04:05",
            ),
        ),
        when(
            "state == 'unknown'",
            _unknown(
                "So there is nobody to unsubscribe. Reply to any mail from us and say that you want out; that works, "
                "too.",
                home(),
            ),
        ),
    )


def erase() -> rx.Component:
    """Out of everything, for good."""
    return link_page(
        when(
            "state == 'valid'",
            lone(
                title("Take it all off the books?"),
                lede("This is what we hold about ", address(), ", and what goes."),
                rx.el.div(
                    rx.el.dl(*(_erased(*line) for line in ERASED), class_name="sum-terms"),
                    rx.el.p(
                        rx.el.span("=", class_name="sum-glyph", aria_hidden="true"),
                        rx.el.span("Nothing. It cannot be undone."),
                        class_name="sum-total",
                    ),
                    class_name="erased",
                ),
                post_form("Erase me for good", action=slot("action"), look=ALARM),
                fine("Had second thoughts? Close the page. Everything stays as it was."),
                time="04:10",
            ),
        ),
        when(
            "state == 'done'",
            on_the_list("left"),
            lone(
                rx.el.p(sigma_mark("nothing-sign"), rx.el.span("= 0"), class_name="nothing", aria_hidden="true"),
                title("Nothing is left."),
                lede("We added up what we hold about you, and that is the sum. Sleep well."),
                home(),
                time="04:11",
            ),
        ),
        when(
            "state == 'expired'",
            lone(
                title("This link fell asleep."),
                lede("For your safety it stays up for one day only. Nothing was erased."),
                fine("The page of your place has a button that sends a fresh one; the link to it is in our mails."),
                home(),
                time="+ 1 d",
            ),
        ),
        when(
            "state == 'unknown'",
            _unknown(
                "It may have done its work already: an entry that is erased takes its links along. If yours is still "
                "there, reply to any mail from us and say so.",
                home(),
            ),
        ),
    )


def invitation() -> rx.Component:
    """The invitation that a place in line leads to."""
    return link_page(
        when(
            "state == 'valid'",
            lone(
                title("It is your turn."),
                lede("The invitation is good. It makes you an account, and this address is proved by it."),
                slip(
                    ("Admits", "one founder"),
                    ("Address", slot("email")),
                    ("Good until", slot("expires")),
                    ("Doors", "open"),
                ),
                rx.el.p(link("Make my account", href=slot("'/sign-up?invitation=' ~ token"), class_name=PRIMARY)),
                fine("It works once, and for this address only. Nobody else gets in with it, however early they rise."),
                time="06:58",
            ),
        ),
        when(
            "state == 'used'",
            lone(
                title("This invitation has been used."),
                lede("It works once, and it did, for ", address(), "."),
                home(),
                time="07:10",
            ),
        ),
        when(
            "state == 'expired'",
            lone(
                title("You slept in."),
                lede("The invitation for ", address(), f" was good until {slot('expires')}."),
                fine("Reply to the mail it came in, and we see what can be done. It happens to the best."),
                home(),
                time="+ 30 d",
            ),
        ),
        when(
            "state == 'unknown'",
            _unknown(
                "If it was an invitation, it lost something on the way. Try the button in the mail itself.",
                home(),
            ),
        ),
    )


def _consent() -> rx.Component:
    return fine(f"Confirming says yes to this once more: \u201c{CONSENT_TEXT}\u201d ", link("Privacy", href="/privacy"))


def _again(label: str) -> rx.Component:
    """A button for another mail, and the news that it was pressed; it may be pressed again."""
    return rx.fragment(
        when("sent", mail_is_on_its_way(), post_form(label, action=slot("again"), look=QUIET)),
        when(
            "not sent",
            fine("The address is ", address(), f". {HOW_OFTEN}"),
            post_form(label, action=slot("again")),
        ),
    )


def _unknown(why: str, *ways_out: rx.Component) -> rx.Component:
    return lone(
        title("This link leads nowhere."),
        lede(why),
        rx.el.p(*ways_out, class_name="ways-out"),
        time=NO_HOUR,
    )


def _code_field(*, refused: bool) -> rx.Component:
    """Six digits, which may come in groups; when the last ones were refused, the reason, where the focus goes."""
    return rx.el.div(
        rx.el.label("The code from the mail", html_for="code", class_name="join-label"),
        rx.el.input(
            name="code",
            type="text",
            input_mode="numeric",
            auto_complete="one-time-code",
            pattern=" *([0-9] *){6}",
            title="Six digits",
            placeholder="······",  # six places, which nobody takes for a code
            required=True,
            auto_focus=refused,
            class_name="join-field code-field",
            custom_attrs={"id": "code"}
            | ({"aria-invalid": "true", "aria-describedby": "code-message"} if refused else {}),
        ),
        rx.el.p(slot("message"), role="alert", class_name="join-status", custom_attrs={"id": "code-message"})
        if refused
        else rx.fragment(),
    )


def _erased(name: str, text: str) -> rx.Component:
    return rx.el.div(
        rx.el.dt(rx.el.span("−", class_name="sum-glyph", aria_hidden="true"), name),
        rx.el.dd(text),
    )


def _page(component: Callable[[], rx.Component], name_of_tab: str) -> dict[str, Any]:
    name = component.__name__
    page = head.page(component, f"/templates/{name}", f"{name_of_tab} · Sigma", "A page for one reader.", indexed=False)
    # The address is a key: it goes to no other page, not even to one of ours, which notes where visitors come from.
    # With "no-referrer" browsers would send the forms as from nowhere, and we refuse those.
    page["meta"].append({"name": "referrer", "content": "strict-origin"})
    return page


PAGES = [
    # The words of every link that leads nowhere stand in this one
    _page(confirm, slot("'Confirm your place' if state != 'unknown' else 'A link to nowhere'")),
    _page(code, "Type the code"),
    _page(place, "Your place in line"),
    _page(unsubscribe, "Unsubscribe"),
    _page(erase, "Erase your entry"),
    _page(invitation, "Your invitation"),
]
