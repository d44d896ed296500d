"""POST /signup: who gets an account, and what the answer tells whom."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from tests.api.auth.conftest import PASSWORD, Here, address

pytestmark = pytest.mark.anyio

CHALLENGE = {"code_challenge": "a" * 43, "code_challenge_method": "s256"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


async def test_a_new_user_is_answered_bare_and_waits_for_confirmation(here: Here):
    email = address()
    answer = await here.ask("POST", "/signup", {"email": email, "password": PASSWORD, "data": {"name": "Alice"}})
    assert answer.status_code == 200
    user = answer.json()
    assert list(user) == [
        *("id", "aud", "role", "email", "phone", "confirmation_sent_at", "app_metadata", "user_metadata"),
        *("identities", "created_at", "updated_at", "is_anonymous"),
    ]
    assert (user["aud"], user["role"], user["email"], user["phone"]) == ("authenticated", "authenticated", email, "")
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    known = {"sub": user["id"], "email": email, "email_verified": False, "phone_verified": False}
    assert user["user_metadata"] == {"name": "Alice"} | known
    [identity] = user["identities"]
    assert UUID(identity.pop("identity_id"))
    assert INSTANT.fullmatch(identity["last_sign_in_at"])
    for name in ("last_sign_in_at", "created_at", "updated_at"):
        assert INSTANT.fullmatch(identity.pop(name))
    data = {"name": "Alice"} | known
    assert identity == {
        "id": user["id"], "user_id": user["id"], "identity_data": data, "provider": "email", "email": email
    }  # fmt: skip
    assert INSTANT.fullmatch(user["confirmation_sent_at"])
    assert user["is_anonymous"] is False


async def test_a_new_user_has_a_profile_a_bcrypt_hash_and_one_mail(here: Here):
    email = await here.newcomer()
    user = here.user(email)
    assert re.fullmatch(r"\$2a\$10\$.{53}", user["encrypted_password"])
    assert user["instance_id"] == UUID(int=0)
    assert here.row("select email from public.profiles where id = %s", user["id"]) == {"email": email}
    [mail] = here.mails(email)
    assert (mail["kind"], mail["redirect_to"]) == ("signup", "http://localhost:3000")


async def test_data_cannot_say_who_somebody_is(here: Here):
    email = address()
    data = {"sub": "x", "email": "other@example.com", "email_verified": True, "phone_verified": True, "gone": None}
    user = (await here.ask("POST", "/signup", {"email": email, "password": PASSWORD, "data": data})).json()
    assert user["user_metadata"] == {
        "sub": user["id"], "email": email, "email_verified": False, "phone_verified": False
    }  # fmt: skip


async def test_what_only_an_administrator_may_say_is_passed_over(here: Here):
    email = address()
    extra = {"role": "service_role", "id": str(UUID(int=1)), "app_metadata": {"admin": True}, "email_confirm": True}
    extra |= {"aud": "other", "user_metadata": {"x": 1}, "gotrue_meta_security": {"captcha_token": "x"}}
    user = (await here.ask("POST", "/signup", {"email": email, "password": PASSWORD} | extra)).json()
    assert (user["role"], user["aud"]) == ("authenticated", "authenticated")
    assert user["id"] != str(UUID(int=1))
    assert "admin" not in user["app_metadata"]
    assert "x" not in user["user_metadata"]
    assert "email_confirmed_at" not in user


async def test_the_address_is_kept_in_small_letters(here: Here):
    email = address("Alice.Liddell+tag")
    user = (await here.ask("POST", "/signup", {"email": email.upper(), "password": PASSWORD})).json()
    assert user["email"] == email.lower()
    assert (await here.ask("POST", "/signup", {"email": email.lower(), "password": PASSWORD})).status_code == 429


async def test_names_of_fields_are_read_in_any_case(here: Here):
    email = address()
    answer = await here.ask("POST", "/signup", {"Email": email, "PASSWORD": PASSWORD})
    assert answer.json()["email"] == email


async def test_without_confirmation_somebody_new_is_signed_in(here: Here):
    open_here = here.under(GOTRUE_MAILER_AUTOCONFIRM="true")
    email = address()
    answer = await open_here.ask("POST", "/signup", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    tokens = answer.json()
    assert set(tokens) == {"access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"}
    assert tokens["user"]["email_confirmed_at"]
    assert tokens["user"]["user_metadata"]["email_verified"] is True
    assert here.mails(email) == []
    assert (await here.who(tokens["access_token"])).status_code == 200

    again = await open_here.ask("POST", "/signup", {"email": email, "password": PASSWORD})
    assert (again.status_code, again.json()["error_code"]) == (422, "user_already_exists")
    assert again.json()["msg"] == "User already registered"


async def test_without_confirmation_an_account_that_another_began_still_asks_for_it(here: Here):
    open_here = here.under(GOTRUE_MAILER_AUTOCONFIRM="true")
    invited = address()
    await here.manage("POST", "/invite", {"email": invited})
    for email in (await here.newcomer(), invited):
        here.change(email, "confirmation_sent_at = now() - interval '61 seconds'")
        before = here.user(email)
        answer = await open_here.ask("POST", "/signup", {"email": email, "password": "another one"})
        assert answer.status_code == 200
        assert "access_token" not in answer.json()
        after = here.user(email)
        assert after["email_confirmed_at"] is None
        assert after["encrypted_password"] == before["encrypted_password"]
        assert after["confirmation_token"] != before["confirmation_token"], "another mail is sent"
        assert [mail["kind"] for mail in here.mails(email)] == ["signup"]


async def test_of_somebody_confirmed_no_stranger_learns_anything(here: Here):
    alice = await here.member()
    before = here.user(alice.email)
    answer = await here.ask("POST", "/signup", {"email": alice.email, "password": PASSWORD, "data": {"n": 1}})
    assert answer.status_code == 200
    user = answer.json()
    assert user["id"] != alice.id
    assert (user["role"], user["identities"], user["user_metadata"]) == ("", [], {"n": 1})
    assert user["aud"] == "authenticated"
    assert user["app_metadata"] == {"provider": "email", "providers": ["email"]}
    assert {"confirmation_sent_at", "created_at", "updated_at"} <= set(user)
    assert not {"email_confirmed_at", "confirmed_at", "last_sign_in_at", "recovery_sent_at"} & set(user)
    assert here.user(alice.email) == before
    assert here.mails(alice.email) == []


async def test_who_never_confirmed_is_sent_another_mail_and_keeps_their_first_password(here: Here):
    email = await here.newcomer(data={"first": 1})
    first, before = here.pending(email), here.user(email)

    soon = await here.ask("POST", "/signup", {"email": email, "password": "another one", "data": {"second": 2}})
    assert (soon.status_code, soon.json()["error_code"]) == (429, "over_email_send_rate_limit")
    assert re.fullmatch(r"For security purposes, you can only request this after \d+ seconds\.", soon.json()["msg"])
    assert here.pending(email) == first

    here.change(email, "confirmation_sent_at = now() - interval '61 seconds'")
    later = await here.ask("POST", "/signup", {"email": email, "password": "another one", "data": {"second": 2}})
    assert later.status_code == 200
    assert later.json()["id"] == str(before["id"])
    assert "second" not in later.json()["user_metadata"]
    assert later.json()["identities"]
    assert here.pending(email).hash != first.hash
    assert here.user(email)["encrypted_password"] == before["encrypted_password"]


async def test_of_somebody_invited_a_stranger_is_told_no_more_than_that_a_mail_went_out(here: Here):
    email = address()
    assert (await here.manage("POST", "/invite", {"email": email, "data": {"secret": 1}})).status_code == 200
    here.change(email, "confirmation_sent_at = now() - interval '61 seconds'")
    answer = await here.ask("POST", "/signup", {"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    assert (answer.json()["user_metadata"], answer.json()["identities"]) == ({}, [])


async def test_a_row_that_somebody_wrote_by_hand_gets_its_identity(here: Here):
    email = address()
    here.owner.execute("insert into auth.users (id, email) values (gen_random_uuid(), %s)", [email])
    answer = await here.ask("POST", "/signup", {"email": email, "password": PASSWORD, "data": {"n": 1}})
    assert answer.status_code == 200
    assert answer.json()["identities"][0]["email"] == email
    assert answer.json()["user_metadata"]["n"] == 1


NOBODY = "nobody@example.com"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "anonymous_provider_disabled"),
        (None, 422, "anonymous_provider_disabled"),
        ({"data": {}}, 422, "anonymous_provider_disabled"),
        ({"password": PASSWORD}, 422, "anonymous_provider_disabled"),
        ({"email": "", "password": PASSWORD}, 422, "anonymous_provider_disabled"),
        ({"email": None, "password": PASSWORD}, 422, "anonymous_provider_disabled"),
        ({"email": NOBODY}, 400, "validation_failed"),
        ({"email": NOBODY, "password": ""}, 400, "validation_failed"),
        ({"email": NOBODY, "password": None}, 400, "validation_failed"),
        ({"email": NOBODY, "password": "x" * 73}, 400, "validation_failed"),
        ({"email": NOBODY, "password": "é" * 37}, 400, "validation_failed"),
        ({"email": NOBODY, "password": "short"}, 422, "weak_password"),
        ({"email": "bad", "password": "short"}, 422, "weak_password"),
        ({"email": NOBODY, "phone": "+123456789", "password": "short"}, 422, "weak_password"),
        ({"email": NOBODY, "phone": "+123456789", "password": PASSWORD}, 400, "validation_failed"),
        ({"phone": "+123456789", "password": PASSWORD}, 400, "phone_provider_disabled"),
        ({"phone": "123456789", "password": PASSWORD} | CHALLENGE, 400, "validation_failed"),
        ({"email": NOBODY, "password": PASSWORD, "code_challenge": "a" * 43}, 400, "validation_failed"),
        ({"email": NOBODY, "password": PASSWORD, "code_challenge_method": "s256"}, 400, "validation_failed"),
        ({"email": NOBODY, "password": PASSWORD} | CHALLENGE | {"code_challenge": "a" * 42}, 400, "validation_failed"),
        ({"email": NOBODY, "password": PASSWORD} | CHALLENGE | {"code_challenge": "a" * 129}, 400, "validation_failed"),
        ({"email": NOBODY, "password": PASSWORD} | CHALLENGE | {"code_challenge": "+" * 43}, 400, "validation_failed"),
        (
            {"email": NOBODY, "password": PASSWORD} | CHALLENGE | {"code_challenge_method": "md5"},
            *(400, "validation_failed"),
        ),
    ],
)
async def test_who_says_too_little_or_too_much_gets_no_account(here: Here, body: dict, status: int, code: str):
    answer = await here.ask("POST", "/signup", b"null" if body is None else body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert here.rows("select from auth.users where email = %s", NOBODY) == []


@pytest.mark.parametrize(
    "email",
    [
        *("plain", "@example.com", "a@", "a b@example.com", " a@example.com", "a@example.com ", "a@-example.com"),
        *("a@example..com", "a@.com", "a@example.com.", "a@@example.com", "é@example.com", "a@exämple.com"),
        *("a@example.com\n", "a@exa\x00mple.com", "\ud800@example.com", "a" * 244 + "@example.com"),
        *('"quoted"@example.com', "a@[127.0.0.1]", "a@" + "x" * 64 + ".com", "<a@example.com>"),
    ],
)
async def test_what_is_no_plain_address_gets_no_account(here: Here, email: str):
    answer = await here.ask("POST", "/signup", {"email": email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


@pytest.mark.parametrize("email", ["a@localhost", "o'neill!#$%&*+/=?^_`{|}~-.@x.co", "." * 3 + "@1.2", "-@a-b.c1"])
async def test_strange_addresses_are_plain_enough(here: Here, email: str):
    assert (await here.ask("POST", "/signup", {"email": email, "password": PASSWORD})).status_code == 200


@pytest.mark.parametrize("password", ["123456", "ééé", "x" * 72, "\x00" * 6, "\ud800" * 2, "a b\tc\n"])
async def test_whoever_chose_a_password_signs_in_with_it(here: Here, password: str):
    open_here, email = here.under(GOTRUE_MAILER_AUTOCONFIRM="true"), address()
    assert (await open_here.ask("POST", "/signup", {"email": email, "password": password})).status_code == 200
    assert (await here.sign_in(email, password)).status_code == 200


async def test_a_weak_password_says_why_in_both_forms(here: Here):
    strict = here.under(GOTRUE_PASSWORD_MIN_LENGTH="8", GOTRUE_PASSWORD_REQUIRED_CHARACTERS="abcdef:0123456789")
    body = {"email": NOBODY, "password": "xyz"}
    older = await strict.ask("POST", "/signup", body)
    assert older.status_code == 422
    assert older.json() == {
        "code": 422,
        "error_code": "weak_password",
        "msg": "Password should be at least 8 characters."
        " Password should contain at least one character of each: abcdef, 0123456789.",
        "weak_password": {"reasons": ["length", "characters"]},
    }
    newer = await strict.ask("POST", "/signup", body, x_supabase_api_version="2024-01-01")
    assert newer.json()["code"] == "weak_password"
    assert newer.json()["weak_password"] == {"reasons": ["length", "characters"]}


@pytest.mark.parametrize("variable", [{"GOTRUE_DISABLE_SIGNUP": "true"}, {"SIGMA_SIGNUP": "invite"}])
async def test_where_nobody_may_sign_up_administrators_still_make_users(here: Here, variable: dict[str, str]):
    closed, email = here.under(**variable), address()
    refused = await closed.ask("POST", "/signup", {"email": email, "password": PASSWORD})
    assert (refused.status_code, refused.json()["error_code"]) == (422, "signup_disabled")
    assert refused.json()["msg"] == "Signups not allowed for this instance"
    refused = await closed.ask("POST", "/otp", {"email": email})
    assert (refused.status_code, refused.json()["error_code"]) == (422, "signup_disabled")
    assert here.rows("select from auth.users where email = %s", email) == []
    assert (await closed.manage("POST", "/invite", {"email": email})).status_code == 200
    assert (await closed.member()).id


async def test_where_email_is_switched_off_nobody_signs_up_or_in(here: Here):
    without = here.under(GOTRUE_EXTERNAL_EMAIL_ENABLED="false")
    body = {"email": address(), "password": PASSWORD}
    for path, status in (
        ("/signup", 400),
        ("/token?grant_type=password", 422),
        ("/otp", 422),
        ("/magiclink", 422),
        ("/recover", 400),
    ):
        refused = await without.ask("POST", path, body)
        assert (refused.status_code, refused.json()["error_code"]) == (status, "email_provider_disabled"), path
    refused = await without.ask("POST", "/resend", {"type": "signup", "email": body["email"]})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "email_provider_disabled")


async def test_where_the_mail_leads_back_to_is_judged(here: Here):
    listed = here.under(GOTRUE_URI_ALLOW_LIST="https://app.example.com/**")
    for asked, leads_to in (
        ("https://app.example.com/welcome", "https://app.example.com/welcome"),
        ("https://evil.example.com/", "http://localhost:3000"),
    ):
        email = address()
        body = {"email": email, "password": PASSWORD}
        await listed.ask("POST", f"/signup?redirect_to={asked}", body)
        assert here.mails(email)[0]["redirect_to"] == leads_to
