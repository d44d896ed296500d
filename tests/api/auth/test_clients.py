"""The official Python client, as it is, against the service: every method of its auth and its administration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import (
    AuthApiError,
    AuthInvalidCredentialsError,
    AuthSessionMissingError,
    AuthWeakPasswordError,
)

from tests.api.auth.conftest import PASSWORD, Here, address
from tests.api.conftest import ORIGIN

pytestmark = pytest.mark.anyio

Connect = Callable[..., Awaitable[AsyncClient]]


@pytest.fixture
async def connect(here: Here) -> AsyncIterator[Connect]:
    """Makes clients, each with a session of its own: `connect()` a visitor's, `connect(here.keys.service_role)` a
    server's."""
    opened: list[httpx.AsyncClient] = []

    async def make(key: str = here.keys.anon, **options: str) -> AsyncClient:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(here.served))
        opened.append(http)
        given = AsyncClientOptions(httpx_client=http, auto_refresh_token=False, **options)  # pyright: ignore[reportArgumentType]
        return await acreate_client(ORIGIN, key, given)

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
async def visitor(connect: Connect) -> AsyncClient:
    return await connect()


@pytest.fixture
async def operator(here: Here, connect: Connect) -> AsyncClient:
    return await connect(here.keys.service_role)


async def test_somebody_signs_up_confirms_and_signs_in(here: Here, visitor: AsyncClient):
    email = address()
    made = await visitor.auth.sign_up({"email": email, "password": PASSWORD, "options": {"data": {"name": "Alice"}}})
    assert made.session is None
    assert made.user
    assert made.user.user_metadata["name"] == "Alice"
    assert made.user.identities
    with pytest.raises(AuthApiError) as refused:
        await visitor.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert refused.value.code == "email_not_confirmed"
    verified = await visitor.auth.verify_otp({"email": email, "token": here.pending(email).code, "type": "signup"})
    assert verified.session
    signed_in = await visitor.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert signed_in.user
    assert signed_in.user.email == email
    user = await visitor.auth.get_user()
    assert user
    assert user.user.id == made.user.id


async def test_a_known_address_looks_like_an_unknown_one(here: Here, visitor: AsyncClient):
    alice = await here.member()
    made = await visitor.auth.sign_up({"email": alice.email, "password": PASSWORD})
    assert made.user
    assert made.user.identities == []
    assert made.user.id != alice.id


async def test_errors_have_the_codes_that_clients_tell_them_by(here: Here, visitor: AsyncClient):
    with pytest.raises(AuthWeakPasswordError) as weak:
        await visitor.auth.sign_up({"email": address(), "password": "weak"})
    assert weak.value.reasons == ["length"]
    with pytest.raises(AuthApiError) as wrong:
        await visitor.auth.sign_in_with_password({"email": address("nobody"), "password": PASSWORD})
    assert (wrong.value.status, wrong.value.code) == (400, "invalid_credentials")
    with pytest.raises(AuthInvalidCredentialsError):
        await visitor.auth.sign_in_with_password({"password": PASSWORD})  # pyright: ignore[reportArgumentType]
    with pytest.raises(AuthSessionMissingError):
        await visitor.auth.update_user({"data": {}})


async def signed_in(here: Here, client: AsyncClient) -> str:
    alice = await here.member()
    await client.auth.sign_in_with_password({"email": alice.email, "password": PASSWORD})
    return alice.email


async def test_a_session_is_refreshed_and_set(here: Here, visitor: AsyncClient, connect: Connect):
    await signed_in(here, visitor)
    first = await visitor.auth.get_session()
    assert first
    second = (await visitor.auth.refresh_session()).session
    assert second
    assert second.refresh_token != first.refresh_token
    elsewhere = await connect()
    taken = await elsewhere.auth.set_session(second.access_token, second.refresh_token)
    assert taken.user
    assert taken.user.id == second.user.id


async def test_somebody_changes_themselves(here: Here, visitor: AsyncClient):
    email = await signed_in(here, visitor)
    changed = await visitor.auth.update_user({"data": {"name": "Alice"}})
    assert changed.user.user_metadata["name"] == "Alice"
    await visitor.auth.update_user({"password": "battery staple"})
    await visitor.auth.sign_in_with_password({"email": email, "password": "battery staple"})
    with pytest.raises(AuthApiError) as same:
        await visitor.auth.update_user({"password": "battery staple"})
    assert same.value.code == "same_password"
    new = address("new")
    moving = await visitor.auth.update_user({"email": new})
    assert (moving.user.email, moving.user.new_email) == (email, new)


async def test_signing_out_ends_the_session(here: Here, visitor: AsyncClient, connect: Connect):
    email = await signed_in(here, visitor)
    other = await connect()
    await other.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    await visitor.auth.sign_out({"scope": "others"})
    with pytest.raises(AuthApiError) as ended:
        await other.auth.get_user()
    assert ended.value.code == "session_not_found"
    session = await visitor.auth.get_session()
    assert session
    await visitor.auth.sign_out()
    assert await visitor.auth.get_session() is None
    assert (await here.refresh(session.refresh_token)).json()["error_code"] == "refresh_token_not_found"


async def test_somebody_signs_in_by_mail(here: Here, visitor: AsyncClient):
    alice = await here.member()
    await visitor.auth.sign_in_with_otp({"email": alice.email, "options": {"should_create_user": False}})
    code = here.pending(alice.email, "recovery_token").code
    answer = await visitor.auth.verify_otp({"email": alice.email, "token": code, "type": "email"})
    assert answer.user
    assert answer.user.id == alice.id


async def test_somebody_recovers_their_account_with_pkce(here: Here, connect: Connect):
    alice = await here.member()
    client = await connect(flow_type="pkce")
    await client.auth.reset_password_for_email(alice.email)
    token = here.pending(alice.email, "recovery_token")
    async with here.client() as browser:
        led = await browser.get(f"{ORIGIN}/auth/v1/verify?token={token.hash}&type=recovery")
    code = parse_qs(urlsplit(led.headers["location"]).query)["code"][0]
    answer = await client.auth.exchange_code_for_session({"auth_code": code})  # pyright: ignore[reportArgumentType]
    assert answer.user
    assert answer.user.id == alice.id


async def test_a_mail_is_asked_for_again(here: Here, visitor: AsyncClient):
    email = await here.newcomer()
    here.change(email, "confirmation_sent_at = now() - interval '61 seconds'")
    await visitor.auth.resend({"type": "signup", "email": email})
    with pytest.raises(AuthApiError) as soon:
        await visitor.auth.resend({"type": "signup", "email": email})
    assert soon.value.code == "over_email_send_rate_limit"


async def test_a_nonce_is_mailed(here: Here, visitor: AsyncClient):
    email = await signed_in(here, visitor)
    await visitor.auth.reauthenticate()
    assert here.pending(email, "reauthentication_token").code


async def test_claims_are_read(here: Here, visitor: AsyncClient):
    email = await signed_in(here, visitor)
    answer = await visitor.auth.get_claims()
    assert answer
    assert answer["claims"].get("email") == email


async def test_what_is_not_served_is_refused(here: Here, visitor: AsyncClient):
    with pytest.raises(AuthApiError) as anonymous:
        await visitor.auth.sign_in_anonymously()
    assert anonymous.value.code == "anonymous_provider_disabled"
    with pytest.raises(AuthApiError) as phone:
        await visitor.auth.sign_in_with_otp({"phone": "+15551234567"})
    assert phone.value.code == "phone_provider_disabled"
    with pytest.raises(AuthApiError) as sso:
        await visitor.auth.sign_in_with_sso({"domain": "example.com"})
    assert sso.value.code == "saml_provider_disabled"
    await signed_in(here, visitor)
    with pytest.raises(AuthApiError) as factor:
        await visitor.auth.mfa.enroll({"factor_type": "totp"})
    assert factor.value.code == "mfa_totp_enroll_not_enabled"


async def test_a_server_manages_users(here: Here, operator: AsyncClient):
    admin, email = operator.auth.admin, address()
    made = await admin.create_user({"email": email, "password": PASSWORD, "email_confirm": True})
    assert made.user.email_confirmed_at
    assert (await admin.get_user_by_id(made.user.id)).user.email == email
    changes = {"user_metadata": {"a": 1}, "app_metadata": {"b": 2}, "ban_duration": "1h"}
    changed = await admin.update_user_by_id(made.user.id, changes)  # pyright: ignore[reportArgumentType]
    assert (changed.user.user_metadata["a"], changed.user.app_metadata["b"]) == (1, 2)
    assert made.user.id in [user.id for user in await admin.list_users(page=1, per_page=1000)]
    await admin.delete_user(made.user.id)
    with pytest.raises(AuthApiError) as gone:
        await admin.get_user_by_id(made.user.id)
    assert gone.value.code == "user_not_found"
    with pytest.raises(AuthApiError) as twice:
        await admin.create_user({"email": (await here.member()).email})
    assert twice.value.code == "email_exists"


async def test_a_server_asks_somebody_in(here: Here, operator: AsyncClient, visitor: AsyncClient):
    email = address()
    invited = await operator.auth.admin.invite_user_by_email(email, {"data": {"name": "Alice"}})
    assert invited.user.invited_at
    proof = {"token_hash": here.pending(email).hash, "type": "invite"}
    accepted = await visitor.auth.verify_otp(proof)  # pyright: ignore[reportArgumentType]
    assert accepted.user
    assert accepted.user.user_metadata == {"name": "Alice", "email_verified": True}


async def test_a_server_makes_a_link(here: Here, operator: AsyncClient, visitor: AsyncClient):
    alice = await here.member()
    made = await operator.auth.admin.generate_link({"type": "magiclink", "email": alice.email})
    assert made.user.id == alice.id
    assert made.properties.verification_type == "magiclink"
    proof = {"token_hash": made.properties.hashed_token, "type": "email"}
    answer = await visitor.auth.verify_otp(proof)  # pyright: ignore[reportArgumentType]
    assert answer.user
    assert answer.user.id == alice.id


async def test_a_server_signs_somebody_out(here: Here, operator: AsyncClient):
    alice = await here.member()
    await operator.auth.admin.sign_out(alice.access_token, "global")
    assert (await here.who(alice.access_token)).json()["error_code"] == "session_not_found"


async def test_a_user_is_no_administrator(here: Here, visitor: AsyncClient):
    with pytest.raises(AuthApiError) as refused:
        await visitor.auth.admin.list_users()
    assert (refused.value.status, refused.value.code) == (403, "not_admin")
