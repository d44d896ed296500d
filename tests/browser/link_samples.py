"""Every state of the pages behind the links in our mails, with sample values: exactly those that their routes give."""

from __future__ import annotations

from typing import Any

import segno
from markupsafe import Markup

EMAIL = "ada.lovelace@example.com"
LONG_EMAIL = "maximiliane-von-und-zu-hohenzollern.sigmaringen@sehr-lange-unternehmensnamen.example.com"
SHARE_URL = "https://sigma.example/?ref=4f9a2c1e"

CONFIRM = {"email": EMAIL, "action": "/confirm/TOKEN", "again": "/confirm/TOKEN/again", "sent": False}
CODE = {"email": EMAIL, "message": "", "sent": False}
PLACE = {
    "place": 42,
    "ahead": 41,
    "waiting": 128,
    "referrals": 0,
    "places_per_referral": 5,
    "status": "confirmed",
    "email": EMAIL,
    "share_url": SHARE_URL,
    "share_links": {
        "mail": "mailto:?subject=Sigma&body=https%3A%2F%2Fsigma.example%2F%3Fref%3D4f9a2c1e",
        "whatsapp": "https://wa.me/?text=https%3A%2F%2Fsigma.example%2F%3Fref%3D4f9a2c1e",
        "linkedin": "https://www.linkedin.com/sharing/share-offsite/?url=https%3A%2F%2Fsigma.example",
        "x": "https://x.com/intent/post?text=Sigma&url=https%3A%2F%2Fsigma.example",
    },
    "qr": Markup(  # noqa: S704 - made here
        segno.make(SHARE_URL, error="m", micro=False)
        .svg_inline(border=2, light="#fff", omitsize=True, lineclass=None)
        .replace("<svg ", '<svg role="img" aria-label="QR code of your link" ', 1)
    ),
    "unsubscribe": "/unsubscribe/TOKEN",
    "erase": "/place/TOKEN/erase",
    "erasing": False,
}
UNSUBSCRIBE = {"email": EMAIL, "action": "/unsubscribe/TOKEN"}
ERASE = {"email": EMAIL, "action": "/erase/TOKEN"}
INVITATION = {"email": EMAIL, "expires": "22 December 2026", "token": "TOKEN"}
NOBODY = {"state": "unknown", "email": ""}
WRONG_CODE = (
    "That code does not fit this address, or its time is over. After five wrong tries a code works no more;"
    " the button in the mail still does."
)

SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "confirm-valid": ("confirm", CONFIRM | {"state": "valid"}),
    "confirm-valid-long": ("confirm", CONFIRM | {"state": "valid", "email": LONG_EMAIL}),
    "confirm-used": ("confirm", CONFIRM | {"state": "used"}),
    "confirm-expired": ("confirm", CONFIRM | {"state": "expired"}),
    "confirm-sent": ("confirm", CONFIRM | {"state": "expired", "sent": True}),
    "confirm-unknown": ("confirm", CONFIRM | NOBODY),
    "code": ("code", CODE | {"email": ""}),
    "code-refused": ("code", CODE | {"message": WRONG_CODE}),
    "code-sent": ("code", CODE | {"sent": True}),
    "place": ("place", PLACE),
    "place-first": ("place", PLACE | {"place": 1, "ahead": 0, "waiting": 1, "referrals": 1}),
    "place-second": (
        "place",
        PLACE | {"place": 2, "ahead": 1, "waiting": 3, "referrals": 12, "places_per_referral": 1},
    ),
    "place-large": (
        "place",
        PLACE | {"place": 123456, "ahead": 123455, "waiting": 250000, "email": LONG_EMAIL, "erasing": True},
    ),
    **{
        f"place-{status.replace(' ', '-')}": ("place", PLACE | {"place": None, "ahead": 0, "status": status})
        for status in ("invited", "signed up", "customer", "unsubscribed")
    },
    "unsubscribe-valid": ("unsubscribe", UNSUBSCRIBE | {"state": "valid"}),
    "unsubscribe-done": ("unsubscribe", UNSUBSCRIBE | {"state": "done", "email": LONG_EMAIL}),
    "unsubscribe-unknown": ("unsubscribe", UNSUBSCRIBE | NOBODY),
    "erase-valid": ("erase", ERASE | {"state": "valid"}),
    "erase-done": ("erase", ERASE | {"state": "done"}),
    "erase-expired": ("erase", ERASE | {"state": "expired"}),
    "erase-unknown": ("erase", ERASE | NOBODY),
    "invitation-valid": ("invitation", INVITATION | {"state": "valid"}),
    "invitation-used": ("invitation", INVITATION | {"state": "used"}),
    "invitation-expired": ("invitation", INVITATION | {"state": "expired"}),
    "invitation-unknown": ("invitation", INVITATION | NOBODY | {"expires": ""}),
}
