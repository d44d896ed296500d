"""Whatever anybody sends to any endpoint: the answer is never our failure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.auth.conftest import AUTH, Here

pytestmark = pytest.mark.anyio

PATHS = (
    *("/settings", "/health", "/.well-known/jwks.json", "/signup", "/token", "/logout", "/user", "/verify", "/recover"),
    *(
        "/otp",
        "/magiclink",
        "/resend",
        "/reauthenticate",
        "/invite",
        "/admin/users",
        "/admin/generate_link",
        "/factors",
    ),
    *("/admin/users/{x}", "/admin/users/{id}", "/authorize", "/callback", "/sso", "/factors/{x}/verify", "/{x}"),
)
NAMES = (
    *("email", "phone", "password", "data", "type", "token", "token_hash", "refresh_token", "auth_code", "id", "aud"),
    *("code_verifier", "code_challenge", "code_challenge_method", "create_user", "channel", "new_email", "role"),
    *("user_metadata", "app_metadata", "ban_duration", "email_confirm", "should_soft_delete", "redirect_to", "nonce"),
    *("current_password", "password_hash", "id_token", "provider", "factor_type", "page", "per_page", "filter", "sort"),
    *("scope", "grant_type", "state"),
)
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet=st.characters(categories=("Cs", "Cc", "Lu"))),
    st.sampled_from(
        [
            *("a@b.co", "password", "refresh_token", "pkce", "signup", "recovery", "email_change", "email", "local"),
            *("\x00", "aaaaaaaaaaaa", "pkce_x", "s256", "a" * 43, "24h", "-1", "9" * 30, "x" * 300, "correct horse"),
            *("https://[::1", "http://localhost:3000", "//", "sigma://x", "%", "created_at asc", "2024-01-01"),
        ]
    ),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
BODIES = st.one_of(
    st.none(),
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(NAMES), st.one_of(TEXTS, TEXTS, JSON), max_size=5).map(
        lambda value: json.dumps(value).encode()
    ),
)
QUERIES = st.lists(st.tuples(st.sampled_from(NAMES), TEXTS), max_size=3)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("authorization", "redirect_to", "referer", "x-supabase-api-version", "content-type", "user-agent"),
            *("x-forwarded-for", "origin", "x-jwt-aud", "content-encoding"),
        ]
    ),
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
    max_size=3,
)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    path=st.sampled_from(PATHS),
    part=TEXTS,
    query=QUERIES,
    body=BODIES,
    headers=HEADERS,
    who=st.sampled_from(["visitor", "user", "administrator", "as the headers say"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_request_makes_a_failure_of_ours(
    here: Here, people: dict[str, Any], method: str, path: str, part: str, query, body, headers, who: str
):
    bearers = {"user": people["token"], "administrator": here.keys.service_role}
    given_headers = {"apikey": here.keys.anon} | headers
    if who in bearers:
        given_headers["authorization"] = f"Bearer {bearers[who]}"
    elif who == "visitor":
        given_headers.pop("authorization", None)
    path = path.format(x=quote(part.encode("utf-8", "replace"), safe="") or "x", id=people["id"])
    asked = urlencode([(name, value.encode("utf-8", "replace")) for name, value in query])
    async with here.client(**given_headers) as client:
        answer = await client.request(method, f"{AUTH}{path}?{asked}", content=body)
    assert answer.status_code < 500, (answer.status_code, answer.text)


@pytest.fixture(scope="module")
async def people(here: Here) -> dict[str, Any]:
    alice, bob = await here.member(), await here.member()
    return {"token": alice.access_token, "id": bob.id}
