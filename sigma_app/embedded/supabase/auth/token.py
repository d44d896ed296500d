"""POST /token: a session for a password, for a refresh token, or for the code that ends a flow."""

from __future__ import annotations

import re

import psycopg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import flows, sessions, users
from sigma_app.embedded.supabase.auth.bodies import Body, asked, read
from sigma_app.embedded.supabase.auth.errors import AuthError, OAuthError, invalid
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.state import Auth, auth_of

_REFRESH_TOKEN = re.compile("[a-z0-9]{12}")


class PasswordGrant(Body):
    """What somebody says who has a password."""

    email: str = ""
    phone: str = ""
    password: str = ""


class RefreshGrant(Body):
    """What a client says that has a session."""

    refresh_token: str = ""


class PkceGrant(Body):
    """What a client says that ends a flow."""

    auth_code: str = ""
    code_verifier: str = ""


class IdTokenGrant(Body):
    """What a client says that has another provider's token."""

    id_token: str = ""
    provider: str = ""
    client_id: str = ""
    issuer: str = ""


async def grant_token(request: Request) -> Response:
    """Answer with a token response; `grant_type` of the query says for what."""
    auth = auth_of(request)
    grant = _GRANTS.get(asked(request, "grant_type"))
    if grant is None:
        raise AuthError(400, "invalid_credentials", "unsupported_grant_type")
    await auth.limits.check("token", request)
    return await grant(auth, request)


async def _by_password(auth: Auth, request: Request) -> Response:
    body = await read(request, PasswordGrant)
    if body.email and body.phone:
        raise invalid("Only an email address or phone number should be provided on login.")
    if body.phone:
        raise AuthError(422, "phone_provider_disabled", "Phone logins are disabled")
    if not body.email:
        raise invalid("missing email or phone")
    auth.require_email_provider(422)
    await auth.limits.count_password(body.email, request)
    async with get_database().cursor(AUTH) as cursor:
        user = await users.by_email(cursor, body.email)
    if user and user.encrypted_password and user.is_banned:
        raise AuthError(400, "user_banned", "User is banned")
    # The same work for somebody unknown: how long the answer takes says nothing of who has an account.
    if not await auth.passwords.matches(body.password, user and user.encrypted_password) or user is None:
        raise AuthError(400, "invalid_credentials", "Invalid login credentials")
    await auth.limits.forget_passwords(body.email, request)
    if not user.is_confirmed:
        raise AuthError(400, "email_not_confirmed", "Email not confirmed")
    async with get_database().cursor(AUTH) as cursor:
        now = await users.locked(cursor, user.id)  # they may have changed the password while this one was compared
        if now.encrypted_password != user.encrypted_password:
            raise AuthError(400, "invalid_credentials", "Invalid login credentials")
        if now.is_banned:
            raise AuthError(400, "user_banned", "User is banned")
        response = await sessions.issue(auth, cursor, request, user.id, "password")
    if reasons := auth.passwords.check_strength(body.password):
        response["weak_password"] = {"message": auth.passwords.explain(reasons), "reasons": reasons}
    return JSONResponse(response)


async def _by_refresh_token(auth: Auth, request: Request) -> Response:
    body = await read(request, RefreshGrant)
    if not _REFRESH_TOKEN.fullmatch(body.refresh_token):
        raise invalid("Refresh token is not valid")
    try:
        async with get_database().cursor(AUTH) as cursor:
            response = await sessions.refresh(auth, cursor, request, body.refresh_token)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        message = "Too many concurrent token refresh requests on the same session or refresh token"
        raise AuthError(409, "conflict", message) from None
    if response is None:
        raise AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
    return JSONResponse(response)


async def _by_code(auth: Auth, request: Request) -> Response:
    body = await read(request, PkceGrant)
    if not body.auth_code or not body.code_verifier:
        raise invalid("invalid request: both auth code and code verifier should be non-empty")
    async with get_database().cursor(AUTH) as cursor:
        user_id, method = await flows.finish(cursor, body.auth_code, body.code_verifier)
        user = await users.locked(cursor, user_id)
        if user.is_banned:
            raise AuthError(400, "user_banned", "User is banned")
        return JSONResponse(await sessions.issue(auth, cursor, request, user_id, method))


async def _by_id_token(_: Auth, request: Request) -> Response:
    body = await read(request, IdTokenGrant)
    if not body.id_token:
        raise OAuthError("invalid request", "id_token required")
    if not body.provider and not (body.client_id and body.issuer):
        raise OAuthError("invalid request", "provider or client_id and issuer required")
    name = body.provider or body.issuer
    raise AuthError(400, "provider_disabled", f'Provider (issuer "{name}") is not enabled')


async def _by_wallet(_: Auth, __: Request) -> Response:
    raise AuthError(422, "web3_provider_disabled", "Web3 provider is disabled")


_GRANTS = {
    "password": _by_password,
    "refresh_token": _by_refresh_token,
    "pkce": _by_code,
    "id_token": _by_id_token,
    "web3": _by_wallet,
}
