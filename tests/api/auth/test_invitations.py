"""POST /invite and POST /admin/generate_link."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.auth.conftest import PASSWORD, Here, address

pytestmark = pytest.mark.anyio

LINK = {"action_link", "email_otp", "hashed_token", "verification_type", "redirect_to"}


async def generate(here: Here, kind: str, email: str, query: str = "", **more):
    return await here.manage("POST", f"/admin/generate_link{query}", {"type": kind, "email": email} | more)


async def test_somebody_new_is_sent_an_invitation(here: Here):
    email = address()
    answer = await here.manage("POST", "/invite", {"email": email.upper(), "data": {"name": "Alice"}})
    assert answer.status_code == 200
    user = answer.json()
    assert user["email"] == email
    assert user["invited_at"]
    assert user["confirmation_sent_at"]
    assert user["user_metadata"] == {"name": "Alice"}
    assert [mail["kind"] for mail in here.mails(email)] == ["invite"]
    again = await here.manage("POST", "/invite", {"email": email})
    assert again.status_code == 200, "as often as an administrator likes"
    assert again.json()["id"] == user["id"]


async def test_somebody_confirmed_is_not_invited(here: Here):
    alice = await here.member()
    answer = await here.manage("POST", "/invite", {"email": alice.email})
    assert (answer.status_code, answer.json()["error_code"]) == (422, "email_exists")


@pytest.mark.parametrize("body", [{}, {"email": ""}, {"email": "bad"}])
async def test_an_invitation_needs_an_address(here: Here, body: dict):
    answer = await here.manage("POST", "/invite", body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


@pytest.mark.parametrize("kind", ["signup", "invite", "magiclink", "recovery"])
async def test_a_link_is_made_and_nobody_is_mailed(here: Here, kind: str):
    email = address() if kind in ("signup", "invite") else (await here.member()).email
    answer = await generate(here, kind, email, password=PASSWORD, data={"name": "Alice"})
    assert answer.status_code == 200
    made = answer.json()
    assert set(made) >= LINK
    assert made["email"] == email, "the user's fields stand beside the link's"
    assert here.mails(email) == []
    assert made["verification_type"] == kind
    query = parse_qs(urlsplit(made["action_link"]).query)
    assert made["action_link"].startswith("http://localhost:3000/auth/v1/verify?token=")
    assert query == {
        "token": [made["hashed_token"]], "type": [kind], "redirect_to": ["http://localhost:3000"]
    }  # fmt: skip
    assert len(made["email_otp"]) == 6
    if kind in ("signup", "invite"):
        assert made["user_metadata"] == {"name": "Alice"}
    async with here.client() as browser:
        led = await browser.get(made["action_link"])
    assert f"type={kind}" in led.headers["location"]
    assert "access_token" in led.headers["location"]


@pytest.mark.parametrize("kind", ["signup", "invite", "magiclink", "recovery"])
async def test_the_code_of_a_link_is_as_good(here: Here, kind: str):
    email = address() if kind in ("signup", "invite") else (await here.member()).email
    made = (await generate(here, kind, email, password=PASSWORD)).json()
    answer = await here.ask("POST", "/verify", {"type": kind, "email": email, "token": made["email_otp"]})
    assert answer.status_code == 200


async def test_a_link_to_sign_up_brings_the_password_along(here: Here):
    email = address()
    made = (await generate(here, "signup", email, password=PASSWORD)).json()
    await here.ask("POST", "/verify", {"type": "signup", "token_hash": made["hashed_token"]})
    assert (await here.sign_in(email)).status_code == 200


async def test_a_magic_link_for_somebody_new_is_one_to_sign_up(here: Here):
    made = (await generate(here, "magiclink", address())).json()
    assert made["verification_type"] == "signup"
    assert "type=signup" in made["action_link"]
    answer = await here.ask("POST", "/verify", {"type": "signup", "token_hash": made["hashed_token"]})
    assert answer.status_code == 200


async def test_data_of_a_link_to_sign_up_is_merged(here: Here):
    email = await here.newcomer(data={"a": 1})
    made = (await generate(here, "signup", email, data={"b": 2})).json()
    assert (made["user_metadata"]["a"], made["user_metadata"]["b"]) == (1, 2)


@pytest.mark.parametrize("first", ["email_change_current", "email_change_new"])
async def test_two_links_change_an_address(here: Here, first: str):
    alice, new = await here.member(), address("new")
    kinds = sorted(("email_change_current", "email_change_new"), key=lambda kind: kind != first)
    made = {kind: (await generate(here, kind, alice.email, new_email=new)).json() for kind in kinds}
    assert [made[kind]["verification_type"] for kind in kinds] == kinds
    assert all("type=email_change&" in made[kind]["action_link"] for kind in kinds)
    assert made[first]["new_email"] == new
    answers = [
        await here.ask("POST", "/verify", {"type": "email_change", "token_hash": made[kind]["hashed_token"]})
        for kind in kinds
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "msg" in answers[0].json()
    assert answers[1].json()["user"]["email"] == new


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"type": "recovery"}, 400, "validation_failed"),
        ({"type": "recovery", "email": "bad"}, 400, "validation_failed"),
        ({"type": "recovery", "email": "nobody@example.com"}, 404, "user_not_found"),
        ({"type": "email_change_new", "email": "nobody@example.com", "new_email": "a@b.c"}, 404, "user_not_found"),
        ({"type": "other", "email": "nobody@example.com"}, 400, "validation_failed"),
        ({"email": "nobody@example.com"}, 400, "validation_failed"),
        ({"type": "signup", "email": "nobody@example.com"}, 400, "validation_failed"),
        ({"type": "signup", "email": "nobody@example.com", "password": "weak"}, 422, "weak_password"),
        ({"type": 1, "email": "nobody@example.com"}, 400, "bad_json"),
    ],
)
async def test_not_every_link_can_be_made(here: Here, body: dict, status: int, code: str):
    answer = await here.manage("POST", "/admin/generate_link", body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert here.rows("select from auth.users where email = 'nobody@example.com'") == []


@pytest.mark.parametrize("kind", ["signup", "invite"])
async def test_somebody_confirmed_needs_no_such_link(here: Here, kind: str):
    alice = await here.member()
    answer = await generate(here, kind, alice.email, password=PASSWORD)
    assert (answer.status_code, answer.json()["error_code"]) == (422, "email_exists")


async def test_an_address_that_somebody_has_cannot_be_moved_to(here: Here):
    alice, bob = await here.member(), await here.member()
    for new, status, code in ((bob.email, 422, "email_exists"), ("bad", 400, "validation_failed"),
                              ("", 400, "validation_failed")):  # fmt: skip
        answer = await generate(here, "email_change_new", alice.email, new_email=new)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code)


async def test_the_present_address_is_asked_with_secure_change_alone(here: Here):
    simple = here.under(GOTRUE_MAILER_SECURE_EMAIL_CHANGE_ENABLED="false")
    alice = await here.member()
    answer = await generate(simple, "email_change_current", alice.email, new_email=address())
    assert (answer.status_code, answer.json()["error_code"]) == (400, "validation_failed")


async def test_a_link_leads_where_it_may(here: Here):
    alice = await here.member()
    listed = here.under(GOTRUE_URI_ALLOW_LIST="https://app.example.com/*")
    allowed = "https://app.example.com/in"
    for query, body, leads_to in (
        ("", {"redirect_to": allowed}, allowed),
        (f"?redirect_to={allowed}", {}, allowed),
        (f"?redirect_to={allowed}", {"redirect_to": "https://evil.example.com"}, allowed),
        ("", {"redirect_to": "https://evil.example.com"}, "http://localhost:3000"),
    ):
        made = (await generate(listed, "magiclink", alice.email, query, **body)).json()
        assert made["redirect_to"] == leads_to
        assert parse_qs(urlsplit(made["action_link"]).query)["redirect_to"] == [leads_to]
