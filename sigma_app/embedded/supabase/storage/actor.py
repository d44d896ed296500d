"""On whose behalf a request is: the role and the claims of its bearer token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

import jwt
from starlette.requests import Request

from sigma_app.core.database import ANONYMOUS, Actor
from sigma_app.embedded.supabase import tokens
from sigma_app.embedded.supabase.storage import errors


@dataclass(frozen=True)
class Asker:
    """Who asks, as the database and the rows know them."""

    actor: Actor
    owner_id: str | None = None
    """The token's subject, which what they make belongs to."""
    is_known: bool = True
    """Whether the token was one; who has none sees public buckets only."""

    @property
    def owner(self) -> UUID | None:
        """The same for the older column, which takes nothing but a UUID."""
        return as_owner(self.owner_id)


STRANGER = Asker(ANONYMOUS, is_known=False)


def asker(request: Request, secret: str) -> Asker:
    """Who sends `request`.

    Raises:
        StorageError: the token is none, or its time is over.
    """
    try:
        claims = tokens.read(_token(request), secret)
    except jwt.InvalidTokenError as error:
        raise errors.access_denied(words(error)) from None
    role = claims.get("role") or ANONYMOUS.role
    subject = claims.get("sub")
    if not isinstance(role, str) or "\0" in role:
        raise errors.access_denied("Access denied: Invalid role")
    is_subject = isinstance(subject, str) and "\0" not in subject
    return Asker(Actor(role, json.dumps(claims)), subject if is_subject else None)


def asker_or_stranger(request: Request, secret: str) -> Asker:
    """Who sends `request`, where a token that is none counts as no token."""
    try:
        return asker(request, secret)
    except errors.StorageError:
        return STRANGER


def as_owner(subject: str | None) -> UUID | None:
    """A token's subject as the column `owner` takes it."""
    try:
        return UUID(subject) if subject else None
    except ValueError:
        return None


def _token(request: Request) -> str:
    """What came behind "Bearer". Where the gate asks for no key it adds no token either: there the key counts as one.

    Raises:
        StorageError: nothing came.
    """
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return tokens.bearer(authorization) or authorization
    key = request.headers.get("apikey") or request.query_params.get("apikey")
    if not key:
        raise errors.invalid_request("headers must have required property 'authorization'", error="Error")
    return key


def words(error: jwt.InvalidTokenError) -> str:
    """What is wrong with a token, as the real server's library says it."""
    match error:
        case jwt.ExpiredSignatureError():
            return '"exp" claim timestamp check failed'
        case jwt.ImmatureSignatureError():
            return '"nbf" claim timestamp check failed'
        case jwt.InvalidSignatureError():
            return "signature verification failed"
        case jwt.DecodeError() if "crypto padding" in str(error):  # theirs reads such base64 all the same
            return "signature verification failed"
        case jwt.InvalidAlgorithmError():
            return '"alg" (Algorithm) Header Parameter value not allowed'
        case _:
            return "Invalid Compact JWS"
