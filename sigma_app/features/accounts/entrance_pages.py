"""The pages of getting in, as templates that the server fills in per request (frontend/templates.py).

Every form is a plain POST that forms.js makes smoother. `message` is what was wrong at the last try and `field` where,
`next` where to go on to, and `onward` the query that keeps it in links.
"""

from collections.abc import Callable
from typing import Any

import reflex as rx

from sigma_app.features.accounts.letters import EARLIER_ADDRESS
from sigma_app.features.accounts.passwords import AT_LEAST
from sigma_app.gateways.mail import MAILBOX
from sigma_app.ui import head
from sigma_app.ui.brand import sigma_mark
from sigma_app.ui.form import plain_form
from sigma_app.ui.layout import lone, shell
from sigma_app.ui.link import link
from sigma_app.ui.parts import PRIMARY, QUIET, door_form, email_field, fine, lede, notice, password_field, slip, title
from sigma_app.ui.script import forms_script, on_the_list
from sigma_app.ui.template import slot, when

PRIVACY = link("Privacy", href="/privacy")
_CHOSEN = "'/billing?plan=' in next"  # whoever chose a plan before they signed in


def sign_up() -> rx.Component:
    """An account: an address and a password."""
    return _page(
        when(
            "open",
            lone(
                title("Take the keys."),
                when(_CHOSEN, lede("First an account. Then you pay for the plan that you chose.")),
                when("invited", lede("The invitation is good, and this address is proved by it. A password is all.")),
                when("not invited", lede("An address and a password. We ask the address whether it was you.")),
                door_form(
                    "Make my account",
                    when("invited", slip(("Address", slot("invited"))), hidden("email", slot("invited"))),
                    when("not invited", _address("username")),
                    password_field(
                        "password",
                        "A password",
                        autocomplete="new-password",
                        strength=AT_LEAST,
                        invalid=_wrong("password"),
                    ),
                    hidden("invitation", slot("invitation")),
                    hidden("next", slot("next")),
                    action="/sign-up",
                    busy="Making it …",
                    message=slot("message"),
                ),
                fine("With the button you agree to the ", link("terms", href="/terms"), ". ", PRIVACY),
                _ways(("I have an account", "'/sign-in' ~ onward")),
                time="07:00",
            ),
        ),
        when(
            "not open",
            lone(
                title("By invitation, for now."),
                lede(
                    "Accounts open for those in line, one after the other. The mail with your invitation has the "
                    "button that leads here."
                ),
                when("message", fine(slot("message"))),
                rx.el.p(
                    link("Join the list", href="/join", class_name=PRIMARY),
                    link("I have an account", href=slot("'/sign-in' ~ onward"), class_name=QUIET),
                    class_name="ways-out",
                ),
                time="06:30",
            ),
        ),
    )


def sign_in() -> rx.Component:
    """An address and its password."""
    return _page(
        lone(
            when("said", notice(slot("said"))),
            title("Good morning."),
            when(
                _CHOSEN,
                when(
                    "open",
                    lede("The plan that you chose is kept. It belongs to an account: sign in to yours, or make one."),
                    rx.el.p(
                        link("Make an account", href=slot("'/sign-up' ~ onward"), class_name=QUIET),
                        class_name="ways-out",
                    ),
                ),
                when(
                    "not open",
                    lede("The plan that you chose is kept. It belongs to an account, which is by invitation for now."),
                ),
            ),
            when(f"not ({_CHOSEN})", lede("Sign in, and see what the night brought.")),
            door_form(
                "Sign in",
                _address("username"),
                password_field(
                    "password", "Your password", autocomplete="current-password", invalid=_wrong("password")
                ),
                hidden("next", slot("next")),
                action="/sign-in",
                busy="Signing in …",
                message=slot("message"),
            ),
            _ways(
                ("Forgot it? Choose a new password", "'/forgot' ~ onward"),
                ("Sign in by mail, without a password", "'/sign-in/link' ~ onward"),
                ("Make an account", "'/sign-up' ~ onward"),
                carries=True,
            ),
            time="07:02",
        ),
    )


def magic_link() -> rx.Component:
    """A way in by mail."""
    return _page(
        lone(
            title("No password needed."),
            lede("Tell us your address, and we mail you a button. It signs you in on the device that opens it."),
            _mail_form("Mail me a way in", action="/sign-in/link"),
            _ways(("Sign in with a password", "'/sign-in' ~ onward"), ("Make an account", "'/sign-up' ~ onward")),
            time="07:03",
        ),
    )


def forgot() -> rx.Component:
    """A new password, by mail."""
    return _page(
        lone(
            title("It happens to founders, too."),
            lede("Tell us your address, and we mail you the way to a new password."),
            _mail_form("Mail me the way", action="/forgot"),
            _ways(("I remember it after all", "'/sign-in' ~ onward")),
            time="07:04",
        ),
    )


def check_inbox() -> rx.Component:
    """After a mail was asked for: what to look for, and where its code goes. Says the same of every address."""
    return _page(
        lone(
            when(
                "said == 'again'",
                notice(
                    "If one is due, a fresh mail is on its way. We send one a minute at most; only the newest works."
                ),
            ),
            when(
                "said == 'unconfirmed'", notice("Your address is not confirmed yet. The mail that asks for it helps.")
            ),
            title("Check your inbox."),
            when(
                "type == 'signup'",
                lede("There is a mail with a button for ", _this_address(), ". One press, and the account is yours."),
                fine(
                    "Press it in this browser. In another one you choose a new password there, and the one that you "
                    "have just typed counts no more: it could be a stranger's, for all we know."
                ),
            ),
            when(
                "type == 'recovery'",
                lede("If ", _this_address(), " has an account, the way to a new password is in its inbox."),
            ),
            when(
                "type == 'magiclink'",
                lede("If ", _this_address(), " has an account, a button that signs you in is in its inbox."),
            ),
            when("mailbox", fine("Nothing leaves this machine: mails lie in ", link("its mailbox", href=MAILBOX), ".")),
            _code_form(hidden("email", slot("email")), "Or the code from the mail"),
            plain_form(
                hidden("email", slot("email")),
                hidden("type", slot("type")),
                hidden("next", slot("next")),
                fine("Nothing there? Look where the newsletters go. Then:"),
                rx.el.button("Send it again", type="submit", class_name=f"{QUIET} link-button"),
                action="/verify/again",
                class_name="link-form mail-again",
            ),
            _ways(
                (
                    "Another address",
                    "{'signup': '/sign-up', 'recovery': '/forgot', 'magiclink': '/sign-in/link'}[type] ~ onward",
                )
            ),
            time="07:05",
        ),
    )


def verify() -> rx.Component:
    """Where the links of mails lead: a button, since mail scanners open links and press none."""
    return _page(
        when(
            "state == 'button'",
            lone(
                when("type == 'signup'", title("Was that you?"), lede("Then the account is yours. One press.")),
                when("type == 'invite'", title("Your account is waiting."), lede("One press, and it is yours.")),
                when("type == 'recovery'", title("A new password."), lede("One press, and you choose it.")),
                when("type == 'magiclink'", title("Good morning."), lede("One press, and you are in.")),
                when("type == 'email_change'", title("Moving?"), lede("One press, and this address agrees to it.")),
                door_form(
                    slot(
                        "{'signup': 'Confirm my address', 'invite': 'Take my account', 'recovery': 'Go on',"
                        " 'magiclink': 'Sign in', 'email_change': 'Confirm the change'}[type]"
                    ),
                    hidden("token_hash", slot("token_hash")),
                    hidden("type", slot("type")),
                    hidden("next", slot("next")),
                    action="/verify",
                    busy="One moment …",
                    message=slot("message"),
                ),
                fine("You asked for nothing of the kind? Close the page. Nothing has happened."),
                _fresh_ones(),
                time="07:06",
            ),
        ),
        when(
            "state == 'code'",
            lone(
                title("Six digits, please."),
                lede("They are in our mail, below its button."),
                when(
                    "type == 'email_change'",
                    fine(
                        "Each address has a code of its own: type an address with the code that it got, then the other."
                    ),
                ),
                _code_form(_address("username"), "The code from the mail"),
                _fresh_ones(),
                time="07:06",
            ),
        ),
        when(
            "state == 'over'",
            lone(
                title("This link has had its day."),
                lede("It was used, or its time is over. If you pressed it before, it has done its work."),
                _fresh_ones(),
                time="07:06",
            ),
        ),
        when(
            "state == 'half'",
            lone(
                title("One half is done."),
                lede("This address agreed. The other one has a mail, too: once both have agreed, your account moves."),
                rx.el.p(link("To my account", href="/account", class_name=PRIMARY), class_name="ways-out"),
                time="07:07",
            ),
        ),
    )


def reset() -> rx.Component:
    """A new password, on the word of a mail's link."""
    return _page(
        lone(
            when(
                "type == 'signup'",
                title("One thing more."),
                lede(
                    "You confirm in another browser than the one the account was made in. Choose the password here, so "
                    "that no one else's counts."
                ),
            ),
            when("type == 'invite'", title("Take the keys."), lede("The account is yours. It wants a password.")),
            when(
                "type == 'recovery'",
                title("Choose a new password."),
                lede("You are signed out everywhere else once it is chosen."),
            ),
            door_form(
                "Keep this password",
                rx.el.input(
                    type="email",
                    name="email",
                    auto_complete="username",
                    default_value=slot("email"),
                    read_only=True,
                    tab_index=-1,
                    aria_hidden="true",
                    class_name="off-screen",
                ),
                password_field(
                    "password",
                    "Your new password",
                    autocomplete="new-password",
                    strength=AT_LEAST,
                    invalid=_wrong("password"),
                ),
                hidden("type", slot("type")),
                hidden("next", slot("next")),
                action="/reset",
                busy="Keeping it …",
                message=slot("message"),
            ),
            time="07:08",
        ),
    )


def goodbye() -> rx.Component:
    """After an account was deleted."""
    return _page(
        lone(
            rx.el.p(sigma_mark("nothing-sign"), rx.el.span("= 0"), class_name="nothing", aria_hidden="true"),
            title("Nothing is left."),
            lede("Your account is gone, and all that was kept under its address. The last mail from us says so, too."),
            fine(EARLIER_ADDRESS),
            on_the_list("left"),
            rx.el.p(link("Back to the start", href="/", class_name=QUIET), class_name="ways-out"),
            time="08:01",
        ),
    )


def hidden(name: str, value: str) -> rx.Component:
    """What a form sends along."""
    return rx.el.input(type="hidden", name=name, default_value=value)


def _page(*children: rx.Component) -> rx.Component:
    return shell(forms_script(), *children, ways=())


def _address(autocomplete: str) -> rx.Component:
    return email_field("email", slot("email"), autocomplete=autocomplete, invalid=_wrong("email"))


def _wrong(field: str) -> str:
    return slot(f"'true' if field == '{field}' else 'false'")


def _this_address() -> rx.Component:
    return rx.el.span(slot("email or 'this address'"), class_name="address")


def _mail_form(label: str, *, action: str) -> rx.Component:
    return door_form(
        label,
        _address("username"),
        hidden("next", slot("next")),
        action=action,
        busy="One moment …",
        message=slot("message"),
    )


def _code_form(address: rx.Component, label: str) -> rx.Component:
    return door_form(
        "Use the code",
        address,
        rx.el.div(
            rx.el.label(label, html_for="code", class_name="join-label"),
            rx.el.input(
                name="code",
                type="text",
                input_mode="numeric",
                auto_complete="one-time-code",
                pattern=" *([0-9] *){6,10}",
                title="Six digits",
                placeholder="······",
                required=True,
                class_name="join-field code-field",
                custom_attrs={"id": "code", "aria-invalid": _wrong("code")},
            ),
        ),
        hidden("type", slot("type")),
        hidden("next", slot("next")),
        action="/verify",
        busy="One moment …",
        message=slot("message"),
        look=QUIET,
    )


def _fresh_ones() -> rx.Component:
    """The ways to another mail."""
    return rx.fragment(
        when("type == 'recovery'", _ways(("Get a fresh link", "'/forgot' ~ onward"))),
        when("type == 'magiclink'", _ways(("Get a fresh link", "'/sign-in/link' ~ onward"))),
        when(
            "type in ('signup', 'invite')",
            _ways(("Get a fresh link", "'/sign-in/link' ~ onward"), ("Sign in", "'/sign-in' ~ onward")),
        ),
        when("type == 'email_change'", _ways(("Ask for the change again", "'/account'"))),
    )


def _ways(*ways: tuple[str, str], carries: bool = False) -> rx.Component:
    """Where else to go: words, and the expression of an address; with `carries`, along with the e-mail typed."""
    return rx.el.ul(
        *(rx.el.li(link(words, href=slot(address))) for words, address in ways),
        class_name="other-ways",
        custom_attrs={"data-carries": "email"} if carries else {},
    )


def _entry(component: Callable[[], rx.Component], name_of_tab: str) -> dict[str, Any]:
    route = f"/templates/{component.__name__}"
    page = head.page(component, route, f"{name_of_tab} · Sigma", "A page of your account.", indexed=False)
    # The address may hold a key: it goes to no other site, and to our own pages neither.
    page["meta"].append({"name": "referrer", "content": "strict-origin"})
    return page


PAGES = [
    _entry(sign_up, "Make an account"),
    _entry(sign_in, "Sign in"),
    _entry(magic_link, "Sign in by mail"),
    _entry(forgot, "Forgot your password"),
    _entry(check_inbox, "Check your inbox"),
    _entry(verify, "Confirm"),
    _entry(reset, "Choose a password"),
    _entry(goodbye, "Goodbye"),
]
