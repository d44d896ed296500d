"""The site's own pages: privacy, terms, and the page that is not there."""

import reflex as rx

from sigma_app.ui.brand import sigma_mark
from sigma_app.ui.head import page
from sigma_app.ui.layout import lone, shell
from sigma_app.ui.link import link
from sigma_app.ui.prose import Clause, document
from sigma_app.ui.template import slot

REVIEWED = "28 November 2026"

PRIVACY: list[Clause] = [
    (
        "What we keep when you join",
        [
            rx.el.ul(
                rx.el.li(rx.el.b("Your e-mail address"), ", to keep your place and to write to you about it."),
                rx.el.li(
                    rx.el.b("Where you came from"),
                    ": the page you joined on, the page that linked to it, and the campaign tags (utm) in "
                    "its address, if there were any. It tells us which of our words work.",
                ),
                rx.el.li(rx.el.b("A referral code"), ", if somebody's link brought you here."),
                rx.el.li(
                    rx.el.b("What you agreed to"),
                    ": the version of the sentence under the form, and the time you joined.",
                ),
                rx.el.li(
                    rx.el.b("A mark"),
                    ", if the address is from a throw-away mail service. It changes nothing for you.",
                ),
                rx.el.li(
                    rx.el.b("What became of it"),
                    ": when you confirmed, were invited, signed up or left, when the links in our mails were used, "
                    "your place, and how many friends you brought. If two addresses on the list lead to the same "
                    "mailbox, we note that, since one person has one place to move up.",
                ),
                rx.el.li(
                    rx.el.b("What one of us does by hand"),
                    ": a mark on your entry, with the reason in a few words, and a log of what was done to it, and "
                    "when. The log knows you by a number or a fingerprint of your address, and never by the address.",
                ),
            ),
            "That is all we keep of an entry. If one of us brings in a list as a file, its lines wait here until they "
            "are worked, for two nights at most, or for 30 days if that fails. We do not ask for your name, and we do "
            "not buy facts about you elsewhere.",
        ],
    ),
    (
        "What we keep of an account",
        [
            "Once you are in: your address, your password as a hash that nobody can turn back, the name and the "
            "picture if you give us any, and what you paid for, when, and what that opened. Of a picture we keep "
            "the pixels, and nothing of where it was taken. For each browser you sign in with, what it calls "
            "itself, and when you signed in and were last there. Your account page shows it, hands it to you as a "
            "file, and deletes it.",
            "The record of each sign-in also has the network address that it came from. It stays until you sign out in "
            "that browser or everywhere, or your account goes; time alone does not remove it. The file has it, too, "
            "and what one of us did to your account by hand. If Supabase keeps our accounts for us, it holds your "
            "address and your password as we would, and a log of sign-ins of its own.",
        ],
    ),
    (
        "What Stripe keeps when you pay",
        [
            "You pay at Stripe, which is given your address and a number that stands for your account. Your card and "
            "your bank account are Stripe's to know, and never ours. We keep which plan you pay for, how the payments "
            "stand, and each time that opened or closed your access. Deleting your account ends a subscription and "
            "your customer record there at once; the invoices stay with Stripe, as the law has it.",
        ],
    ),
    (
        "What we count of visits",
        [
            "When you come to one of our public pages from elsewhere, your browser tells our server, once: which page "
            "it is, the campaign tags (utm) in its address, whether a friend's link led you here, and which site did. "
            "We keep that for five weeks, with the time and with nothing that says who you are: no cookie, no network "
            "address, nothing of your browser. Then all that is left is numbers, such as how many came on a day.",
            "If your browser asks not to be tracked (Global Privacy Control or Do Not Track), it tells us nothing, and "
            "you are not counted. Without JavaScript neither.",
        ],
    ),
    (
        "What we use for a moment",
        [
            "To keep machines off the list, we look at how fast the form was filled in and how often one "
            "network or one address tries, and of visits how many come from one network. Your network address is "
            "used for that count and is not kept. Only signing in to an account keeps it, as said above.",
        ],
    ),
    (
        "What we do not do",
        [
            "No trackers, no advertising, no analytics from other companies, no fonts or scripts from "
            "elsewhere. Nothing on these pages is loaded from another address. We do not sell, rent or "
            "trade the list.",
        ],
    ),
    (
        "Cookies",
        [
            "None for visitors. Signing up and signing in set one each, which no script can read: that you made the "
            "account in this browser, for a day, and that it is you, until you sign out.",
            "For as long as a tab is open, your browser keeps in its session storage where you came in from, how far "
            "you had scrolled, and, once a page talks to our server, a random token, so that the answer reaches the "
            "right tab. Once you have joined, it remembers that somebody did and whether they confirmed, until they "
            "leave the list there, or you press \u201cUse another address\u201d or clear it. It may also keep the "
            "word \u201csystem\u201d, for the colour scheme. None of it names you.",
        ],
    ),
    (
        "E-mail",
        [
            "You agreed to mail about your place in line, so that is what you get: a question whether the address is "
            "yours, the way to your place, and your invitation when it comes up, with one reminder. All but the "
            "first have a way to unsubscribe, and it takes one click. Mail is sent for us by Resend, which is given "
            "your address and the mail for that, and tells us when one could not be delivered or was called spam. For "
            "90 days we keep which mail went to you and what became of it, not what it said.",
        ],
    ),
    (
        "Being removed, or asking what we hold",
        [
            "The page of your place, which is linked in our mails, can do it by itself: it erases your entry, with "
            "everything above and the mails we kept, after asking you by mail. What stays is a number in the count "
            "of the friend who brought you, with a fingerprint of your mailbox so that it counts once, and, if your "
            "mail came back or was called spam, one of your address, so that nobody writes to it again. How many "
            "joined on a day stays what it was. Our log of what one of us did by hand stays, too, with the number or "
            "the fingerprint and nothing that says whose it was. A backup holds you until newer ones take its place.",
            "Or reply to any mail from us. We send you what we hold, correct it, or erase it, whichever you ask for. "
            "You owe us no reason. We keep your entry until then, or until the list has done its work.",
        ],
    ),
    (
        "Changes",
        ["When this page changes, the date at the top does too. If it changes what happens to you, we write first."],
    ),
]

TERMS: list[Clause] = [
    (
        "What this is",
        [
            "Sigma is a waitlist for a service that opens to its list, place by place. Joining costs nothing, gives "
            "you a place in line, and obliges you to nothing. Whoever is in may pay for a plan; what holds then begins "
            "at “What you pay for”.",
        ],
    ),
    (
        "What a place in line is worth",
        [
            "An invitation when it comes up. It is not a contract for the service, a price or a date, and "
            "it cannot be sold. We may change what Sigma will do before it opens; the list is told.",
        ],
    ),
    (
        "What we ask of you",
        [
            "Use an address that is yours. Join once; joining again just sends your place again. Do not "
            "feed the form by machine. We may remove entries that were.",
        ],
    ),
    (
        "What Sigma is not",
        [
            "Nothing on these pages is legal, tax or financial advice. The night on the front page is a "
            "rehearsal with a made-up idea. The dogs are hypothetical.",
        ],
    ),
    (
        "When something breaks",
        [
            "The waitlist comes as it is. We look after it with care, but cannot promise that it is "
            "always there or without fault. Rights that the law gives you and that cannot be signed away "
            "stay yours.",
        ],
    ),
    (
        "Leaving",
        [
            [
                "Unsubscribe in any mail, or reply to one and ask to be erased. How that works is on the ",
                link("privacy page", href="/privacy"),
                ".",
            ],
        ],
    ),
    (
        "What you pay for",
        [
            "Everything below holds for whoever pays, and for nobody else. You pay for access, for one account, at the "
            "price that the plan shows. Sigma is still being built: access opens a page with the six parts of setting "
            "a company up, and today none of them works. Each opens there once it is built. We promise no date. If "
            "that is too little for the price, do not pay yet: waiting stays free.",
        ],
    ),
    (
        "When and how you pay",
        [
            "You pay at Stripe, whose page shows the whole amount before you agree to it. A plan by the month or by "
            "the year is paid when you subscribe, and again by itself at the start of every period until you cancel. "
            "You keep the price that you subscribed at. A plan for good is paid once, and lasts as long as Sigma "
            "does.",
            "A card opens your access at once. A bank debit takes days: a subscription is open meanwhile, a plan for "
            "good once the money is there. If a renewal fails, Stripe tries again, and your access stays for seven "
            "days; then it is closed until the bill is paid. If the bank sends the very first payment back, it is "
            "closed at once. Mails say so.",
        ],
    ),
    (
        "Canceling",
        [
            "Whenever you like, and without a reason: your billing page leads to Stripe, where you cancel. What is "
            "paid stays open until its period ends, nothing more is charged, and nothing is given back for the days "
            "that are left. Deleting your account ends a subscription at once, and your access with it. While a bank "
            "debit of yours is on its way, an account cannot be deleted, unless it is a second try of one that came "
            "back.",
        ],
    ),
    (
        "Money back",
        [
            "No button does that. Reply to any mail from us, say why, and somebody decides. Where the law lets you "
            "withdraw, you may, whatever else stands here.",
            "A plan for good that is refunded in full, or whose payment your bank took back, is closed. One refunded "
            "in part, or still in dispute, stays open. A refund of a subscription's payment does not end the "
            "subscription: cancel it as well.",
        ],
    ),
    (
        "When these terms change",
        ["The date at the top changes with them. What is paid already goes on by the terms of the day it was paid."],
    ),
]


def privacy() -> rx.Component:
    """What the software keeps about a person, and why."""
    return document(
        "Privacy",
        "We keep your e-mail address, where you came from and what you agreed to. We ask nobody else "
        "about you, and tell nobody else.",
        PRIVACY,
        REVIEWED,
    )


def terms() -> rx.Component:
    """What joining means and what paying does, by what the software does (docs/payments.md)."""
    return document(
        "Terms",
        "You wait, we build. Neither of us owes the other anything until you pay; then this is what for.",
        TERMS,
        REVIEWED,
    )


def not_found() -> rx.Component:
    """The page for an address that leads nowhere."""
    return shell(
        lone(
            rx.el.p(sigma_mark("nothing-sign"), rx.el.span("= 0"), class_name="nothing", aria_hidden="true"),
            rx.el.h1("We added up everything at this address.", class_name="title"),
            rx.el.p("It came to nothing. You may have mistyped, or we may have moved it.", class_name="lede"),
            rx.el.p(link("Start again from zero", href="/", class_name="button button-primary")),
            time="404",
        )
    )


def sorry() -> rx.Component:
    """The page for a request that failed on our side; a template, for the id by which its log line is found."""
    return shell(
        lone(
            rx.el.h1("That did not add up, and it is our doing.", class_name="title"),
            rx.el.p("We have a note of it. What was said to be saved is saved; please try again.", class_name="lede"),
            rx.el.p(link("To the start", href="/", class_name="button button-primary")),
            rx.el.p("Should you write to us about it, this finds the note: ", slot("request"), class_name="fine-print"),
            time="500",
        )
    )


PAGES = [
    page(sorry, "/templates/sorry", "Our doing · Sigma", "Something went wrong on our side.", indexed=False),
    page(
        privacy,
        "/privacy",
        "Privacy · Sigma",
        "What Sigma keeps about people on its waitlist, why, and how to be removed.",
    ),
    page(terms, "/terms", "Terms · Sigma", "What joining Sigma's waitlist means, and what paying does."),
    *(
        # Reflex exports its 404 route as an empty shell that needs JavaScript. The same page at an address of its own
        # is prerendered, and frontend/build.py puts that in the shell's place.
        page(not_found, route, "Nothing here · Sigma", "There is no page at this address.", indexed=False)
        for route in ("404", "/not-found")
    ),
]
