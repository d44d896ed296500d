"""Signing up by an invitation: the account is there and the invitation used up, or neither."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import psycopg
import pytest

from sigma_app.core.database import SERVICE, get_database
from sigma_app.core.links import digest
from sigma_app.features.accounts import entrance
from sigma_app.features.waitlist import line
from sigma_app.features.waitlist import service as waitlist
from sigma_app.gateways import accounts
from sigma_app.gateways.accounts import IdentityUnavailable
from sigma_app.gateways.keys import get_links
from sigma_app.session import store
from sigma_app.settings import Settings
from tests.features.accounts.people import join_waitlist
from tests.portal import PASSWORD

pytestmark = pytest.mark.anyio

ALICE = "alice@example.com"
COOKIE = "sigma_session"

Invite = Callable[[str], Awaitable[str]]


@pytest.fixture
def variables() -> dict[str, str]:
    return {"SIGMA_SIGNUP": "invite"}


@pytest.fixture
def invite(serving: Settings, owner: psycopg.Connection) -> Invite:
    """Puts an address on the list and invites it; the token of the mail's link."""

    async def invited(email: str) -> str:
        await join_waitlist(email)
        owner.execute("select sigma.confirm(id, 1) from leads where email = %s", [email])
        async with get_database().transaction(SERVICE) as session:
            lead = await line.find(session, email)
            assert lead
            assert lead.id
            assert await waitlist.invite(session, lead.id)
        found = owner.execute(
            "select link.id from sigma.lead_links link join leads on leads.id = lead_id"
            " where email = %s and purpose = 'invite'",
            [email],
        ).fetchone()
        assert found
        token = get_links().token(found[0])  # as the job of the mail makes it
        owner.execute(
            "update sigma.lead_links set digest = %s, expires_at = now() + interval '1 day' where id = %s",
            [digest(token), found[0]],
        )
        return token

    return invited


async def sign_up(
    browser: httpx.AsyncClient, invitation: str, email: str = ALICE, password: str = PASSWORD
) -> httpx.Response:
    fields = {"email": email, "password": password, "invitation": invitation, "next": "/account"}
    return await browser.post("/sign-up", data=fields, headers={"accept": "application/json"})


async def is_good(invitation: str) -> bool:
    async with get_database().transaction(SERVICE) as session:
        return await waitlist.invited_address(session, invitation) is not None


def users(owner: psycopg.Connection) -> list[str]:
    return [email for (email,) in owner.execute("select email from auth.users order by 1").fetchall()]


async def test_who_is_invited_is_signed_in_at_once_and_no_second_time(
    browser: httpx.AsyncClient, invite: Invite, owner: psycopg.Connection
):
    invitation = await invite(ALICE)
    answer = await sign_up(browser, invitation, "Alice@Example.com")
    assert answer.json() == {"location": "/account"}
    session = await store.find(browser.cookies[COOKIE])
    assert session
    assert session.email == ALICE
    assert not await is_good(invitation)
    assert owner.execute("select status from leads").fetchone() == ("signed up",)
    answer = await sign_up(browser, invitation)
    assert (answer.status_code, answer.json()["message"]) == (422, entrance.UNINVITED)


@pytest.mark.parametrize("mine", [True, False], ids=["somebody else's", "none"])
async def test_no_other_invitation_counts(
    mine: bool, browser: httpx.AsyncClient, invite: Invite, owner: psycopg.Connection
):
    invitation = await invite("bob@example.com") if mine else "A" * 32
    answer = await sign_up(browser, invitation)
    assert (answer.status_code, answer.json()["message"]) == (422, entrance.UNINVITED)
    assert users(owner) == []
    assert COOKIE not in browser.cookies
    if mine:
        assert await is_good(invitation)


async def test_an_invitation_whose_time_is_over_admits_nobody(
    browser: httpx.AsyncClient, invite: Invite, owner: psycopg.Connection
):
    invitation = await invite(ALICE)
    owner.execute("update sigma.lead_links set expires_at = now() - interval '1 second'")
    answer = await sign_up(browser, invitation)
    assert answer.json()["message"] == entrance.UNINVITED
    assert users(owner) == []


async def test_a_weak_password_leaves_it_good(browser: httpx.AsyncClient, invite: Invite, owner: psycopg.Connection):
    invitation = await invite(ALICE)
    answer = await sign_up(browser, invitation, password="password1")
    assert (answer.status_code, answer.json()["field"]) == (422, "password")
    assert users(owner) == []
    assert await is_good(invitation)


async def test_who_has_an_account_is_told_so_and_keeps_it_as_it_is(browser: httpx.AsyncClient, invite: Invite):
    invitation = await invite(ALICE)
    await accounts.create_confirmed(ALICE, PASSWORD)
    answer = await sign_up(browser, invitation, password="a brand new secret, 77")
    assert answer.json()["message"] == entrance.HAS_ACCOUNT
    assert await accounts.sign_in(ALICE, PASSWORD)


async def test_it_stays_good_while_supabase_is_away(
    browser: httpx.AsyncClient, invite: Invite, monkeypatch: pytest.MonkeyPatch
):
    async def away(*_: str) -> None:
        raise IdentityUnavailable

    invitation = await invite(ALICE)
    with monkeypatch.context() as patched:
        patched.setattr(accounts, "create_confirmed", away)
        answer = await sign_up(browser, invitation)
    assert (answer.status_code, answer.json()["message"]) == (503, str(IdentityUnavailable()))
    assert await is_good(invitation)
    assert (await sign_up(browser, invitation)).json() == {"location": "/account"}


async def test_one_that_ends_while_the_account_is_made_takes_the_account_back(
    browser: httpx.AsyncClient, invite: Invite, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    create = accounts.create_confirmed

    async def slow(email: str, password: str):
        made = await create(email, password)
        owner.execute("update sigma.lead_links set expires_at = now() - interval '1 second'")
        return made

    invitation = await invite(ALICE)
    monkeypatch.setattr(accounts, "create_confirmed", slow)
    answer = await sign_up(browser, invitation)
    assert answer.json()["message"] == entrance.UNINVITED
    assert users(owner) == []


async def test_more_at_once_than_there_are_connections_all_get_in(
    new_browser: Callable[..., httpx.AsyncClient], invite: Invite
):
    names = [f"founder{number}@example.com" for number in range(8)]
    invitations = [await invite(name) for name in names]
    answers = await asyncio.gather(
        *(sign_up(new_browser(), invitation, name) for invitation, name in zip(invitations, names, strict=True))
    )
    assert [answer.json() for answer in answers] == [{"location": "/account"}] * len(names)


async def test_of_several_with_one_invitation_one_gets_in(
    new_browser: Callable[..., httpx.AsyncClient], invite: Invite, owner: psycopg.Connection
):
    invitation = await invite(ALICE)
    answers = await asyncio.gather(*(sign_up(new_browser(), invitation) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]
    assert users(owner) == [ALICE]
