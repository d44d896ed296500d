"""The mails of accounts, in words. What they look like is ui/mail's affair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sigma_app.gateways.identity import AuthMail
from sigma_app.ui.mail import Letter

EARLIER_ADDRESS = (
    "If your account had another address before, it does not find what is kept under that one: a place in line, and "
    "for 90 days our record of mails to it. Reply to one of those mails to have it erased."
)
"""What deleting an account leaves."""
_YOURSELF = "It was you? Then there is nothing to do."


def letter(mail: AuthMail, seconds: int, portal_url: str) -> Letter:
    """The letter of one of auth's mails.

    Args:
        mail: whose link and code it brings.
        seconds: how long these work.
        portal_url: where the portal is, which has a page for the code.
    """
    words = _WORDS[mail.kind]
    works = "Either works, once," if mail.link else "The code works once,"
    return Letter(
        subject=words.subject,
        preheader=words.preheader,
        heading=words.heading,
        paragraphs=[*([_change(*mail.change)] if mail.change else []), *words.paragraphs],
        action=(words.button, mail.link) if mail.link else None,
        code=mail.code,
        notes=[
            f"{works} for {_in_words(seconds)}. Of several such mails, only the newest works.",
            *([f"The code goes here: {portal_url}/verify?type={_verifies(mail.kind)}"] if mail.link else []),
            words.not_you,
        ],
    )


def known_address(base_url: str) -> Letter:
    """To somebody with an account, whose address was typed for another one."""
    return Letter(
        subject="You have an account already",
        preheader="Somebody, probably you, wanted to use this address for another one.",
        heading="You have been here before.",
        paragraphs=[
            "Somebody, probably you, just wanted to use this address for a Sigma account. It has one already.",
            f"Forgot the password? Choose a new one: {base_url}/forgot",
        ],
        action=("Sign in", f"{base_url}/sign-in"),
        notes=["It was not you? Then do nothing. Nobody was told that you have an account."],
    )


def password_chosen(base_url: str) -> Letter:
    """To somebody whose account is minutes old, and has had no password before that counts."""
    return Letter(
        subject="Your password is set",
        preheader="Your account is open. This is the password that counts.",
        heading="The lock is yours.",
        paragraphs=[
            "Your Sigma account has the password that was chosen just now. If another one was typed at sign-up, in "
            "another browser, that one counts no more.",
            f"It was not you? Choose a new one at once: {base_url}/forgot",
        ],
        notes=[_YOURSELF],
    )


def password_changed(base_url: str) -> Letter:
    """To somebody whose account has another password from now on."""
    return Letter(
        subject="Your password was changed",
        preheader="Every other device is signed out. Was it you?",
        heading="The lock is new.",
        paragraphs=[
            "The password of your Sigma account was changed just now, and every other device signed out.",
            f"It was not you? Choose a new one at once: {base_url}/forgot",
        ],
        notes=[_YOURSELF],
    )


def data_downloaded(base_url: str) -> Letter:
    """To somebody whose data was downloaded from the portal."""
    return Letter(
        subject="Your data was downloaded",
        preheader="Everything that we hold about you, as a ZIP. Was it you?",
        heading="A copy of you is out.",
        paragraphs=[
            "Somebody who is signed in to your Sigma account just downloaded everything that we hold about you.",
            f"It was not you? Choose a new password at once, which signs every other device out: {base_url}/forgot",
        ],
        notes=[_YOURSELF],
    )


def farewell() -> Letter:
    """To somebody whose account is gone."""
    return Letter(
        subject="Your Sigma account is gone",
        preheader="Everything that we held under this address went with it.",
        heading="Nothing is left.",
        paragraphs=[
            "Your account is gone, and with it your profile, your picture, your place in line and your devices. A "
            "subscription, if you had one, has ended: nothing more is charged.",
            "This is the last you hear from us. Sleep well.",
        ],
        notes=[
            EARLIER_ADDRESS,
            "It was not you? Reply to this mail at once: somebody else was signed in to your account.",
        ],
    )


def _verifies(kind: str) -> str:
    """As what the code of a kind of mail is verified: both halves of a change of address as one."""
    return "email_change" if kind.startswith("email_change") else kind


def _change(before: str, after: str) -> str:
    if not before:
        return f"You asked for your Sigma account to have the address {after}."
    return f"You asked for your Sigma account to move from {before} to {after}."


@dataclass(frozen=True)
class _Words:
    subject: str
    preheader: str
    heading: str
    paragraphs: Sequence[str]
    not_you: str
    button: str = ""


_SOMEBODY_ELSE = "It was not you? Then somebody else is signed in to your account."
_WORDS = {
    "signup": _Words(
        subject="Confirm your address",
        preheader="One button, and your Sigma account is open.",
        heading="One button, and you are in.",
        paragraphs=["You made an account at Sigma. Confirm that this address is yours, and the account is, too."],
        button="Confirm my address",
        not_you="It was not you? Then do nothing, and give nobody the code: the account stays shut.",
    ),
    "recovery": _Words(
        subject="Choose a new password",
        preheader="You asked for a new password. This is the way to it.",
        heading="It happens to founders, too.",
        paragraphs=[
            "Somebody asked for a new password to your Sigma account. If it was you, the button lets you choose one."
        ],
        button="Choose a new password",
        not_you="It was not you? Then do nothing: your password stays what it is.",
    ),
    "magiclink": _Words(
        subject="Your way in to Sigma",
        preheader="One button, and you are signed in.",
        heading="No password needed.",
        paragraphs=["You asked to sign in to Sigma. The button does it, on the device that opens it."],
        button="Sign in",
        not_you="It was not you? Then do nothing, and give nobody the code: nobody gets in.",
    ),
    "invite": _Words(
        subject="You are invited to Sigma",
        preheader="There is an account for this address. Take it.",
        heading="Your account is waiting.",
        paragraphs=["We made you an account at Sigma, for this address. One button, and it is yours."],
        button="Take my account",
        not_you="You expected nothing of the kind? Then do nothing: an account that nobody takes stays shut.",
    ),
    "email_change_current": _Words(
        subject="Confirm your change of address",
        preheader="You asked for another address. This one has to agree.",
        heading="Moving out?",
        paragraphs=["It moves once both have agreed: this address here, and the other one by a mail of its own."],
        button="Confirm the change",
        not_you=f"{_SOMEBODY_ELSE} Leave the button alone, give nobody the code, and choose a new password.",
    ),
    "email_change_new": _Words(
        subject="Confirm your new address",
        preheader="Your account moves here once you agree.",
        heading="Moving in.",
        paragraphs=[
            "Confirm that this address is yours.",
            "If your old address got a mail as well, the account moves once both have agreed.",
        ],
        button="Confirm my new address",
        not_you="It was not you? Then do nothing, and give nobody the code: nothing moves here.",
    ),
    "reauthentication": _Words(
        subject="Your code",
        preheader="It says that it is you, before something that matters changes.",
        heading="Is it you?",
        paragraphs=["You are about to change something that matters, such as your password. This code says it is you."],
        not_you=f"{_SOMEBODY_ELSE} Give nobody the code, and choose a new password.",
    ),
}


def _in_words(seconds: int) -> str:
    """Such as "24 hours", in the largest unit of which it is a whole number, up to hours."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}" + ("" if seconds == size else "s")
    return f"{seconds} seconds"
