"""Links and codes that nobody can guess, and that nobody who reads the database can open.

Both follow from a key, which is not in the database, and from the id of their row, which is. So a mail that is written
again, because the worker died before it could say that it was sent, holds the same link as before, while the row holds
hashes alone.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from uuid import UUID

_TOKEN_BYTES = 24  # 192 bits: 32 characters in a link


class Links:
    """Makes the tokens and codes of one key."""

    def __init__(self, key: bytes):
        """Take the key: 32 random bytes, or what is as hard to guess."""
        self._key = key

    def token(self, link: UUID) -> str:
        """What a link's address ends with: 32 characters of the URL-safe alphabet (RFC 4648, 5)."""
        return urlsafe_b64encode(self._derive("token", str(link))[:_TOKEN_BYTES]).decode()

    def code(self, link: UUID, length: int = 6) -> str:
        """Digits that do what the link does, for those who read their mail on another device."""
        return f"{int.from_bytes(self._derive('code', str(link))[:8]) % 10**length:0{length}}"

    def code_digest(self, link: UUID, code: str) -> bytes:
        """What the database keeps of a code: under the key, because a million hashes are soon tried."""
        return self._derive("code digest", str(link), code)

    def _derive(self, *what: str) -> bytes:
        return hmac.new(self._key, ":".join(what).encode(), hashlib.sha256).digest()


def digest(token: str) -> bytes:
    """What the database keeps of a token: its SHA-256."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
