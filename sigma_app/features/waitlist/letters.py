"""The mails of the waitlist, in words. What they look like is ui/mail's affair.

None tells a number that may change until the mail goes out: a mail that is tried again has to be the same mail.
"""

from __future__ import annotations

from sigma_app.features.waitlist.line import PLACES_PER_REFERRAL
from sigma_app.ui.mail import Letter

_NOT_YOU = "It was not you? Then do nothing: without the button, nothing happens."


def confirm(link: str, code: str, code_page: str) -> Letter:
    """Asks a lead to confirm its address. Sent to whoever joins, agreed or not: it is how they agree."""
    return Letter(
        subject="Confirm your place in line",
        preheader="One button, and you are in line for Sigma.",
        heading="One button, then sleep.",
        paragraphs=[
            "You asked for a place on Sigma's waitlist. Confirm that this address is yours, and the place is, too.",
        ],
        action=("Confirm my place", link),
        code=code,
        notes=[
            f"The button and the code work once, for three days. The code goes here: {code_page}",
            _NOT_YOU,
        ],
    )


def place(link: str, unsubscribe: str) -> Letter:
    """The way to one's place in line; after confirming, and whenever a confirmed lead joins again."""
    return Letter(
        subject="Your place in line",
        preheader="Keep this mail: its button leads to your place, whenever you want to know.",
        heading="You are in line.",
        paragraphs=[
            "Your place has a page of its own. It tells how many are ahead of you, and has a link for your friends:"
            f" each one who confirms moves you up {PLACES_PER_REFERRAL} places.",
            "When your turn comes, we write.",
        ],
        action=("See my place", link),
        notes=["The button opens your place for whoever has it. It is better kept than forwarded."],
        unsubscribe=unsubscribe,
    )


def invite(link: str, expires: str, unsubscribe: str, *, reminder: bool) -> Letter:
    """The invitation that a place in line leads to, and the one reminder of it."""
    return Letter(
        subject="Still yours: your invitation to Sigma" if reminder else "Your turn: an invitation to Sigma",
        preheader=f"It is good until {expires}, and for this address only.",
        heading="Still your turn." if reminder else "It is your turn.",
        paragraphs=[
            "A week ago your turn came, and the invitation still waits for you. We will not ask a third time."
            if reminder
            else "You waited in line for Sigma, and your turn has come. This is your way in.",
        ],
        action=("See my invitation", link),
        notes=[f"The invitation works once, for this address only, until {expires}."],
        unsubscribe=unsubscribe,
    )


def erase(link: str) -> Letter:
    """Asks whether a lead really wants to be erased: whoever has the link to a place must not be able to end it."""
    return Letter(
        subject="Erase your entry?",
        preheader="One button, and we forget that you were here.",
        heading="Shall we forget you?",
        paragraphs=[
            "Somebody with the link to your place asked us to erase it. The button below leads to a page that does:"
            " your entry, your place, your consents and the mails we kept. It cannot be undone.",
        ],
        action=("Go on to erase it", link),
        notes=["The button works once, for a day.", _NOT_YOU],
    )
