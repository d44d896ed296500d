"""The key that links are made with: the same in all servers and workers of one Sigma, and in none of its tables.

It follows from the password in DATABASE_URL, as the login's own does (core/login.py), so there is nothing to set and
nothing to copy. Where the database asks for no password, as the embedded one, it is a file in the data directory, made
at the first need. Another key breaks no link in a mail that was sent, only six-digit codes that are not typed yet.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from functools import cache

from cryptography.fernet import Fernet

from sigma_app.core.connecting import parse
from sigma_app.core.kept import kept
from sigma_app.core.links import Links
from sigma_app.embedded.supabase import keys
from sigma_app.gateways.database import owner_url
from sigma_app.settings import Settings, get_settings

FILE = "links.key"
_BYTES = 32


@cache
def get_links() -> Links:
    """What this process makes links with."""
    return Links(_key())


def seal(text: str) -> str:
    """`text` as only this Sigma can read it (Fernet): an address, say, in a job that stays in the queue if it fails."""
    return sealer("seals").encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """What was sealed.

    Raises:
        cryptography.fernet.InvalidToken: with another key.
    """
    return sealer("seals").decrypt(sealed.encode()).decode()


@cache
def sealer(purpose: str) -> Fernet:
    """What seals for one purpose, and opens nothing that was sealed for another."""
    return Fernet(urlsafe_b64encode(hmac.new(_key(), f"sigma {purpose}".encode(), hashlib.sha256).digest()))


def missing_key_files(settings: Settings) -> list[str]:
    """The files with keys that the data directory lacks, by name, the stand-in's too: a start makes new ones."""
    needed = [*([] if settings.is_hosted("auth") else [keys.FILE]), *([] if _password(settings) else [FILE])]
    return [name for name in needed if not (settings.data_dir / name).exists()]


@cache
def _key() -> bytes:
    settings = get_settings()
    if password := _password(settings):
        return hmac.new(password.encode(), b"sigma links", hashlib.sha256).digest()
    return kept(settings.data_dir / FILE, lambda: secrets.token_bytes(_BYTES))


def _password(settings: Settings) -> str:
    return str(parse(owner_url(settings)).get("password") or "")
