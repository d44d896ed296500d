"""What GoTrue has and this does not, answered as GoTrue does where it is switched off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from sigma_app.core.database import get_database
from sigma_app.embedded.supabase.auth.about import PROVIDERS
from sigma_app.embedded.supabase.auth.admin import named_user
from sigma_app.embedded.supabase.auth.bodies import Body, asked, read
from sigma_app.embedded.supabase.auth.callers import caller_of, require_administrator, uuid_in
from sigma_app.embedded.supabase.auth.errors import AuthError, invalid
from sigma_app.embedded.supabase.auth.mails import AUTH
from sigma_app.embedded.supabase.auth.state import auth_of

Endpoint = Callable[[Request], Awaitable[Response]]

_FACTORS = {
    "totp": ("mfa_totp_enroll_not_enabled", "MFA enroll is disabled for TOTP"),
    "phone": ("mfa_phone_enroll_not_enabled", "MFA enroll is disabled for Phone"),
    "webauthn": ("mfa_webauthn_enroll_not_enabled", "MFA enroll is disabled for WebAuthn"),
}


class Factor(Body):
    """What somebody says who wants a second factor."""

    factor_type: str = ""


def disabled(code: str, message: str) -> Endpoint:
    """An endpoint of a part that is switched off."""

    async def refuse(_: Request) -> Response:
        raise AuthError(404, code, message)

    return refuse


async def disabled_linking(request: Request) -> Response:
    """Refuse to link an identity of somebody signed in."""
    await caller_of(request)
    raise AuthError(404, "manual_linking_disabled", "Manual linking is disabled")


async def authorize(request: Request) -> Response:
    """Refuse to ask another provider who somebody is."""
    provider = asked(request, "provider").lower()
    why = "provider is not enabled" if provider in PROVIDERS else f"Provider {provider[:100]} could not be found"
    raise invalid(f"Unsupported provider: {why}")


async def callback(request: Request) -> Response:
    """Lead whoever comes back from a provider, where nobody was sent to, to the site with what is wrong."""
    state = asked(request, "state")
    if not state:
        code, message = "bad_oauth_callback", "OAuth state parameter missing"
    elif uuid_in(state) is None:
        code, message = "bad_oauth_state", "OAuth state parameter is invalid"
    else:
        code, message = "bad_oauth_state", "OAuth state not found or expired"
    told = {"error": "invalid_request", "error_code": code, "error_description": message}
    return RedirectResponse(f"{auth_of(request).redirects.site_url}?{urlencode(told)}", 303)


async def enroll_factor(request: Request) -> Response:
    """Refuse a second factor."""
    await caller_of(request)
    body = await read(request, Factor)
    if body.factor_type not in _FACTORS:
        raise invalid("factor_type needs to be totp, phone, or webauthn")
    raise AuthError(422, *_FACTORS[body.factor_type])


async def unknown_factor(request: Request) -> Response:
    """Refuse what is done with a factor that nobody has."""
    await caller_of(request)
    raise _no_factor(request)


async def list_factors(request: Request) -> Response:
    """Answer with a user's factors: none."""
    await _require_user(request)
    return JSONResponse([])


async def unknown_factor_of_user(request: Request) -> Response:
    """The same for an administrator."""
    await _require_user(request)
    raise _no_factor(request)


async def _require_user(request: Request) -> None:
    await require_administrator(request)
    async with get_database().cursor(AUTH) as cursor:
        await named_user(request, cursor)


def _no_factor(request: Request) -> AuthError:
    if uuid_in(request.path_params["factor_id"]) is None:
        return AuthError(404, "validation_failed", "factor_id must be an UUID")
    return AuthError(404, "mfa_factor_not_found", "Factor not found")
