"""GET and POST /verify: using what a mail brought, a link or a code, once."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import psycopg
from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth import flows, mails, one_time, sessions, users
from sigma_app.embedded.supabase.auth.addresses import plain_email, refuse_phone
from sigma_app.embedded.supabase.auth.bodies import Body, asked, read
from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.one_time import Kind
from sigma_app.embedded.supabase.auth.state import Auth, auth_of
from sigma_app.embedded.supabase.auth.users import Cursor, User

_KINDS: dict[str, tuple[Kind, ...]] = {
    "signup": ("confirmation_token",),
    "invite": ("confirmation_token",),
    "recovery": ("recovery_token",),
    "magiclink": ("recovery_token",),
    "email_change": ("email_change_token_current", "email_change_token_new"),
    "email": ("confirmation_token", "recovery_token"),
}
_ONE_OF_TWO = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
_LINK_IS_OVER = "Email link is invalid or has expired"
_CODE_IS_OVER = "Token has expired or is invalid"
_OAUTH_ERRORS = {
    400: "invalid_request",
    401: "unauthorized_client",
    403: "access_denied",
    500: "server_error",
    503: "temporarily_unavailable",
}


class Proof(Body):
    """What somebody says who has a mail."""

    type: str = ""
    token: str = ""
    token_hash: str = ""
    email: str = ""
    phone: str = ""
    redirect_to: str = ""


async def verify_link(request: Request) -> Response:
    """Lead whoever opened a mailed link back to where they came from, signed in or with what is wrong."""
    auth = auth_of(request)
    await auth.limits.check("verify", request)
    verifies, token_hash = asked(request, "type"), asked(request, "token")
    if not verifies:
        raise invalid("Verify requires a verification type")
    if not token_hash:
        raise invalid("Verify requires a token or a token hash")
    redirect_to = auth.redirects.choose(request)
    is_pkce = token_hash.startswith(mails.PKCE)
    try:
        async with get_database().cursor(AUTH) as cursor:
            user, verifies, kind = await _by_hash(auth, cursor, verifies, token_hash)
            if not await _accept(auth, cursor, user, kind):
                return _lead_back(redirect_to, {"message": _ONE_OF_TWO, "sb": ""}, in_query=is_pkce)
            if is_pkce:
                code = await flows.issue_code(cursor, user.id, "email/signup" if verifies == "signup" else verifies)
                return RedirectResponse(_with_query(redirect_to, {"code": code}), 303)
            response = await sessions.issue(auth, cursor, request, user.id, "otp")
    except AuthError as error:
        oauth = {"error": _OAUTH_ERRORS[error.status]} if error.status in _OAUTH_ERRORS else {}
        told = oauth | {"error_code": error.code, "error_description": error.message, "sb": ""}
        return _lead_back(redirect_to, told, in_query=is_pkce)
    told = {name: response[name] for name in ("access_token", "expires_at", "expires_in", "refresh_token")}
    told |= {"sb": "", "token_type": "bearer", "type": verifies}
    return RedirectResponse(f"{redirect_to}#{urlencode(told)}", 303)


async def verify_proof(request: Request) -> Response:
    """Answer with a session for the hash out of a link, or for a code and the address that it was sent to."""
    auth = auth_of(request)
    await auth.limits.check("verify", request)
    proof = await read(request, Proof)
    if not proof.type:
        raise invalid("Verify requires a verification type")
    if bool(proof.token) == bool(proof.token_hash):
        raise invalid("Verify requires either a token or a token hash")
    if proof.token_hash and (proof.email or proof.phone or proof.redirect_to):
        raise invalid("Only the token_hash and type should be provided")
    email = _address_of(proof) if proof.token else ""
    if email:
        await auth.limits.count_code(email)
    async with get_database().cursor(AUTH) as cursor:
        if proof.token:
            user, kind = await _by_code(auth, cursor, proof.type, email, proof.token)
            await auth.limits.forget_codes(email)
        else:
            user, _, kind = await _by_hash(auth, cursor, proof.type, proof.token_hash)
        if not await _accept(auth, cursor, user, kind):
            return JSONResponse({"code": "200", "msg": _ONE_OF_TWO})
        return JSONResponse(await sessions.issue(auth, cursor, request, user.id, "otp"))


def _address_of(proof: Proof) -> str:
    """Where the code was sent.

    Raises:
        AuthError: 400 for none or two, 422 for what is no address, 403 for a telephone, which was sent nothing.
    """
    if bool(proof.email) == bool(proof.phone):
        raise invalid("Only an email address or phone number should be provided on verify")
    if proof.phone:
        refuse_phone(proof.phone, _CODE_IS_OVER, code="otp_expired", status=403)
    try:
        return plain_email(proof.email)
    except AuthError:
        raise AuthError(422, "validation_failed", "Invalid email format") from None


async def _by_hash(auth: Auth, cursor: Cursor, verifies: str, token_hash: str) -> tuple[User, str, Kind]:
    """Whose hash this is, what it verifies (of which "email" leaves open which), and of which kind its token is."""
    if verifies not in _KINDS:
        raise invalid("Invalid email verification type")
    found = await one_time.find(cursor, token_hash, _KINDS[verifies])
    if found is None:
        raise AuthError(403, "otp_expired", _LINK_IS_OVER)
    user, kind = found
    _refuse_banned(user)
    if one_time.is_expired(auth, user, kind):
        raise AuthError(403, "otp_expired", _LINK_IS_OVER)
    if verifies == "email":
        verifies = "signup" if kind == "confirmation_token" else "magiclink"
    return user, verifies, kind


async def _by_code(auth: Auth, cursor: Cursor, verifies: str, email: str, code: str) -> tuple[User, Kind]:
    """Whose code this is, and of which kind its token is."""
    kinds = _KINDS.get(verifies, ())
    token_hash = mails.hash_of(auth.keys, email, code)
    if verifies == "email_change":  # the address may be one that nobody has yet
        found = await one_time.find(cursor, token_hash, kinds)
        found = found or await one_time.find(cursor, mails.PKCE + token_hash, kinds)
        user = found and found[0]
    else:
        user = await users.by_email(cursor, email, lock=True)
    if user is None:
        raise AuthError(403, "otp_expired", _CODE_IS_OVER)
    _refuse_banned(user)
    for kind in kinds:
        if one_time.is_valid(auth, user, kind, token_hash):
            return user, kind
    raise AuthError(403, "otp_expired", _CODE_IS_OVER)


def _refuse_banned(user: User) -> None:
    if user.is_banned:
        raise AuthError(403, "user_banned", "User is banned")


async def _accept(auth: Auth, cursor: Cursor, user: User, kind: Kind) -> bool:
    """Do what a token of a locked user is for, and use it up; False if its other half is still to come."""
    if kind == "confirmation_token":
        await one_time.confirm(cursor, user)
        await cursor.execute(
            "update auth.identities set identity_data = identity_data || %s where user_id = %s and email = %s",
            [Jsonb({"email_verified": True}), user.id, user.email],
        )
    elif kind == "recovery_token":
        if user.is_confirmed:
            await one_time.clear(cursor, user.id)
        else:
            await one_time.confirm(cursor, user)
    elif _has_another_half(auth, user):
        await one_time.clear(cursor, user.id, kind)
        await users.change(cursor, user.id, email_change_confirm_status=1)
        return False
    else:
        await _move(cursor, user)
    return True


def _has_another_half(auth: Auth, user: User) -> bool:
    settings = auth.settings
    needs_both = settings.auth_both_addresses and not settings.auth_autoconfirm and user.email != ""
    return needs_both and user.email_change_confirm_status == 0


async def _move(cursor: Cursor, user: User) -> None:
    """Give a user the address that they asked for."""
    email = user.email_change
    try:
        await users.set_identity_email(cursor, user.id, email, verified=True)
        await users.change(cursor, user.id, email=email, email_change="", email_change_confirm_status=0)
    except psycopg.errors.UniqueViolation:  # somebody else has it by now
        raise AuthError(422, "email_exists", users.EMAIL_TAKEN) from None
    if user.is_confirmed:
        await one_time.clear(cursor, user.id)
    else:
        await one_time.confirm(cursor, user)


def _lead_back(url: str, told: dict[str, Any], *, in_query: bool) -> Response:
    """To `url`, told something in its fragment, and for a flow in its query as well."""
    url = url.partition("#")[0]
    if in_query:
        url = _with_query(url, {name: value for name, value in told.items() if name != "sb"})
    return RedirectResponse(f"{url}#{urlencode(told)}", 303)


def _with_query(url: str, told: dict[str, str]) -> str:
    before, hash_, fragment = url.partition("#")
    path, _, query = before.partition("?")
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] not in told]
    return f"{path}?{urlencode(pairs + list(told.items()))}{hash_}{fragment}"
