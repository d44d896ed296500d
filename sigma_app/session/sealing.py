"""Supabase's tokens as the database keeps them: sealed with a key that only the browser's cookie gives.

So neither a copy of the table nor who reads it can ask Supabase on anybody's behalf, and a session whose row is deleted
has lost its tokens for good.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet


def seal(cookie: str, access: str, refresh: str) -> bytes:
    """The two tokens, sealed (Fernet: AES-128-CBC with HMAC-SHA256)."""
    return _fernet(cookie).encrypt(json.dumps([access, refresh]).encode())


def unseal(cookie: str, sealed: bytes) -> tuple[str, str]:
    """Access and refresh token.

    Raises:
        cryptography.fernet.InvalidToken: sealed for another cookie.
    """
    access, refresh = json.loads(_fernet(cookie).decrypt(sealed))
    return access, refresh


def _fernet(cookie: str) -> Fernet:
    # The cookie is 256 random bits, so that one hash makes a key of it; its own words keep it from being the digest.
    return Fernet(urlsafe_b64encode(hashlib.sha256(b"sigma session tokens:" + cookie.encode()).digest()))
