"""What the service says of itself: /settings, /health, /.well-known/jwks.json."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sigma_app.embedded.supabase.auth.state import auth_of

VERSION = "v2.196.0"  # of supabase/auth, whose answers these are

PROVIDERS = (
    *("apple", "azure", "bitbucket", "discord", "facebook", "snapchat", "figma", "fly", "github", "gitlab", "google"),
    *("keycloak", "kakao", "linkedin", "linkedin_oidc", "notion", "spotify", "slack", "slack_oidc", "workos"),
    *("twitch", "twitter", "zoom"),
)
"""Whom GoTrue could ask who somebody is, and this never does."""


async def settings(request: Request) -> Response:
    """Answer with the ways in which people may sign in and up."""
    auth = auth_of(request)
    external = dict.fromkeys(("anonymous_users", *PROVIDERS, "phone"), False)
    return JSONResponse(
        {
            "external": external | {"email": auth.settings.auth_email},
            "disable_signup": auth.is_closed,
            "mailer_autoconfirm": auth.settings.auth_autoconfirm,
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
            "saml_private_key_next_configured": False,
            "passkeys_enabled": False,
        }
    )


async def health(_: Request) -> Response:
    """Answer with name and version."""
    description = "GoTrue is a user registration and authentication API"
    return JSONResponse({"version": VERSION, "name": "GoTrue", "description": description})


async def jwks(_: Request) -> Response:
    """Answer with the keys that anybody may verify tokens with: none, since HS256 has no public one."""
    return JSONResponse({"keys": []}, headers={"Cache-Control": "public, max-age=600"})
