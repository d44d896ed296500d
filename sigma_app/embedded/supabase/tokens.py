"""Access tokens: JSON Web Tokens (RFC 7519), signed with HS256 and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

ALGORITHM = "HS256"


def sign(claims: Mapping[str, Any], secret: str) -> str:
    """A token with these claims."""
    return jwt.encode(dict(claims), secret, ALGORITHM)


def read(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token that was signed with `secret`, and whose time is now.

    Whom it is for (`aud`) is the reader's to judge.

    Args:
        token: as it stood behind "Bearer".
        secret: of `Keys`.

    Raises:
        jwt.ExpiredSignatureError, jwt.ImmatureSignatureError: its time is over, or has not come.
        jwt.InvalidTokenError: it is none, or signed in another way; all others are this one's subclasses.
    """
    try:
        return jwt.decode(token, secret, [ALGORITHM], options={"verify_aud": False, "verify_sub": False})
    except RecursionError:  # JSON that is nested too deeply
        raise jwt.DecodeError("Invalid header string") from None


def bearer(authorization: str | None) -> str | None:
    """What follows "Bearer", in any case, in an Authorization header; None where there is no such scheme."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
