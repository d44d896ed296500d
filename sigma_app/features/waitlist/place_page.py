"""The page of one's place in line: the number, how to move up, and the ways out. A template, as link_pages.py says."""

import reflex as rx

from sigma_app.features.waitlist.link_parts import address, link_page
from sigma_app.ui.layout import lone, section
from sigma_app.ui.link import link
from sigma_app.ui.parts import PRIMARY, QUIET, fine, lede, notice, post_form, slip, title
from sigma_app.ui.script import on_the_list
from sigma_app.ui.template import either, number, plural, slot, when

SHARES = (("mail", "Mail"), ("whatsapp", "WhatsApp"), ("linkedin", "LinkedIn"), ("x", "X"))


def place() -> rx.Component:
    """Where a lead stands."""
    return link_page(
        when("status != 'unsubscribed'", on_the_list("confirmed")),
        when("status == 'unsubscribed'", on_the_list("left")),
        when("status == 'confirmed'", _number(), _share()),
        _beyond_the_line(
            "invited",
            "It is your turn.",
            "So there is no number here any more. The invitation is in your inbox; its link is the key, and is better "
            "kept.",
            "06:58",
        ),
        _beyond_the_line(
            "signed up",
            "You are in.",
            "You have an account, and the line is behind you. Your number was glad to retire.",
            "07:30",
        ),
        _beyond_the_line(
            "customer",
            "You are through.",
            "A customer, no less. Customers have no number here; they have a company to run.",
            "09:00",
        ),
        _beyond_the_line(
            "unsubscribed",
            "You left the line.",
            "So there is no number to show, and no mail from us to wait for. If you want back in, join again: you "
            "start at the back, with what your friends have earned you.",
            "04:05",
            rx.el.p(link("Join again", href="/join", class_name=PRIMARY)),
        ),
        _leaving(),
    )


def _number() -> rx.Component:
    """The number, large, and the sum that it follows from."""
    return rx.el.section(
        rx.el.p("23:07", class_name="margin-note", aria_hidden="true"),
        rx.el.div(
            when("erasing", _erasing()),
            rx.el.div(
                rx.el.h1(
                    rx.el.span("You are number "),
                    rx.el.span(
                        number("place"),
                        class_name="place-number",
                        custom_attrs={"data-digits": slot("place | string | length")},
                    ),
                    rx.el.span(" in line."),
                    class_name="place-title",
                ),
                rx.el.div(
                    slip(
                        ("Ahead of you", number("ahead")),
                        ("You", "1"),
                        ("Behind you", number("[waiting - ahead - 1, 0] | max")),
                        ("In line, all told", number("[waiting, ahead + 1] | max")),
                    ),
                    fine(
                        when("ahead == 0", "Nobody is ahead of you. The next invitation is yours."),
                        when("ahead == 1", "One founder is ahead of you. Try not to stare."),
                        when(
                            "ahead > 1",
                            f"{number('ahead')} founders are ahead of you. You can sleep through most of it.",
                        ),
                        " When your turn comes, we write to ",
                        address(),
                        ".",
                    ),
                    class_name="place-sum",
                ),
                class_name="place-columns",
            ),
            class_name="entry",
        ),
        class_name="ledger-row frame hero place",
    )


def _share() -> rx.Component:
    to_the_front = either("ahead < places_per_referral", ", or to the front", "")
    places = f"{number('places_per_referral')} {plural('places_per_referral', 'place', 'places')}"
    return section(
        rx.el.div(
            rx.el.div(
                rx.el.label("Your link", html_for="share-url", class_name="join-label"),
                rx.el.div(
                    rx.el.input(
                        type="text",
                        default_value=slot("share_url"),
                        read_only=True,
                        class_name="join-field share-field",
                        custom_attrs={"id": "share-url", "data-share-url": ""},
                    ),
                    rx.el.button(
                        rx.el.span("Copy link", aria_live="polite"),
                        type="button",
                        hidden=True,  # until links.js finds that it can
                        class_name="button button-primary copy-button",
                        custom_attrs={"data-copy": ""},
                    ),
                    class_name="share-row",
                ),
                rx.el.ul(
                    *(rx.el.li(link(words, href=slot(f"share_links.{way}"), rel="noopener")) for way, words in SHARES),
                    aria_label="Send your link by",
                    class_name="share-ways",
                ),
                rx.el.p(
                    when("referrals == 0", "Nobody has confirmed yet. They may be asleep."),
                    when("referrals == 1", "One friend has confirmed so far. Thank them for us."),
                    when("referrals > 1", f"{number('referrals')} friends have confirmed so far. Good company."),
                    class_name="share-count",
                ),
            ),
            rx.el.figure(
                rx.el.div(slot("qr | safe"), class_name="qr-code"),
                rx.el.figcaption("The same link, for the camera of somebody awake."),
                class_name="qr",
            ),
            class_name="share",
        ),
        anchor="share",
        time="23:41",
        title="Bring company.",
        intro=either(
            "ahead",
            f"Each friend who confirms moves you up {places}{to_the_front}.",
            "You are in front already. A friend who confirms is company.",
        ),
        layout="entry-split",
    )


def _beyond_the_line(status: str, heading: str, words: str, time: str, *more: rx.Component) -> rx.Component:
    """What stands in the place of the number for a lead that does not wait."""
    return when(
        f"status == '{status}'",
        lone(
            when("erasing", _erasing()),
            title(heading),
            lede(words),
            *more,
            time=time,
        ),
    )


def _leaving() -> rx.Component:
    return section(
        rx.el.div(
            when(
                "status != 'unsubscribed'",
                rx.el.div(
                    rx.el.p(
                        when(
                            "status == 'confirmed'",
                            "No more mail from us. Your place goes to whoever stands behind you.",
                        ),
                        when("status == 'invited'", "No more mail from us, not even a reminder of the invitation."),
                        when("status in ('signed up', 'customer')", "No more mail from us, but what you ask for."),
                    ),
                    rx.el.div(link("Unsubscribe me", href=slot("unsubscribe"), class_name=QUIET)),
                ),
            ),
            rx.el.div(
                rx.el.p("We forget that you were here. To be sure that it is you who asks, we ask back by mail."),
                when("erasing", rx.el.p("That mail is on its way.")),
                when(
                    "not erasing",
                    post_form("Mail me the link that erases me", action=slot("erase"), look=QUIET),
                ),
            ),
            class_name="leaving",
        ),
        anchor="leaving",
        time="04:04",
        title=slot("'Had enough?' if status != 'unsubscribed' else 'And the rest?'"),
        layout="entry-split entry-quiet",
    )


def _erasing() -> rx.Component:
    return notice(
        "The mail that erases you is on its way to ",
        address(),
        ". Until you press its button, everything stays.",
    )
