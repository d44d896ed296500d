"""What an e-mail address is, and in what words a person reads what is wrong with theirs.

email-validator judges. What people paste around an address is taken off before, and a refusal is explained after, by
the first mistake in `_mistakes` that is there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from disposable_email_domains import blocklist
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

_BLANK = " \t\r\n\f\v\u00a0\u2007\u202f\u3000" + "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"  # wide, and invisible
_NAMED = re.compile(r"[^<>@]*<([^<>]*)>")  # Ann <ann@example.com>
_LINK = re.compile(r"mailto:([^?]*)(\?.*)?", re.IGNORECASE | re.DOTALL)

_SIGNS_BEFORE_THE_AT = ".!#$%&'*+/=?^_`{|}~-"
_SIGNS_AFTER_THE_AT = ".-"
_LONGEST, _LONGEST_BEFORE_THE_AT, _LONGEST_LABEL = 254, 64, 63  # bytes (RFC 5321, RFC 1035)


class InvalidAddress(Exception):
    """The text is not an e-mail address; the message says why, in words for the person who typed it."""


@dataclass(frozen=True, slots=True)
class Address:
    """A valid e-mail address."""

    email: str
    """As it is stored: trimmed, Unicode in NFC, domain in lower case and Unicode, local part as typed."""
    domain: str
    """The domain in ASCII (IDNA 2008)."""

    @property
    def mailbox(self) -> str:
        """The mailbox it leads to, as far as it can be told, as `sigma.mailbox_of` has it: without a +tag, and at Gmail
        without dots."""
        local, _, domain = self.email.lower().rpartition("@")
        plain = local.partition("+")[0]
        if domain in ("gmail.com", "googlemail.com"):
            return f"{plain.replace('.', '')}@gmail.com"
        return f"{plain}@{domain}"

    @property
    def is_disposable(self) -> bool:
        """Whether the domain, or one above it, is on the public list of throw-away mail services."""
        labels = self.domain.split(".")
        return any(".".join(labels[start:]) in blocklist for start in range(len(labels) - 1))


def read_address(text: str, *, allow_test_domains: bool = False) -> Address:
    """The address that `text` is, or that it holds in a way with one reading, such as `Ann <ann@example.com>`.

    Args:
        text: what was typed.
        allow_test_domains: whether `.test` (RFC 6761) passes, as it should anywhere but in production.

    Raises:
        InvalidAddress: with a sentence for the person.
    """
    bare = _bare(text)
    try:
        checked = validate_email(
            bare,
            strict=True,  # the local part's 64 octets of RFC 5321
            check_deliverability=False,
            test_environment=allow_test_domains,
        )
    except EmailNotValidError:
        raise InvalidAddress(next(_mistakes(bare))) from None
    return Address(checked.normalized, checked.ascii_domain)


def address_in(text: str) -> str:
    """The address that `text` holds in a way with one reading, else `text` without what is copied along with one.

    >>> address_in(" Ann <ann@EXAMPLE.com>"), address_in("mailto:ann@localhost"), address_in("a@b.co, c@d.co")
    ('ann@example.com', 'ann@localhost', 'a@b.co, c@d.co')
    """
    try:
        return read_address(text, allow_test_domains=True).email
    except InvalidAddress:
        return _bare(text)


def _bare(text: str) -> str:
    """`text` without what is copied along with an address: blanks, a last comma, a name and brackets, `mailto:`."""
    text = _stripped(text)
    if named := _NAMED.fullmatch(text):
        text = _stripped(named[1])
    if link := _LINK.fullmatch(text):
        text = _stripped(unquote(link[1]))
    return text.replace("\uff20", "@")  # the @ of a Japanese or Chinese keyboard


def _stripped(text: str) -> str:
    return text.lstrip(_BLANK).rstrip(_BLANK + ".,;")


def _mistakes(text: str) -> Iterator[str]:
    """What is wrong with `text`, the plainest mistake first."""
    local, _, domain = text.rpartition("@")
    if not text:
        yield "Please type your e-mail address."
    if sum("@" in part for part in re.split(r"[\s,;]+", text)) > 1:
        yield "Please give one address only."
    if "@" not in text:
        yield "The @ is missing, as in you@example.com."
    if not local:
        yield "The part before the @ is missing."
    if not domain:
        yield "The part after the @ is missing."
    if text.count("@") > 1:
        yield "There is more than one @ in it."
    if re.search(r"\s", text):
        yield "There is a space in it. Please take it out."
    if not text.isprintable():
        yield "There is an invisible character in it. Please type the address by hand."
    if odd := _odd(local, _SIGNS_BEFORE_THE_AT):
        yield f"“{odd}” cannot stand before the @."
    if odd := _odd(domain, _SIGNS_AFTER_THE_AT):
        yield f"“{odd}” cannot stand after the @."
    if ".." in text:
        yield "There are two dots in a row."
    if local.startswith("."):
        yield "An address cannot begin with a dot."
    if local.endswith(".") or domain.startswith("."):
        yield "There is a dot right beside the @."
    _, dot, ending = domain.lower().rpartition(".")
    if not dot or ending.isdecimal():
        yield "The part after the @ has no ending, such as .com."
    if _too_long(text, local, domain):
        yield "That is longer than an address can be."
    if ending in SPECIAL_USE_DOMAIN_NAMES:
        yield f"No mail arrives at an address in .{ending}. Please give another."
    yield "That is no address that mail can go to. Please look at it again."


def _odd(text: str, signs: str) -> str:
    """The first character that is no letter, digit, mark upon one, or one of `signs`; "" if there is none."""
    return next((sign for sign in text if unicodedata.category(sign)[0] not in "LNM" and sign not in signs), "")


def _too_long(text: str, local: str, domain: str) -> bool:
    return (
        len(text.encode()) > _LONGEST
        or len(local.encode()) > _LONGEST_BEFORE_THE_AT
        or any(len(label) > _LONGEST_LABEL for label in domain.split("."))
    )
