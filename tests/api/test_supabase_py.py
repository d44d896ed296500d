"""The real `supabase` client for Python, async and sync, against the embedded Supabase in a process of its own."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from postgrest.exceptions import APIError
from storage3.exceptions import StorageApiError
from supabase import AsyncClientOptions, acreate_client, create_client
from supabase.lib.client_options import SyncClientOptions
from supabase_auth.errors import AuthApiError, AuthInvalidCredentialsError, AuthWeakPasswordError

from tests.sigma import Supabase

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
PIXEL = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
WAIT_SECONDS = 20

Connect = Callable[..., Awaitable[Any]]
"""Makes a client: of a visitor, or `as_service=True`; options by their names."""


async def done(answer: Any) -> Any:
    """What a call of either client gives."""
    return await answer if inspect.isawaitable(answer) else answer


@pytest.fixture(params=["async", "sync"])
async def connect(request: pytest.FixtureRequest, served: Supabase) -> AsyncIterator[Connect]:
    there = served.assignments
    url = there["VITE_SUPABASE_URL"]
    opened: list[httpx.Client | httpx.AsyncClient] = []

    async def make(*, as_service: bool = False, **options: Any) -> Any:
        key = there["SUPABASE_SERVICE_ROLE_KEY" if as_service else "VITE_SUPABASE_ANON_KEY"]
        # One client of ours for all parts: left to themselves they warn of each other.
        connections = httpx.AsyncClient() if request.param == "async" else httpx.Client()
        opened.append(connections)
        if isinstance(connections, httpx.AsyncClient):
            asked = AsyncClientOptions(httpx_client=connections, auto_refresh_token=False, **options)
            return await acreate_client(url, key, asked)
        return create_client(url, key, SyncClientOptions(httpx_client=connections, auto_refresh_token=False, **options))

    yield make
    for connections in opened:
        await done(connections.aclose() if isinstance(connections, httpx.AsyncClient) else connections.close())


def address(name: str) -> str:
    return f"{name}-{uuid4()}@example.com"


async def person(connect: Connect, name: str) -> tuple[Any, Any]:
    """Somebody with a verified address: a client that they are signed in with, and their user."""
    service = await connect(as_service=True)
    email = address(name)
    made = {"email": email, "password": PASSWORD, "email_confirm": True}
    user = (await done(service.auth.admin.create_user(made))).user
    client = await connect()
    await done(client.auth.sign_in_with_password({"email": email, "password": PASSWORD}))
    return client, user


def mail(served: Supabase, to: str) -> tuple[str, str]:
    """The link and the code of the newest mail to an address, once it came."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        for one in httpx.get(f"{served.base_url}/dev/mailbox.json").json():
            if one["to"] == to:
                link = re.search(r"https?://\S+/verify\?\S+", one["text"])
                code = re.search(r"\b\d{6}\b", one["text"])
                assert link is not None
                assert code is not None
                return link[0], code[0]
        assert time.monotonic() < deadline, "no mail came"
        time.sleep(0.05)


def led_to(link: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """What the query and the fragment say of the place that a mailed link leads to."""
    place = urlsplit(httpx.get(link).headers["location"])
    return parse_qs(place.query), parse_qs(place.fragment)


def get(link: str) -> httpx.Response:
    return httpx.get(link)


async def test_sign_up_is_confirmed_by_the_mailed_code(connect: Connect, served: Supabase):
    client = await connect()
    email = address("sign-up")
    answer = await done(
        client.auth.sign_up({"email": email, "password": PASSWORD, "options": {"data": {"name": "Ann"}}})
    )
    assert (answer.session, answer.user.email, answer.user.user_metadata["name"]) == (None, email, "Ann")
    with pytest.raises(AuthApiError) as early:
        await done(client.auth.sign_in_with_password({"email": email, "password": PASSWORD}))
    assert early.value.code == "email_not_confirmed"
    _, code = mail(served, email)
    verified = await done(client.auth.verify_otp({"email": email, "token": code, "type": "email"}))
    assert verified.session.user.email_confirmed_at is not None


async def test_a_weak_password_is_refused_with_its_reasons(connect: Connect):
    with pytest.raises(AuthWeakPasswordError) as weak:
        await done((await connect()).auth.sign_up({"email": address("weak"), "password": "abc"}))
    assert weak.value.reasons == ["length"]


async def test_a_wrong_password_says_no_more_than_an_unknown_address(connect: Connect):
    _, user = await person(connect, "wrong")
    client = await connect()
    for email in (user.email, address("nobody")):
        with pytest.raises((AuthApiError, AuthInvalidCredentialsError)) as refused:
            await done(client.auth.sign_in_with_password({"email": email, "password": "not the password"}))
        assert str(refused.value) == "Invalid login credentials"


async def test_a_session_is_refreshed_and_ended(connect: Connect):
    client, user = await person(connect, "session")
    first = await done(client.auth.get_session())
    second = (await done(client.auth.refresh_session())).session
    assert second.refresh_token != first.refresh_token
    assert (await done(client.auth.get_user())).user.id == user.id
    claims = (await done(client.auth.get_claims()))["claims"]
    assert (claims["sub"], claims["role"], claims["aud"]) == (user.id, "authenticated", "authenticated")
    await done(client.auth.sign_out())
    assert await done(client.auth.get_session()) is None
    with pytest.raises(AuthApiError) as gone:
        await done((await connect()).auth.get_user(second.access_token))
    assert gone.value.code == "session_not_found"


async def test_a_forgotten_password_is_replaced_by_the_mailed_link(connect: Connect, served: Supabase):
    _, user = await person(connect, "forgot")
    client = await connect(flow_type="implicit")
    await done(client.auth.reset_password_for_email(user.email))
    link, _ = mail(served, user.email)
    _, led = led_to(link)
    await done(client.auth.set_session(led["access_token"][0], led["refresh_token"][0]))
    await done(client.auth.update_user({"password": "a better password"}))
    signed_in = await done(
        (await connect()).auth.sign_in_with_password({"email": user.email, "password": "a better password"})
    )
    assert signed_in.user.id == user.id


async def test_a_pkce_recovery_ends_where_it_began(connect: Connect, served: Supabase):
    _, user = await person(connect, "pkce")
    client = await connect(flow_type="pkce")
    await done(client.auth.reset_password_for_email(user.email))
    link, _ = mail(served, user.email)
    led, _ = led_to(link)
    answer = await done(client.auth.exchange_code_for_session({"auth_code": led["code"][0]}))
    assert answer.session.user.id == user.id


async def test_the_administrator_lists_changes_and_removes(connect: Connect):
    admin = (await connect(as_service=True)).auth.admin
    _, user = await person(connect, "admin")
    assert user.id in [one.id for one in await done(admin.list_users(page=1, per_page=50))]
    changed = await done(admin.update_user_by_id(user.id, {"app_metadata": {"plan": "pro"}}))
    assert changed.user.app_metadata["plan"] == "pro"
    link = await done(admin.generate_link({"type": "magiclink", "email": user.email}))
    verified = await done(
        (await connect()).auth.verify_otp({"token_hash": link.properties.hashed_token, "type": "magiclink"})
    )
    assert verified.user.id == user.id
    await done(admin.delete_user(user.id))
    with pytest.raises(AuthApiError) as gone:
        await done(admin.get_user_by_id(user.id))
    assert gone.value.code == "user_not_found"


async def test_a_visitor_joins_once_and_reads_nobody(connect: Connect):
    client, service = await connect(), await connect(as_service=True)
    email = address("joins")
    await done(client.table("leads").insert({"email": email}, returning="minimal").execute())
    with pytest.raises(APIError) as twice:
        await done(client.table("leads").insert({"email": email.upper()}, returning="minimal").execute())
    assert twice.value.code == "23505"
    with pytest.raises(APIError) as told:
        await done(client.table("leads").insert({"email": address("told")}).execute())
    assert told.value.code == "42501"
    found = await done(service.table("leads").select("email", count="exact").eq("email", email).execute())
    assert (found.data, found.count) == ([{"email": email}], 1)


async def test_somebody_signed_in_changes_their_own_profile_alone(connect: Connect):
    client, user = await person(connect, "alice")
    _, other = await person(connect, "bob")
    rows = (await done(client.table("profiles").select("id, email").execute())).data
    assert rows == [{"id": user.id, "email": user.email}]
    saved = await done(client.table("profiles").update({"name": "Alice"}).eq("id", user.id).execute())
    assert [row["name"] for row in saved.data] == ["Alice"]
    theirs = await done(client.table("profiles").update({"name": "Eve"}).eq("id", other.id).execute())
    assert theirs.data == []
    with pytest.raises(APIError) as paid:
        await done(client.table("profiles").update({"has_access": True}).eq("id", user.id).execute())
    assert paid.value.code == "42501"
    one = await done(client.table("profiles").select("name").eq("id", user.id).single().execute())
    assert one.data == {"name": "Alice"}
    assert await done(client.table("profiles").select("*").eq("id", other.id).maybe_single().execute()) is None


async def test_the_service_filters_orders_pages_and_counts(connect: Connect):
    service = await connect(as_service=True)
    mark = str(uuid4())
    leads = [{"email": address(f"page-{n}"), "utm_source": mark, "utm_term": str(n)} for n in range(5)]
    await done(service.table("leads").insert(leads).execute())
    mine = service.table("leads").select("utm_term", count="exact").eq("utm_source", mark)
    page = await done(mine.order("utm_term", desc=True).range(1, 2).execute())
    assert ([row["utm_term"] for row in page.data], page.count) == (["3", "2"], 5)
    either = service.table("leads").select("utm_term").eq("utm_source", mark).or_("utm_term.eq.0,utm_term.gte.4")
    assert len((await done(either.execute())).data) == 2
    upserted = service.table("leads").upsert({"id": str(uuid4()), "email": address("upsert"), "utm_source": mark})
    assert len((await done(upserted.execute())).data) == 1
    removed = await done(service.table("leads").delete().eq("utm_source", mark).execute())
    assert len(removed.data) == 6
    assert isinstance((await done(service.rpc("founder_count").execute())).data, int)


async def test_files_are_kept_listed_moved_shared_and_removed(connect: Connect):
    service = await connect(as_service=True)
    bucket = f"bucket-{uuid4()}"
    await done(service.storage.create_bucket(bucket, options={"public": True}))
    files = service.storage.from_(bucket)
    await done(files.upload("a/one.png", PIXEL, {"content-type": "image/png"}))
    with pytest.raises(StorageApiError) as twice:
        await done(files.upload("a/one.png", PIXEL, {"content-type": "image/png"}))
    assert str(twice.value.status) == "409"
    await done(files.upload("a/one.png", PIXEL + b"2", {"content-type": "image/png", "upsert": "true"}))
    assert await done(files.download("a/one.png")) == PIXEL + b"2"
    await done(files.copy("a/one.png", "b.png"))
    await done(files.move("b.png", "a/two.png"))
    assert [one["name"] for one in await done(files.list("a"))] == ["one.png", "two.png"]
    signed = (await done(files.create_signed_url("a/two.png", 60)))["signedURL"]
    assert get(signed).content == PIXEL + b"2"
    assert get(await done(files.get_public_url("a/two.png"))).headers["content-type"] == "image/png"
    ticket = await done(files.create_signed_upload_url("given.png"))
    guest = (await connect()).storage.from_(bucket)
    await done(guest.upload_to_signed_url("given.png", ticket["token"], PIXEL, {"content-type": "image/png"}))
    assert await done(files.exists("given.png"))
    assert (await done(files.info("given.png")))["size"] == len(PIXEL)
    with pytest.raises(StorageApiError):
        await done(guest.upload("mine.png", PIXEL))
    assert len(await done(files.remove(["a/one.png", "a/two.png", "given.png"]))) == 3
    await done(service.storage.delete_bucket(bucket))
