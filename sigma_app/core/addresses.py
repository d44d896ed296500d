"""What is kept of a mail address that itself is not, by whoever still must not write to it: its digest."""

from __future__ import annotations

import hashlib
from typing import LiteralString


def address_digest(email: str) -> bytes:
    """The SHA-256 of an address in lower case, in UTF-8: 32 bytes."""
    return hashlib.sha256(email.lower().encode("utf-8", "surrogatepass")).digest()


def digest_of(address: LiteralString) -> LiteralString:
    """The same in SQL, of many addresses at once.

    Args:
        address: an expression of type text.
    """
    return f"sha256(convert_to(lower({address}), 'UTF8'))"
