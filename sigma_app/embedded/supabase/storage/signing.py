"""Tokens in addresses: who has one may do one thing with one object, until its time is over.

They are signed with a key of their own that follows from the project's secret, so none passes as an access token
anywhere, and no access token passes here. What each is for stands in its `scope`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any, Literal

import jwt

from sigma_app.embedded.supabase import tokens
from sigma_app.embedded.supabase.storage import errors
from sigma_app.embedded.supabase.storage.actor import words
from sigma_app.embedded.supabase.storage.names import Place

UPLOAD_SECONDS = 7200  # for which a signed upload can be begun; the documentation's two hours
_LAST_SECOND = (2**53 - 1) // 1000  # that JavaScript can count in milliseconds
Scope = Literal["download", "upload"]


class Signer:
    """Makes and reads the tokens of one project."""

    def __init__(self, secret: str):
        """Sign with what follows from the project's `secret`."""
        self._key = hmac.digest(secret.encode(), b"addresses of storage", hashlib.sha256).hex()

    def sign(self, place: Place, scope: Scope, seconds: int, **claims: Any) -> str:
        """A token for `place`, good for so many seconds.

        Raises:
            StorageError: that is longer than can be counted.
        """
        now = int(time.time())
        if now + seconds > _LAST_SECOND:
            raise errors.invalid_parameter("expiresIn")
        fixed = {"url": str(place), "scope": scope, "iat": now, "exp": now + seconds}
        return tokens.sign(claims | fixed, self._key)

    def read(self, token: str, place: Place, scope: Scope) -> dict[str, Any]:
        """The claims of a token.

        Raises:
            StorageError: it is none, is over, or is for something else.
        """
        try:
            claims = tokens.read(token, self._key)
        except jwt.InvalidTokenError as error:
            raise errors.invalid_jwt(words(error)) from None
        if claims.get("scope") != scope:
            raise errors.invalid_signature(f"Token is not scoped for {scope}")
        if claims.get("url") != str(place):
            raise errors.invalid_signature()
        return claims
