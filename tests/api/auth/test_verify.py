"""GET and POST /verify: what a mail brought is good once, in time, for what it was sent for."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.api.auth.conftest import PASSWORD, Here, Member, Pending, address

pytestmark = pytest.mark.anyio

OTP_KINDS = {"signup": "confirmation_token", "recovery": "recovery_token", "magiclink": "recovery_token"}
ONE_OF_TWO = "Confirmation link accepted. Please proceed to confirm link sent to the other email"


async def mailed(here: Here, kind: str) -> tuple[str, Pending]:
    """Somebody who was just sent a mail of a kind, and what it brings."""
    if kind == "signup":
        email = await here.newcomer()
    elif kind == "invite":
        email = address()
        await here.manage("POST", "/invite", {"email": email})
    else:
        email = (await here.member()).email
        await here.ask("POST", {"recovery": "/recover", "magiclink": "/otp"}[kind], {"email": email})
    return email, here.pending(email, "confirmation_token" if kind in ("signup", "invite") else "recovery_token")


async def open_link(here: Here, kind: str, token: str, redirect_to: str = "") -> httpx.Response:
    """As a browser does that clicks a link: without any key."""
    query = {"token": token, "type": kind} | ({"redirect_to": redirect_to} if redirect_to else {})
    async with here.client() as browser:
        return await browser.get("http://localhost:3000/auth/v1/verify", params=query)


def fragment(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    return {name: values[0] for name, values in parse_qs(parts.fragment, keep_blank_values=True).items()}


@pytest.mark.parametrize("kind", ["signup", "invite", "recovery", "magiclink"])
async def test_an_opened_link_leads_back_signed_in(here: Here, kind: str):
    email, token = await mailed(here, kind)
    answer = await open_link(here, kind, token.hash)
    told = fragment(answer)
    assert answer.headers["location"].startswith("http://localhost:3000#access_token=")
    assert list(told) == [*("access_token", "expires_at", "expires_in", "refresh_token", "sb", "token_type", "type")]
    assert (told["expires_in"], told["sb"], told["token_type"], told["type"]) == ("3600", "", "bearer", kind)
    user = (await here.who(told["access_token"])).json()
    assert user["email"] == email
    assert user["email_confirmed_at"]
    assert user["user_metadata"]["email_verified"] is True
    assert (await here.refresh(told["refresh_token"])).status_code == 200


@pytest.mark.parametrize("kind", ["signup", "invite", "recovery", "magiclink"])
async def test_a_link_is_good_once(here: Here, kind: str):
    _, token = await mailed(here, kind)
    await open_link(here, kind, token.hash)
    answer = await open_link(here, kind, token.hash)
    assert answer.headers["location"] == (
        "http://localhost:3000#error=access_denied&error_code=otp_expired"
        "&error_description=Email+link+is+invalid+or+has+expired&sb="
    )


@pytest.mark.parametrize("kind", ["signup", "invite", "recovery", "magiclink"])
@pytest.mark.parametrize("form", ["hash", "code", "email hash", "email code"])
async def test_a_hash_and_a_code_do_the_same_and_one_takes_the_other_along(here: Here, kind: str, form: str):
    email, token = await mailed(here, kind)
    said = "email" if form.startswith("email") else kind
    by_hash = {"type": said, "token_hash": token.hash}
    by_code = {"type": said, "email": email.upper(), "token": token.code}
    first, second = (by_hash, by_code) if form.endswith("hash") else (by_code, by_hash)
    answer = await here.ask("POST", "/verify", first)
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["email"] == email
    assert answer.json()["user"]["email_confirmed_at"]
    again = await here.ask("POST", "/verify", second)
    assert (again.status_code, again.json()["error_code"]) == (403, "otp_expired")
    assert again.json()["msg"] == (
        "Email link is invalid or has expired" if "token_hash" in second else "Token has expired or is invalid"
    )


@pytest.mark.parametrize("kind", ["signup", "recovery"])
async def test_after_a_day_a_mail_is_over(here: Here, kind: str):
    email, token = await mailed(here, kind)
    column = {"signup": "confirmation_sent_at", "recovery": "recovery_sent_at"}[kind]
    here.change(email, f"{column} = now() - interval '86401 seconds'")
    assert fragment(await open_link(here, kind, token.hash))["error_code"] == "otp_expired"
    for proof in ({"token_hash": token.hash}, {"email": email, "token": token.code}):
        answer = await here.ask("POST", "/verify", {"type": kind} | proof)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "otp_expired")
    here.change(email, f"{column} = now() - interval '86000 seconds'")
    assert (await here.ask("POST", "/verify", {"type": kind, "token_hash": token.hash})).status_code == 200


@pytest.mark.parametrize(("sent", "said"), [("signup", "recovery"), ("signup", "magiclink"), ("recovery", "signup"),
                                            ("recovery", "invite"), ("signup", "email_change")])  # fmt: skip
async def test_a_mail_is_good_for_what_it_was_sent_for(here: Here, sent: str, said: str):
    email, token = await mailed(here, sent)
    for proof in ({"token_hash": token.hash}, {"email": email, "token": token.code}):
        answer = await here.ask("POST", "/verify", {"type": said} | proof)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "otp_expired")
    assert (await here.ask("POST", "/verify", {"type": sent, "token_hash": token.hash})).status_code == 200


async def test_a_code_is_good_for_its_address_alone(here: Here):
    _, token = await mailed(here, "signup")
    bob = await here.newcomer()
    for email in (bob, address("nobody")):
        answer = await here.ask("POST", "/verify", {"type": "signup", "email": email, "token": token.code})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "otp_expired")


async def test_who_is_banned_is_not_let_in_by_mail(here: Here):
    alice = await here.member()
    await here.ask("POST", "/recover", {"email": alice.email})
    token = here.pending(alice.email, "recovery_token")
    await here.manage("PUT", f"/admin/users/{alice.id}", {"ban_duration": "1h"})
    told = fragment(await open_link(here, "recovery", token.hash))
    assert (told["error"], told["error_code"]) == ("access_denied", "user_banned")
    for proof in ({"token_hash": token.hash}, {"email": alice.email, "token": token.code}):
        answer = await here.ask("POST", "/verify", {"type": "recovery"} | proof)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "user_banned")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "validation_failed"),
        ({"token_hash": "x"}, 400, "validation_failed"),
        ({"type": "signup"}, 400, "validation_failed"),
        ({"type": "signup", "token": "1", "token_hash": "x"}, 400, "validation_failed"),
        ({"type": "signup", "token": "123456"}, 400, "validation_failed"),
        ({"type": "signup", "token": "123456", "email": "a@b.c", "phone": "1"}, 400, "validation_failed"),
        ({"type": "signup", "token_hash": "x", "email": "a@b.c"}, 400, "validation_failed"),
        ({"type": "signup", "token_hash": "x", "phone": "1"}, 400, "validation_failed"),
        ({"type": "signup", "token_hash": "x", "redirect_to": "/"}, 400, "validation_failed"),
        ({"type": "other", "token_hash": "x"}, 400, "validation_failed"),
        ({"type": "sms", "token_hash": "x"}, 400, "validation_failed"),
        ({"type": "signup", "token_hash": "x"}, 403, "otp_expired"),
        ({"type": "signup", "token_hash": "\x00"}, 403, "otp_expired"),
        ({"type": "email_change", "token_hash": "x"}, 403, "otp_expired"),
        ({"type": "signup", "token": "123456", "email": "bad"}, 422, "validation_failed"),
        ({"type": "signup", "token": "123456", "email": "nobody@example.com"}, 403, "otp_expired"),
        ({"type": "other", "token": "123456", "email": "nobody@example.com"}, 403, "otp_expired"),
        ({"type": "sms", "token": "123456", "phone": "+15551234567"}, 403, "otp_expired"),
        ({"type": "sms", "token": "123456", "phone": "bad"}, 400, "validation_failed"),
        ({"type": "signup", "token": 123456, "email": "a@b.c"}, 400, "bad_json"),
    ],
)
async def test_what_proves_nothing_is_refused(here: Here, body: dict, status: int, code: str):
    answer = await here.ask("POST", "/verify", body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


@pytest.mark.parametrize("query", ["", "?type=signup", "?token=x", "?type=&token=x", "?type=signup&token="])
async def test_a_link_without_type_or_token_leads_nowhere(here: Here, query: str):
    async with here.client() as browser:
        answer = await browser.get(f"http://localhost:3000/auth/v1/verify{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


async def test_a_link_of_an_unknown_type_leads_back_with_what_is_wrong(here: Here):
    told = fragment(await open_link(here, "other", "x"))
    assert (told["error"], told["error_code"]) == ("invalid_request", "validation_failed")


async def test_looking_at_a_link_does_not_use_it_up(here: Here):
    _, token = await mailed(here, "signup")
    async with here.client() as scanner:
        url = f"http://localhost:3000/auth/v1/verify?type=signup&token={token.hash}"
        assert (await scanner.head(url)).status_code == 405
    assert "access_token" in fragment(await open_link(here, "signup", token.hash))


async def test_a_link_leads_where_it_may(here: Here):
    listed = here.under(GOTRUE_URI_ALLOW_LIST="https://app.example.com/*,sigma://callback")
    for asked, leads_to in (
        ("https://app.example.com/in?a=1#x", "https://app.example.com/in?a=1"),
        ("sigma://callback", "sigma://callback"),
        ("https://evil.example.com", "http://localhost:3000"),
        ("javascript:alert(1)", "http://localhost:3000"),
    ):
        answer = await open_link(listed, "signup", "x", asked)
        assert answer.headers["location"].partition("#")[0] == leads_to
        assert fragment(answer)["error_code"] == "otp_expired"


async def moving(here: Here) -> tuple[Member, str, Pending, Pending]:
    alice, new = await here.member(), address("new")
    await here.ask("PUT", "/user", {"email": new}, bearer=alice.access_token)
    current = here.pending(alice.email, "email_change_token_current")
    return alice, new, current, here.pending(new, "email_change_token_new")


@pytest.mark.parametrize("order", ["current first", "new first"])
@pytest.mark.parametrize("form", ["hash", "code"])
async def test_an_address_changes_when_both_mails_are_confirmed(here: Here, order: str, form: str):
    alice, new, current, coming = await moving(here)
    proofs = {
        "hash": [{"token_hash": current.hash}, {"token_hash": coming.hash}],
        "code": [{"email": alice.email, "token": current.code}, {"email": new, "token": coming.code}],
    }[form]
    first, second = proofs if order == "current first" else reversed(proofs)
    answer = await here.ask("POST", "/verify", {"type": "email_change"} | first)
    assert (answer.status_code, answer.json()) == (200, {"msg": ONE_OF_TWO, "code": "200"})
    again = await here.ask("POST", "/verify", {"type": "email_change"} | first)
    assert again.json()["error_code"] == "otp_expired"
    user = (await here.who(alice.access_token)).json()
    assert (user["email"], user["new_email"]) == (alice.email, new)

    answer = await here.ask("POST", "/verify", {"type": "email_change"} | second)
    assert answer.status_code == 200
    user = answer.json()["user"]
    assert (user["id"], user["email"]) == (alice.id, new)
    assert "new_email" not in user
    assert user["identities"][0]["email"] == new
    assert user["identities"][0]["identity_data"]["email_verified"] is True
    assert (await here.sign_in(new)).status_code == 200
    assert (await here.sign_in(alice.email)).json()["error_code"] == "invalid_credentials"


async def test_opened_links_of_a_changed_address_say_what_is_left(here: Here):
    alice, new, current, coming = await moving(here)
    first = await open_link(here, "email_change", current.hash)
    assert fragment(first) == {"message": ONE_OF_TWO, "sb": ""}
    second = fragment(await open_link(here, "email_change", coming.hash))
    assert second["type"] == "email_change"
    assert (await here.who(second["access_token"])).json()["email"] == new
    assert (await here.who(alice.access_token)).json()["email"] == new


async def test_an_address_that_somebody_took_meanwhile_is_not_given(here: Here):
    alice, new, current, coming = await moving(here)
    await here.member(new)
    await here.ask("POST", "/verify", {"type": "email_change", "token_hash": current.hash})
    answer = await here.ask("POST", "/verify", {"type": "email_change", "token_hash": coming.hash})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "email_exists")
    assert fragment(await open_link(here, "email_change", coming.hash))["error_code"] == "email_exists"
    assert (await here.who(alice.access_token)).json()["email"] == alice.email


async def test_confirming_clears_all_that_was_mailed(here: Here):
    email = await here.newcomer()
    await here.ask("POST", "/recover", {"email": email})
    recovery, token = here.pending(email, "recovery_token"), here.pending(email)
    assert (await here.ask("POST", "/verify", {"type": "signup", "token_hash": token.hash})).status_code == 200
    for proof in ({"token_hash": recovery.hash}, {"email": email, "token": recovery.code}):
        answer = await here.ask("POST", "/verify", {"type": "recovery"} | proof)
        assert answer.json()["error_code"] == "otp_expired"


async def test_recovery_confirms_an_address_as_well(here: Here):
    email = await here.newcomer()
    await here.ask("POST", "/recover", {"email": email})
    token = here.pending(email, "recovery_token")
    answer = await here.ask("POST", "/verify", {"type": "recovery", "token_hash": token.hash})
    assert answer.json()["user"]["email_confirmed_at"]
    assert (await here.sign_in(email, PASSWORD)).status_code == 200


async def test_a_session_by_mail_says_so(here: Here):
    email, token = await mailed(here, "magiclink")
    answer = await here.ask("POST", "/verify", {"type": "magiclink", "email": email, "token": token.code})
    session = here.row(
        "select authentication_method from auth.mfa_amr_claims where session_id = ("
        " select session_id from auth.refresh_tokens where token = %s)",
        answer.json()["refresh_token"],
    )
    assert session["authentication_method"] == "otp"


@pytest.mark.parametrize("kind", ["signup", "recovery"])
@pytest.mark.parametrize("form", ["hash", "code"])
async def test_of_many_who_use_a_mail_at_once_one_has_it(here: Here, kind: str, form: str):
    email, token = await mailed(here, kind)
    proof = {"token_hash": token.hash} if form == "hash" else {"email": email, "token": token.code}
    answers = await asyncio.gather(*(here.ask("POST", "/verify", {"type": kind} | proof) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 11


async def test_the_limit_of_an_address_holds_for_guesses(here: Here):
    limited = here.under(GOTRUE_RATE_LIMIT_HEADER="X-Real-IP", GOTRUE_RATE_LIMIT_VERIFY="2")
    body = {"type": "signup", "email": "nobody@example.com", "token": "123456"}
    answers = [await limited.ask("POST", "/verify", body, x_real_ip="192.0.2.7") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [403, 403, 429]


async def test_guessing_the_code_of_an_address_soon_ends_and_its_link_still_works(here: Here):
    email, token = await mailed(here, "signup")
    wrong = {"type": "signup", "email": email, "token": "not it"}
    answers = [await here.ask("POST", "/verify", wrong) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {403}

    right = wrong | {"token": token.code, "email": email.upper()}
    late = await here.ask("POST", "/verify", right)
    assert (late.status_code, late.json()["error_code"]) == (429, "over_request_rate_limit")
    assert (await here.ask("POST", "/verify", {"type": "signup", "token_hash": token.hash})).status_code == 200


async def test_who_typed_the_right_code_begins_anew(here: Here):
    email, token = await mailed(here, "signup")
    for _ in range(3):
        for _ in range(9):
            await here.ask("POST", "/verify", {"type": "signup", "email": email, "token": "not it"})
        answer = await here.ask("POST", "/verify", {"type": "signup", "email": email, "token": token.code})
        assert answer.status_code != 429
