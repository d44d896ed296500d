"""What the service says of itself, and of what it does not serve."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from tests.api.auth.conftest import Here

pytestmark = pytest.mark.anyio


async def test_settings_say_how_people_sign_in(here: Here):
    answer = await here.ask("GET", "/settings")
    assert answer.status_code == 200
    told = answer.json()
    external = told.pop("external")
    assert [name for name, on in external.items() if on] == ["email"]
    assert {"phone", "anonymous_users", "google", "github", "apple", "azure", "linkedin_oidc"} <= set(external)
    assert told == {
        "disable_signup": False, "mailer_autoconfirm": False, "phone_autoconfirm": False, "sms_provider": "",
        "saml_enabled": False, "saml_private_key_next_configured": False, "passkeys_enabled": False,
    }  # fmt: skip


async def test_settings_follow_the_environment(here: Here):
    other = here.under(SIGMA_SIGNUP="invite", GOTRUE_MAILER_AUTOCONFIRM="true", GOTRUE_EXTERNAL_EMAIL_ENABLED="false")
    told = (await other.ask("GET", "/settings")).json()
    assert (told["disable_signup"], told["mailer_autoconfirm"], told["external"]["email"]) == (True, True, False)


async def test_health_names_the_server_it_stands_in_for(here: Here):
    answer = await here.ask("GET", "/health")
    assert answer.status_code == 200
    told = answer.json()
    assert told.pop("version").startswith("v2.")
    assert told == {"name": "GoTrue", "description": "GoTrue is a user registration and authentication API"}


async def test_anybody_may_read_that_there_is_no_public_key(here: Here):
    async with here.client() as stranger:
        answer = await stranger.get("http://localhost:3000/auth/v1/.well-known/jwks.json")
    assert (answer.status_code, answer.json()) == (200, {"keys": []})
    assert answer.headers["cache-control"] == "public, max-age=600"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("provider=google", "Unsupported provider: provider is not enabled"),
        ("provider=GitHub", "Unsupported provider: provider is not enabled"),
        ("provider=nobody", "Unsupported provider: Provider nobody could not be found"),
        ("", "Unsupported provider: Provider  could not be found"),
    ],
)
async def test_no_other_provider_is_asked(here: Here, query: str, message: str):
    async with here.client() as browser:
        answer = await browser.get(f"http://localhost:3000/auth/v1/authorize?{query}")
    assert answer.status_code == 400
    assert answer.json() == {"code": 400, "error_code": "validation_failed", "msg": message}


@pytest.mark.parametrize(
    ("state", "code"),
    [("", "bad_oauth_callback"), ("x", "bad_oauth_state"), ("5f8b6a1e-0000-4000-8000-000000000000", "bad_oauth_state")],
)
async def test_nobody_comes_back_from_one(here: Here, state: str, code: str):
    async with here.client() as browser:
        answer = await browser.get(f"http://localhost:3000/auth/v1/callback?state={state}")
    assert answer.status_code == 303
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (told["error"], told["error_code"]) == (["invalid_request"], [code])


FACTOR = "5f8b6a1e-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/sso", {"domain": "example.com"}, 404, "saml_provider_disabled"),
        ("GET", "/sso/saml/metadata", None, 404, "saml_provider_disabled"),
        ("GET", "/user/identities/authorize", None, 404, "manual_linking_disabled"),
        ("DELETE", f"/user/identities/{FACTOR}", None, 404, "manual_linking_disabled"),
        ("POST", "/factors", {"factor_type": "totp"}, 422, "mfa_totp_enroll_not_enabled"),
        ("POST", "/factors", {"factor_type": "phone"}, 422, "mfa_phone_enroll_not_enabled"),
        ("POST", "/factors", {"factor_type": "webauthn"}, 422, "mfa_webauthn_enroll_not_enabled"),
        ("POST", "/factors", {"factor_type": "x"}, 400, "validation_failed"),
        ("POST", "/factors", {}, 400, "validation_failed"),
        ("POST", f"/factors/{FACTOR}/challenge", {}, 404, "mfa_factor_not_found"),
        ("POST", f"/factors/{FACTOR}/verify", {}, 404, "mfa_factor_not_found"),
        ("DELETE", f"/factors/{FACTOR}", None, 404, "mfa_factor_not_found"),
        ("DELETE", "/factors/x", None, 404, "validation_failed"),
        ("GET", "/passkeys", None, 404, "passkey_disabled"),
        ("GET", "/oauth/userinfo", None, 404, "feature_disabled"),
    ],
)
async def test_what_is_switched_off_says_so(here: Here, method: str, path: str, body, status: int, code: str):
    alice = await here.member()
    answer = await here.ask(method, path, body, bearer=alice.access_token)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


async def test_factors_are_somebodys(here: Here):
    assert (await here.ask("POST", "/factors", {"factor_type": "totp"})).json()["error_code"] == "no_authorization"
    alice = await here.member()
    path = f"/admin/users/{alice.id}/factors/{FACTOR}"
    assert (await here.manage("DELETE", path)).json()["error_code"] == "mfa_factor_not_found"
    assert (await here.manage("DELETE", f"/admin/users/x/factors/{FACTOR}")).json()["error_code"] == "validation_failed"
    assert (await here.manage("GET", f"/admin/users/{uuid4()}/factors")).json()["error_code"] == "user_not_found"
