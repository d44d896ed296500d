"""Whose request it is: the role and the claims of its bearer token (PostgREST's Auth/Jwt.hs)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import jwt

from sigma_app.core.database import ANONYMOUS as VISITOR
from sigma_app.core.database import Actor
from sigma_app.embedded.supabase import plain_json, tokens
from sigma_app.embedded.supabase.rest.errors import bad_token

ANONYMOUS_ROLE = VISITOR.role
SKEW_SECONDS = 30  # between the clocks of who signs and who reads; PostgREST's
_KEPT = 1000  # tokens; checking a signature and reading the claims takes 40 µs, most of a small request's own time


class Identity(Actor):
    """What a transaction runs as; `role` is among the claims."""

    @property
    def is_anonymous(self) -> bool:
        """Whether signing in could still help."""
        return self.role == ANONYMOUS_ROLE


ANONYMOUS = Identity(VISITOR.role, VISITOR.claims)


class Identities:
    """Reads tokens, and keeps what it read of the last ones."""

    def __init__(self, secret: str):
        """`secret` is what they are signed with."""
        self._secret = secret
        self._known: dict[str, tuple[Mapping[str, Any], Identity]] = {}

    def of(self, authorization: str | None) -> Identity:
        """Who an Authorization header says it is; without a bearer token, a visitor.

        Raises:
            Refusal: PGRST301, it is no token of ours; PGRST303, its claims are not to be accepted, or not now.
        """
        token = tokens.bearer(authorization)
        if token is None:
            return ANONYMOUS
        known = self._known.get(token)
        if known is None:
            known = self._read(token)
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]  # the one that came first
            self._known[token] = known
        claims, identity = known
        _check_times(claims)
        return identity

    def _read(self, token: str) -> tuple[Mapping[str, Any], Identity]:
        text = self._verified(token)
        try:
            claims = json.loads(text, parse_constant=plain_json.refuse_constant)
        except (ValueError, RecursionError):
            claims = None
        if not isinstance(claims, dict):
            raise bad_token("Parsing claims failed", claims=True)
        _check_times(claims)
        audience = claims.get("aud")
        if not isinstance(audience, str | None) and not _are_texts(audience):
            raise bad_token("The JWT 'aud' claim must be a string or an array of strings", claims=True)
        role = claims.get("role", ANONYMOUS_ROLE)
        role = role if isinstance(role, str) else json.dumps(role)
        return claims, Identity(role, json.dumps(claims | {"role": role}))

    def _verified(self, token: str) -> bytes:
        if not token:
            raise bad_token("Empty JWT is sent in Authorization header")
        parts = token.count(".") + 1
        if parts != 3:
            raise bad_token(f"Expected 3 parts in JWT; got {parts}")
        try:
            return jwt.api_jws.decode(token, self._secret, [tokens.ALGORITHM])
        except jwt.InvalidAlgorithmError:
            raise bad_token("Wrong or unsupported encoding algorithm") from None
        except jwt.InvalidSignatureError:
            details = "None of the keys was able to decode the JWT"
            raise bad_token("No suitable key or wrong key type", details=details) from None
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise bad_token("JWT cryptographic operation failed") from None


def _check_times(claims: Mapping[str, Any]) -> None:
    now = time.time()
    expires, begins, issued = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is not None and expires < now - SKEW_SECONDS:
        raise bad_token("JWT expired", claims=True)
    if begins is not None and begins > now + SKEW_SECONDS:
        raise bad_token("JWT not yet valid", claims=True)
    if issued is not None and issued > now + SKEW_SECONDS:
        raise bad_token("JWT issued at future", claims=True)


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise bad_token(f"The JWT '{name}' claim must be a number", claims=True)
    return value


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
