"""The Content-Security-Policy of a page (https://www.w3.org/TR/CSP3/): its own inline scripts by their hashes, what we
serve ourselves, and nothing else; so that markup which somebody smuggles in runs nothing and sends nothing anywhere.

Styles may stand in the page: React writes `style` attributes. A form may lead on to Stripe's pages, since browsers
judge where a posted form is redirected to as well.
"""

from __future__ import annotations

import base64
import hashlib
import re

_INLINE_SCRIPT = re.compile(r"<script(?P<attributes>(?: [^>]*)?)>(?P<code>.+?)</script>", re.DOTALL)
_STRIPE = "https://checkout.stripe.com https://billing.stripe.com"


def policy_of(page: str) -> str:
    """The policy of a finished page, given as its HTML."""
    scripts = " ".join(["'self'", *sorted(_inline_script_hashes(page))])
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",  # a QR code, and a picture that was chosen and not sent yet
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            f"form-action 'self' {_STRIPE}",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _inline_script_hashes(html: str) -> set[str]:
    """The Content-Security-Policy source expressions that allow exactly the inline scripts of `html` (CSP3, 2.3.1)."""
    return {
        "'sha256-" + base64.b64encode(hashlib.sha256(match["code"].encode()).digest()).decode() + "'"
        for match in _INLINE_SCRIPT.finditer(html)
        if "src=" not in match["attributes"]
    }
