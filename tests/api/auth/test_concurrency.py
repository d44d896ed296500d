"""What happens when many do the same at once: one of them does it."""

from __future__ import annotations

import asyncio

import pytest

from sigma_app.embedded.supabase.auth import passwords
from tests.api.auth.conftest import PASSWORD, PASSWORD_HASH, Here, address

pytestmark = pytest.mark.anyio


async def at_once(here: Here, number: int, path: str, body: dict):
    return await asyncio.gather(*(here.ask("POST", path, body) for _ in range(number)))


@pytest.mark.parametrize("autoconfirm", [False, True])
async def test_fifty_sign_ups_of_one_address_make_one_user_and_one_profile(
    here: Here, autoconfirm: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(passwords, "LONGEST_WAIT", 60)  # however slow the machine, nobody is sent away
    under, email = here.under(GOTRUE_MAILER_AUTOCONFIRM=str(autoconfirm).lower()), address()
    answers = await at_once(under, 50, "/signup", {"email": email, "password": PASSWORD})
    [user] = here.rows("select id from auth.users where email = %s", email)
    assert len(here.rows("select from public.profiles where id = %s", user["id"])) == 1
    assert len(here.rows("select from auth.identities where user_id = %s", user["id"])) == 1
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    lost = {(answer.status_code, answer.json()["error_code"]) for answer in answers if answer.status_code != 200}
    assert lost == {(422, "user_already_exists") if autoconfirm else (429, "over_email_send_rate_limit")}
    assert len(here.mails(email)) == (0 if autoconfirm else 1)


async def test_many_who_sign_up_once_more_at_once_are_sent_one_mail(here: Here, monkeypatch: pytest.MonkeyPatch):
    email = await here.newcomer()

    async def hashed(*_: object) -> str:  # at once, so that they meet in the database
        return PASSWORD_HASH

    monkeypatch.setattr(passwords.Passwords, "hash", hashed)
    here.change(email, "confirmation_sent_at = now() - interval '61 seconds'")
    answers = await at_once(here, 12, "/signup", {"email": email, "password": PASSWORD})
    assert sorted(answer.status_code for answer in answers) == [200] + [429] * 11


async def test_many_who_ask_for_a_code_at_once_make_one_user(here: Here):
    email = address()
    answers = await at_once(here, 20, "/otp", {"email": email})
    assert sorted(answer.status_code for answer in answers) == [200] + [429] * 19
    assert len(here.mails(email)) == 1


async def test_many_who_forgot_their_password_at_once_are_sent_one_mail(here: Here):
    alice = await here.member()
    answers = await at_once(here, 20, "/recover", {"email": alice.email})
    assert sorted(answer.status_code for answer in answers) == [200] + [429] * 19
    assert len(here.mails(alice.email)) == 1


async def test_of_many_made_by_administrators_at_once_one_is(here: Here):
    email = address()
    answers = await asyncio.gather(
        *(here.manage("POST", "/admin/users", {"email": email, "email_confirm": True}) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 9


async def test_both_mails_of_a_changed_address_at_once_change_it(here: Here):
    alice, new = await here.member(), address("new")
    await here.ask("PUT", "/user", {"email": new}, bearer=alice.access_token)
    hashes = (
        here.pending(alice.email, "email_change_token_current").hash,
        here.pending(new, "email_change_token_new").hash,
    )
    answers = await asyncio.gather(
        *(here.ask("POST", "/verify", {"type": "email_change", "token_hash": each}) for each in hashes)
    )
    assert sorted("access_token" in answer.json() for answer in answers) == [False, True]
    assert (await here.who(alice.access_token)).json()["email"] == new


async def test_somebody_is_deleted_while_they_use_what_they_have(here: Here):
    alice = await here.member()
    await here.ask("POST", "/recover", {"email": alice.email})
    token = here.pending(alice.email, "recovery_token")
    answers = await asyncio.gather(
        *(here.refresh(alice.refresh_token) for _ in range(5)),
        *(here.sign_in(alice.email) for _ in range(5)),
        *(here.ask("PUT", "/user", {"data": {"n": n}}, bearer=alice.access_token) for n in range(5)),
        here.ask("POST", "/verify", {"type": "recovery", "token_hash": token.hash}),
        here.ask("POST", "/logout", bearer=alice.access_token),
        here.manage("DELETE", f"/admin/users/{alice.id}"),
        here.manage("DELETE", f"/admin/users/{alice.id}"),
    )
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
    for table in ("sessions", "refresh_tokens", "identities", "one_time_tokens"):
        assert here.rows(f"select from auth.{table} where user_id::text = %s", alice.id) == []
