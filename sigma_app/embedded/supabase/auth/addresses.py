"""Which addresses of people are taken: e-mail by GoTrue's pattern, telephone never, since nothing here sends there."""

from __future__ import annotations

import re

from sigma_app.embedded.supabase.auth.errors import AuthError, invalid

_MOST_BYTES = 255
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL = re.compile(rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*")
_PHONE = re.compile("[1-9][0-9]{1,14}")  # E.164, after its plus


def plain_email(email: str) -> str:
    """An e-mail address as it is stored: in small letters, and otherwise as it was given.

    Raises:
        AuthError: 400, it is missing, too long, or none.
    """
    if not email:
        raise invalid("An email address is required")
    if len(email.encode()) > _MOST_BYTES:
        raise invalid("An email address is too long")
    if not _EMAIL.fullmatch(email):
        raise invalid("Unable to validate email address: invalid format")
    return email.lower()


def refuse_phone(phone: str, refusal: str, *, code: str = "phone_provider_disabled", status: int = 400) -> None:
    """Refuse a telephone number, if there is one: as malformed, or because nothing is sent there.

    Args:
        phone: as given; "" for none.
        refusal: what GoTrue says at this place when the provider is off.
        code: of that refusal.
        status: of that refusal.

    Raises:
        AuthError: 400 `validation_failed`, or the refusal.
    """
    if phone and not _PHONE.fullmatch(phone.removeprefix("+").replace(" ", "")):
        raise invalid("Invalid phone number format (E.164 required)")
    if phone:
        raise AuthError(status, code, refusal)
