"""Supabase Auth's HTTP API (supabase/auth, version 2.196), as far as e-mail and passwords go.

A module for each family of endpoints; what is below them: users, sessions, one_time (what mails bring), flows (PKCE),
sending, callers (who asks), bodies and errors.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Route

from sigma_app.embedded.supabase.auth import (
    about,
    admin,
    admin_list,
    errors,
    invitations,
    logout,
    mailing,
    signup,
    token,
    unserved,
    user,
    verify,
)
from sigma_app.embedded.supabase.auth.limits import Limits
from sigma_app.embedded.supabase.auth.passwords import Passwords
from sigma_app.embedded.supabase.auth.redirects import Redirects
from sigma_app.embedded.supabase.auth.state import Auth
from sigma_app.embedded.supabase.auth.unserved import Endpoint
from sigma_app.embedded.supabase.gate import Service
from sigma_app.embedded.supabase.keys import Keys
from sigma_app.settings import Settings

_NO_SSO = unserved.disabled("saml_provider_disabled", "SAML 2.0 is disabled")
_NO_OAUTH_SERVER = unserved.disabled("feature_disabled", "OAuth server is disabled")
_NO_PASSKEYS = unserved.disabled("passkey_disabled", "Passkeys are disabled")

_ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "/settings", about.settings),
    ("GET", "/health", about.health),
    ("GET", "/.well-known/jwks.json", about.jwks),
    ("POST", "/signup", signup.sign_up),
    ("POST", "/token", token.grant_token),
    ("POST", "/logout", logout.sign_out),
    ("GET", "/user", user.show_user),
    ("PUT", "/user", user.update_user),
    ("GET", "/verify", verify.verify_link),
    ("POST", "/verify", verify.verify_proof),
    ("POST", "/recover", mailing.recover),
    ("POST", "/otp", mailing.otp),
    ("POST", "/magiclink", mailing.magic_link),
    ("POST", "/resend", mailing.resend),
    ("GET", "/reauthenticate", mailing.reauthenticate),
    ("POST", "/invite", invitations.invite),
    ("POST", "/admin/generate_link", invitations.generate_link),
    ("GET", "/admin/users", admin_list.list_users),
    ("POST", "/admin/users", admin.create),
    ("GET", "/admin/users/{user_id}", admin.show),
    ("PUT", "/admin/users/{user_id}", admin.update),
    ("DELETE", "/admin/users/{user_id}", admin.delete),
    ("GET", "/admin/users/{user_id}/factors", unserved.list_factors),
    ("PUT", "/admin/users/{user_id}/factors/{factor_id}", unserved.unknown_factor_of_user),
    ("DELETE", "/admin/users/{user_id}/factors/{factor_id}", unserved.unknown_factor_of_user),
    ("GET", "/authorize", unserved.authorize),
    ("GET", "/callback", unserved.callback),
    ("POST", "/callback", unserved.callback),
    ("GET", "/user/identities/authorize", unserved.disabled_linking),
    ("DELETE", "/user/identities/{identity_id}", unserved.disabled_linking),
    ("POST", "/factors", unserved.enroll_factor),
    ("DELETE", "/factors/{factor_id}", unserved.unknown_factor),
    ("POST", "/factors/{factor_id}/challenge", unserved.unknown_factor),
    ("POST", "/factors/{factor_id}/verify", unserved.unknown_factor),
    ("POST", "/sso", _NO_SSO),
    ("GET", "/sso/saml/metadata", _NO_SSO),
    ("POST", "/sso/saml/acs", _NO_SSO),
    ("GET", "/passkeys", _NO_PASSKEYS),
    ("POST", "/passkeys/authentication/options", _NO_PASSKEYS),
    ("POST", "/passkeys/authentication/verify", _NO_PASSKEYS),
    ("GET", "/oauth/authorize", _NO_OAUTH_SERVER),
    ("POST", "/oauth/token", _NO_OAUTH_SERVER),
    ("GET", "/oauth/userinfo", _NO_OAUTH_SERVER),
    ("POST", "/oauth/clients/register", _NO_OAUTH_SERVER),
)


def service(settings: Settings, keys: Keys) -> Service:
    """The service, to be mounted."""
    app = Starlette(
        routes=[_Route(path, endpoint, method) for method, path, endpoint in _ENDPOINTS],
        exception_handlers=errors.HANDLERS,
    )
    app.router.redirect_slashes = False  # Go's router knows of no such thing
    app.state.auth = Auth(settings, keys, Passwords(settings), Redirects(settings), Limits(settings))
    return Service(
        app,
        # A mailed link opens in a bare browser.
        open_paths=("/verify", "/callback", "/authorize", "/.well-known/jwks.json"),
        exposed_headers=("X-Total-Count", "Link", "X-Supabase-Api-Version"),
    )


class _Route(Route):
    """A path under one method: HEAD is none of its own, so that nothing but opening a link uses it up."""

    def __init__(self, path: str, endpoint: Endpoint, method: str):
        super().__init__(path, endpoint, methods=[method])
        self.methods = {method}
