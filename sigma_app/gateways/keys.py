"""The key that links are made with: the same in all servers and workers of one Sigma, and in none of its tables.

It follows from the password in DATABASE_URL, as the login's own does (core/login.py), so there is nothing to set and
nothing to copy. Where the database asks for no password, as the embedded one, it is a file in the data directory, made
at the first need. Another key breaks no link in a mail that was sent, only six-digit codes that are not typed yet.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cache

from sigma_app.core.connecting import parse
from sigma_app.core.kept import kept
from sigma_app.core.links import Links
from sigma_app.gateways.database import owner_url
from sigma_app.settings import get_settings

_BYTES = 32


@cache
def get_links() -> Links:
    """What this process makes links with."""
    settings = get_settings()
    password = parse(owner_url(settings)).get("password", "")
    if password:
        return Links(hmac.new(password.encode(), b"sigma links", hashlib.sha256).digest())
    return Links(kept(settings.data_dir / "links.key", lambda: secrets.token_bytes(_BYTES)))
