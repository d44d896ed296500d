"""/admin/users: who may manage users, and what becomes of them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest

from tests.api.auth.conftest import PASSWORD, PASSWORD_HASH, Here, address

pytestmark = pytest.mark.anyio

ENDPOINTS = (
    ("GET", "/admin/users"),
    ("POST", "/admin/users"),
    ("GET", "/admin/users/{id}"),
    ("PUT", "/admin/users/{id}"),
    ("DELETE", "/admin/users/{id}"),
    ("POST", "/admin/generate_link"),
    ("POST", "/invite"),
    ("GET", "/admin/users/{id}/factors"),
)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
async def test_nobody_but_an_administrator_manages(here: Here, method: str, path: str):
    alice = await here.member()
    path = path.format(id=alice.id)
    for authorization, status, code in (
        ("", 401, "no_authorization"),
        (f"Bearer {here.keys.anon}", 403, "not_admin"),
        (f"Bearer {alice.access_token}", 403, "not_admin"),
        ("Bearer x", 403, "bad_jwt"),
    ):
        answer = await here.ask(method, path, {"email": "a@b.c"}, authorization=authorization)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert (await here.who(alice.access_token)).status_code == 200


async def test_a_user_whom_an_administrator_gave_a_role_manages_while_their_session_lives(here: Here):
    alice = await here.member()
    await here.manage("PUT", f"/admin/users/{alice.id}", {"role": " supabase_admin "})
    token = (await here.sign_in(alice.email)).json()["access_token"]
    assert (await here.ask("GET", "/admin/users", bearer=token)).status_code == 200
    await here.ask("POST", "/logout", bearer=token)
    answer = await here.ask("GET", "/admin/users", bearer=token)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "session_not_found")
    claims = {"role": "supabase_admin", "exp": time.time() + 60}
    sessionless = jwt.encode(claims, here.keys.secret, "HS256")
    assert (await here.ask("GET", "/admin/users", bearer=sessionless)).status_code == 200


async def test_a_user_is_made_as_described(here: Here):
    email = address()
    body = {
        "email": email.upper(), "password": PASSWORD, "email_confirm": True, "user_metadata": {"name": "Alice"},
        "app_metadata": {"plan": "pro"}, "role": "editor", "id": str(uuid4()), "ban_duration": "24h",
    }  # fmt: skip
    answer = await here.manage("POST", "/admin/users", body)
    assert answer.status_code == 200
    user = answer.json()
    assert (user["id"], user["email"], user["role"]) == (body["id"], email, "editor")
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"], "plan": "pro"}
    assert user["user_metadata"] == {"name": "Alice", "email_verified": True}
    assert user["email_confirmed_at"] == user["confirmed_at"]
    assert user["identities"][0]["identity_data"] == {
        "sub": user["id"], "email": email, "email_verified": False, "phone_verified": False
    }  # fmt: skip
    until = datetime.fromisoformat(user["banned_until"])
    assert abs(until - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=1)
    assert here.mails(email) == []
    assert here.row("select email from public.profiles where id = %s", user["id"])["email"] == email


async def test_a_user_needs_no_more_than_an_address(here: Here):
    email = address()
    user = (await here.manage("POST", "/admin/users", {"email": email})).json()
    assert user["user_metadata"] == {}
    assert (user["role"], user["aud"]) == ("authenticated", "authenticated")
    assert "email_confirmed_at" not in user
    assert (await here.sign_in(email, "")).json()["error_code"] == "invalid_credentials"


async def test_a_password_of_any_strength_or_its_hash_is_taken(here: Here):
    for given, password in (({"password": "x"}, "x"), ({"password_hash": PASSWORD_HASH}, PASSWORD)):
        email = address()
        await here.manage("POST", "/admin/users", {"email": email, "email_confirm": True} | given)
        assert (await here.sign_in(email, password)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "validation_failed"),
        ({"password": PASSWORD}, 400, "validation_failed"),
        ({"email": "bad"}, 400, "validation_failed"),
        ({"email": "x@example.com", "password": "x" * 73}, 400, "validation_failed"),
        ({"email": "x@example.com", "password": PASSWORD, "password_hash": PASSWORD_HASH}, 400, "validation_failed"),
        ({"email": "x@example.com", "password_hash": "plain"}, 400, "validation_failed"),
        ({"email": "x@example.com", "id": "x"}, 400, "validation_failed"),
        ({"email": "x@example.com", "id": "00000000-0000-0000-0000-000000000000"}, 400, "validation_failed"),
        ({"email": "x@example.com", "ban_duration": "soon"}, 400, "validation_failed"),
        ({"email": "x@example.com", "role": "x" * 256}, 400, "validation_failed"),
        ({"email": "x@example.com", "role": "\x00"}, 400, "validation_failed"),
        ({"email": "x@example.com", "aud": "x" * 256}, 400, "validation_failed"),
        ({"email": "x@example.com", "user_metadata": {"\x00": 1}}, 400, "validation_failed"),
        ({"phone": "+15551234567"}, 400, "phone_provider_disabled"),
        ({"phone": "bad"}, 400, "validation_failed"),
        ({"email": "x@example.com", "email_confirm": "yes"}, 400, "bad_json"),
        ({"email": "x@example.com", "user_metadata": []}, 400, "bad_json"),
    ],
)
async def test_who_cannot_be_is_not_made(here: Here, body: dict, status: int, code: str):
    answer = await here.manage("POST", "/admin/users", body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert here.rows("select from auth.users where email = 'x@example.com'") == []


async def test_nobody_is_made_twice(here: Here):
    alice = await here.member()
    by_email = await here.manage("POST", "/admin/users", {"email": alice.email.upper()})
    assert (by_email.status_code, by_email.json()["error_code"]) == (422, "email_exists")
    by_id = await here.manage("POST", "/admin/users", {"email": address(), "id": alice.id})
    assert (by_id.status_code, by_id.json()["error_code"]) == (422, "user_already_exists")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_user_is_named_by_an_id_that_exists(here: Here, method: str):
    for user_id, code in (("me", "validation_failed"), ("%00", "validation_failed"), (uuid4(), "user_not_found")):
        answer = await here.manage(method, f"/admin/users/{user_id}", {})
        assert (answer.status_code, answer.json()["error_code"]) == (404, code)


async def test_a_user_is_shown(here: Here):
    alice = await here.member()
    answer = await here.manage("GET", f"/admin/users/{alice.id}")
    assert answer.json() == (await here.who(alice.access_token)).json()
    assert (await here.manage("GET", f"/admin/users/{alice.id}/factors")).json() == []


async def test_metadata_is_merged_and_null_takes_a_key_away(here: Here):
    alice = await here.member(user_metadata={"a": 1, "b": 2}, app_metadata={"c": 3, "d": 4})
    body = {"user_metadata": {"a": None, "e": 5}, "app_metadata": {"c": None, "f": [6]}}
    user = (await here.manage("PUT", f"/admin/users/{alice.id}", body)).json()
    assert user["user_metadata"] == {"b": 2, "e": 5, "email_verified": True}
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"], "d": 4, "f": [6]}
    assert (await here.manage("PUT", f"/admin/users/{alice.id}", {})).json()["user_metadata"] == user["user_metadata"]


async def test_an_address_changes_at_once(here: Here):
    alice, new = await here.member(), address("new")
    await here.ask("POST", "/recover", {"email": alice.email})
    mailed = here.pending(alice.email, "recovery_token")
    user = (await here.manage("PUT", f"/admin/users/{alice.id}", {"email": new.upper()})).json()
    assert (user["email"], user["identities"][0]["email"]) == (new, new)
    assert user["email_confirmed_at"]
    assert "new_email" not in user
    assert (await here.sign_in(new)).status_code == 200
    answer = await here.ask("POST", "/verify", {"type": "recovery", "token_hash": mailed.hash})
    assert answer.json()["error_code"] == "otp_expired", "who had the address before is not let in"


async def test_an_address_that_somebody_has_is_refused(here: Here):
    alice, bob = await here.member(), await here.member()
    body = {"email": bob.email, "user_metadata": {"changed": True}}
    answer = await here.manage("PUT", f"/admin/users/{alice.id}", body)
    assert (answer.status_code, answer.json()["error_code"]) == (422, "email_exists")
    user = (await here.who(alice.access_token)).json()
    assert (user["email"], "changed" in user["user_metadata"]) == (alice.email, False)


async def test_an_administrator_confirms(here: Here):
    email = await here.newcomer()
    user_id = here.user(email)["id"]
    user = (await here.manage("PUT", f"/admin/users/{user_id}", {"email_confirm": True})).json()
    assert user["email_confirmed_at"]
    assert user["user_metadata"]["email_verified"] is True
    assert (await here.sign_in(email)).status_code == 200


async def test_a_set_password_ends_all_sessions(here: Here):
    alice = await here.member()
    answer = await here.manage("PUT", f"/admin/users/{alice.id}", {"password": "battery staple"})
    assert answer.status_code == 200
    assert (await here.who(alice.access_token)).json()["error_code"] == "session_not_found"
    assert (await here.sign_in(alice.email, "battery staple")).status_code == 200
    for password, status, code in (("weak", 422, "weak_password"), ("", 422, "weak_password"),
                                   ("x" * 73, 400, "validation_failed")):  # fmt: skip
        refused = await here.manage("PUT", f"/admin/users/{alice.id}", {"password": password})
        assert (refused.status_code, refused.json()["error_code"]) == (status, code)


async def test_a_ban_is_lifted(here: Here):
    alice = await here.member()
    path = f"/admin/users/{alice.id}"
    assert "banned_until" in (await here.manage("PUT", path, {"ban_duration": "876000h"})).json()
    assert (await here.who(alice.access_token)).json()["error_code"] == "user_banned"
    for lifted in ("none", "0", "0h"):
        assert "banned_until" not in (await here.manage("PUT", path, {"ban_duration": lifted})).json()
    refused = await here.manage("PUT", path, {"ban_duration": "10 years"})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "validation_failed")
    assert (await here.who(alice.access_token)).status_code == 200


@pytest.mark.parametrize("body", [b"", b"null", {}, {"should_soft_delete": False}])
async def test_a_deleted_user_is_gone_with_all_that_hangs_on_them(here: Here, body):
    alice = await here.member()
    answer = await here.manage("DELETE", f"/admin/users/{alice.id}", body)
    assert (answer.status_code, answer.json()) == (200, {})
    for table, column in (("auth.users", "id"), ("auth.identities", "user_id"), ("auth.sessions", "user_id"),
                          ("auth.refresh_tokens", "user_id"), ("public.profiles", "id")):  # fmt: skip
        assert here.rows(f"select from {table} where {column}::text = %s", alice.id) == []
    again = await here.manage("DELETE", f"/admin/users/{alice.id}")
    assert (again.status_code, again.json()["error_code"]) == (404, "user_not_found")
    assert (await here.member(alice.email)).id != alice.id


async def test_a_softly_deleted_user_leaves_a_row_that_says_nothing(here: Here):
    alice = await here.member(user_metadata={"name": "Alice"})
    for _ in range(2):
        answer = await here.manage("DELETE", f"/admin/users/{alice.id}", {"should_soft_delete": True})
        assert (answer.status_code, answer.json()) == (200, {})
    user = (await here.manage("GET", f"/admin/users/{alice.id}")).json()
    assert user["deleted_at"]
    assert "@" not in user["email"]
    assert (user["user_metadata"], user["app_metadata"]) == ({}, {})
    assert user["identities"][0]["identity_data"] == {}
    assert user["identities"][0]["id"] != alice.id
    assert here.row("select encrypted_password from auth.users where id = %s", alice.id)["encrypted_password"] is None
    assert (await here.who(alice.access_token)).json()["error_code"] == "session_not_found"
    assert (await here.sign_in(alice.email)).json()["error_code"] == "invalid_credentials"
    assert (await here.member(alice.email)).id != alice.id


async def test_deletion_is_asked_for_in_json(here: Here):
    alice = await here.member()
    for body in (b"x", {"should_soft_delete": "yes"}):
        answer = await here.manage("DELETE", f"/admin/users/{alice.id}", body)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "bad_json")


async def test_users_are_listed_page_by_page_the_newest_first(here: Here):
    members = [await here.manage("POST", "/admin/users", {"email": address("listed")}) for _ in range(5)]
    ids = [member.json()["id"] for member in reversed(members)]
    total = here.row("select count(*) as n from auth.users")["n"]
    first = await here.manage("GET", "/admin/users?page=1&per_page=2")
    assert first.status_code == 200
    assert set(first.json()) == {"users", "aud"}
    assert first.json()["aud"] == "authenticated"
    assert [user["id"] for user in first.json()["users"]] == ids[:2]
    assert first.json()["users"][0]["identities"]
    pages = -(-total // 2)
    assert first.headers["x-total-count"] == str(total)
    assert first.headers["link"] == (
        f'</admin/users?page=2&per_page=2>; rel="next", </admin/users?page={pages}&per_page=2>; rel="last"'
    )
    second = await here.manage("GET", "/admin/users?page=2&per_page=2")
    assert [user["id"] for user in second.json()["users"]] == ids[2:4]
    last = await here.manage("GET", f"/admin/users?page={pages}&per_page=2")
    assert last.headers["link"] == f'</admin/users?page={pages}&per_page=2>; rel="last"'
    beyond = await here.manage("GET", f"/admin/users?page={pages + 1}&per_page=2")
    assert (beyond.json()["users"], beyond.headers["x-total-count"]) == ([], str(total))


async def test_fifty_users_are_a_page_unless_somebody_says_otherwise(here: Here):
    here.owner.execute(
        "insert into auth.users (id, aud, email, created_at)"
        " select gen_random_uuid(), 'authenticated', 'many' || n || '@example.com', now() from generate_series(1, 60) n"
    )
    for query in ("", "?page=&per_page=", "?page=1", "?page=0&per_page=0"):
        answer = await here.manage("GET", f"/admin/users{query}")
        assert len(answer.json()["users"]) == 50
        assert answer.headers["link"].startswith("</admin/users?page=2")
    assert len((await here.manage("GET", "/admin/users?per_page=1000")).json()["users"]) >= 60


@pytest.mark.parametrize(
    "query",
    [
        *("page=x", "page=-1", "per_page=x", "per_page=1.5", "page=18446744073709551616", "page=%2B1", "page=%C2%B2"),
        *("sort=email", "sort=created_at%20up", "page=" + "9" * 5000),
    ],
)
async def test_a_page_is_a_number(here: Here, query: str):
    answer = await here.manage("GET", f"/admin/users?{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


@pytest.mark.parametrize(
    "query", ["page=18446744073709551615&per_page=18446744073709551615", "page=9223372036854775807"]
)
async def test_a_page_may_be_beyond_all_users(here: Here, query: str):
    assert (await here.manage("GET", f"/admin/users?{query}")).json()["users"] == []


async def test_users_are_found_by_address_or_name(here: Here):
    alice = await here.member(address("findme"), user_metadata={"full_name": "Alice Pleasance"})
    for wanted in ("findme", "pleasance", alice.email):
        answer = await here.manage("GET", f"/admin/users?filter={wanted}")
        assert [user["id"] for user in answer.json()["users"]] == [alice.id]
        assert answer.headers["x-total-count"] == "1"
    for wanted in ("%5C", "%00", "%25", "%ff"):
        assert (await here.manage("GET", f"/admin/users?filter={wanted}")).status_code == 200


async def test_users_are_listed_the_other_way_round(here: Here):
    listed = (await here.manage("GET", "/admin/users?sort=created_at%20asc&per_page=1000")).json()["users"]
    times = [datetime.fromisoformat(user["created_at"]) for user in listed]
    assert times == sorted(times)
    assert re.search("sort=created_at\\+asc", (await here.manage(
        "GET", "/admin/users?sort=created_at%20asc&per_page=1")).headers["link"])  # fmt: skip
