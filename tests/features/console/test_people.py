"""What an operator sees of accounts, and does to them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import psycopg
import pytest

from sigma_app.core.errors import NotLikeThat, SigmaError
from sigma_app.features.accounts.entrance import sign_in as sign_in_by_form
from sigma_app.features.billing.access import RULES
from sigma_app.features.console import paging, people
from sigma_app.features.console.service import NotAnOperator, NothingToDo
from sigma_app.features.console.user import UserState
from sigma_app.features.console.users import UsersState
from sigma_app.gateways import payments
from sigma_app.gateways.accounts import IdentityUnavailable
from sigma_app.gateways.keys import unseal
from sigma_app.session import store
from sigma_app.session.operators import OperatorsAccount
from sigma_app.session.store import Session
from tests.features.accounts.people import join_waitlist, signed_in
from tests.features.console.operators import cells, deeds, fact, make_operator, shown
from tests.portal import PASSWORD, SignIn

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bob(sign_in: SignIn, owner: psycopg.Connection) -> Session:
    """An operator."""
    return make_operator(owner, (await signed_in(sign_in, "bob"))[0])


async def test_the_list_shows_the_newest_first_and_where_each_leads(session: Session, bob: Session):
    page = await shown(UsersState, bob)
    assert cells(page.rows) == ["bob@example.com", "alice@example.com"]
    assert cells(page.rows, 3) == ["operator", ""]
    assert page.rows[1].href == f"/admin/user?id={session.user_id}"
    assert (page.newer, page.older) == ("", "")


async def test_a_long_list_is_read_page_by_page_and_back(bob: Session, sign_up: Callable, owner: psycopg.Connection):
    owner.execute(
        "insert into auth.users (id, email, created_at) select gen_random_uuid(), 'u' || n || '@example.com',"
        " now() - n * interval '1 hour' from generate_series(1, %s) as n",
        [paging.LENGTH + 5],
    )
    first = await shown(UsersState, bob)
    assert len(first.rows) == paging.LENGTH
    assert first.newer == ""
    second = await shown(UsersState, bob, **dict(parse_qsl(urlsplit(first.older).query)))
    assert len(second.rows) == 6
    assert not set(cells(first.rows)) & set(cells(second.rows))
    assert second.older == ""
    assert second.newer


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("access", ["paying@example.com"]),
        ("none", ["bob@example.com", "closed@example.com", "new@example.com"]),
        ("disabled", ["closed@example.com"]),
        ("operators", ["bob@example.com"]),
        ("unconfirmed", ["new@example.com"]),
        ("nonsense", ["bob@example.com", "closed@example.com", "new@example.com", "paying@example.com"]),
    ],
)
async def test_filters(bob: Session, owner: psycopg.Connection, which: str, expected: list[str]):
    tomorrow = "now() + interval '1 day'"
    for name, confirmed, banned in (
        ("paying", "now()", "null"),
        ("closed", "now()", tomorrow),
        ("new", "null", "null"),
    ):
        owner.execute(
            "insert into auth.users (id, email, created_at, email_confirmed_at, banned_until)"
            f" values (gen_random_uuid(), '{name}@example.com', now(), {confirmed}, {banned})".encode()
        )
    owner.execute("update profiles set has_access = true where email = 'paying@example.com'")
    assert sorted(cells((await shown(UsersState, bob, which=which)).rows)) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("ali", ["alice"]),
        ("ALICE@", ["alice"]),
        ("lice", []),
        ("a%", []),
        ("al_", []),
        ("\0\ud800ali", ["alice"]),
        ("a'", []),
    ],
)
async def test_addresses_are_found_by_how_they_begin(session: Session, bob: Session, typed: str, expected: list[str]):
    page = await shown(UsersState, bob, email=typed)
    assert cells(page.rows) == [f"{name}@example.com" for name in expected]


@pytest.mark.parametrize("wrong", ["", "1", "nonsense", "\0", "00000000-0000-4000-8000-000000000000", "' or true --"])
async def test_an_id_that_is_nobodys_shows_nothing(session: Session, bob: Session, wrong: str):
    page = await shown(UserState, bob, id=wrong)
    assert (page.found, page.who, page.about, page.devices) == (False, "", [], [])


async def test_the_page_of_an_account_says_who_it_is_and_where_they_are_signed_in(session: Session, bob: Session):
    await join_waitlist(session.email)
    page = await shown(UserState, bob, id=str(session.user_id))
    assert page.who == session.email
    assert fact(page.about, "State") == "as usual"
    assert fact(page.about, "Access") == "no"
    assert fact(page.about, "On the list")
    assert not any("@" in one.href or "%40" in one.href for one in page.about)
    assert next(one.href for one in page.about if one.name == "Mail") == f"/admin/mail?user={session.user_id}"
    assert [one.id for one in page.devices] == [str(session.id)]
    assert (page.operator, page.mine, page.disabled) == (False, False, False)
    mine = await shown(UserState, bob, id=str(bob.user_id))
    assert (mine.operator, mine.mine) == (True, True)


async def test_what_somebody_pays_is_told_with_amount_interval_and_renewal(
    session: Session, bob: Session, owner: psycopg.Connection
):
    owner.execute("insert into billing.customers (id, user_id) values ('cus_1', %s)", [session.user_id])
    owner.execute("insert into billing.products (id, name, active) values ('prod_1', 'Sigma', true)")
    for price, amount, every, count in (("price_y", 123456789, "year", 1), ("price_q", 5000, "month", 3)):
        owner.execute(
            "insert into billing.prices (id, product_id, lookup_key, active, currency, amount, every, every_count)"
            " values (%s, 'prod_1', %s, true, 'eur', %s, %s, %s)",
            [price, f"of_{price}", amount, every, count],
        )
    subscribed = (
        ("sub_1", "price_y", "active", None, None),
        ("sub_2", "price_q", "active", "2026-12-28+00", None),
        ("sub_3", "price_gone", "canceled", None, "2026-12-01+00"),
    )
    for number, (identity, price, status, cancel, ended) in enumerate(subscribed):
        owner.execute(
            "insert into billing.subscriptions"
            " (id, customer_id, price_id, status, current_period_end, cancel_at, ended_at, created_at)"
            " values (%s, 'cus_1', %s, %s, '2026-12-28+00', %s, %s, '2026-11-28'::timestamptz + %s * interval '1 h')",
            [identity, price, status, cancel, ended, number],
        )
    owner.execute(
        "insert into billing.purchases (id, customer_id, price_id, status, amount, refunded, currency, created_at)"
        " values ('cs_1', 'cus_1', 'price_y', 'paid', 69000, 100, 'jpy', '2026-12-01+00')"
    )
    page = await shown(UserState, bob, id=str(session.user_id))
    assert [row.cells[1:] for row in page.paid] == [
        ["of_price_y (subscription sub_1)", "€1,234,567.89 a year", "active", "renews on 2026-12-28"],
        [
            *("of_price_q (subscription sub_2)", "€50.00 every 3 months", "active"),
            "period ends 2026-12-28, canceled for 2026-12-28",
        ],
        ["price_gone (subscription sub_3)", "not known", "canceled", "period ends 2026-12-28, ended on 2026-12-01"],
        ["of_price_y (purchase cs_1)", "€1,234,567.89 a year", "paid", "69,000 JPY in all, 100 JPY given back"],
    ]


async def test_each_change_of_access_is_explained_in_the_words_of_its_owner(
    session: Session, bob: Session, owner: psycopg.Connection
):
    owner.execute(
        "select sigma.set_access(%s, true, 'cus_1', 'price_1', 'bought', 'cs_1', 'event', 'evt_1')", [session.user_id]
    )
    owner.execute("update profiles set has_access = false where id = %s", [session.user_id])
    page = await shown(UserState, bob, id=str(session.user_id))
    assert cells(page.changes, 1) == ["yes → no", "no → yes"]
    assert cells(page.changes, 2) == [RULES["by hand"], RULES["bought"]]
    assert page.changes[1].cells[4:] == ["price_1 cs_1", "event evt_1"]


async def test_whoever_is_disabled_is_out_at_once_and_reads_why(session: Session, cookie: str, bob: Session, owner):
    await people.disable(bob, session.user_id)
    assert await store.find(cookie) is None
    with pytest.raises(NotLikeThat, match="closed for now"):
        await sign_in_by_form(session.email, PASSWORD, "192.0.2.1")
    assert (await shown(UserState, bob, id=str(session.user_id))).disabled
    assert deeds(owner) == [("user.disable", str(session.user_id), {})]


async def test_whoever_is_enabled_again_can_sign_in(session: Session, bob: Session, sign_in: SignIn, owner):
    await people.disable(bob, session.user_id)
    await people.enable(bob, session.user_id)
    assert (await sign_in("alice")).user_id == session.user_id
    assert not (await shown(UserState, bob, id=str(session.user_id))).disabled
    assert [action for action, *_ in deeds(owner)] == ["user.disable", "user.enable"]


async def test_a_second_click_is_neither_done_nor_put_on_record(session: Session, bob: Session, owner):
    await people.disable(bob, session.user_id)
    with pytest.raises(NothingToDo):
        await people.disable(bob, session.user_id)
    with pytest.raises(NothingToDo):
        await people.sign_out(bob, session.user_id)
    await people.enable(bob, session.user_id)
    with pytest.raises(NothingToDo):
        await people.enable(bob, session.user_id)
    assert len(deeds(owner)) == 2


@pytest.mark.parametrize("deed", [people.disable, people.delete])
async def test_operators_are_neither_disabled_nor_deleted_here_nor_does_one_do_that_to_themselves(
    bob: Session, owner: psycopg.Connection, deed: Callable
):
    with pytest.raises(OperatorsAccount):
        await deed(bob, bob.user_id)
    assert deeds(owner) == []
    assert owner.execute("select banned_until from auth.users where id = %s", [bob.user_id]).fetchone() == (None,)


@pytest.mark.parametrize("deed", [people.disable, people.enable, people.delete])
async def test_an_operators_account_that_is_disabled_is_left_to_the_command_line(
    session: Session, bob: Session, owner: psycopg.Connection, deed: Callable
):
    make_operator(owner, session)
    owner.execute("update auth.users set banned_until = now() + interval '1 day' where id = %s", [session.user_id])
    with pytest.raises(OperatorsAccount):
        await deed(bob, session.user_id)
    assert deeds(owner) == []
    disabled = "select banned_until > now() from auth.users where id = %s"
    assert owner.execute(disabled, [session.user_id]).fetchone() == (True,)


async def test_an_operators_browsers_can_be_signed_out_which_is_on_record(session: Session, bob: Session, owner):
    make_operator(owner, session)
    assert await people.sign_out(bob, session.user_id) == 1
    assert await store.are_open([session.id]) == set()
    assert deeds(owner) == [("user.sign_out", str(session.user_id), {})]


@pytest.mark.parametrize("deed", [people.disable, people.enable, people.sign_out, people.delete])
async def test_whoever_is_no_operator_does_nothing(session: Session, bob: Session, owner, deed: Callable):
    with pytest.raises(NotAnOperator):
        await deed(session, session.user_id)
    assert deeds(owner) == []
    assert await store.are_open([session.id]) == {session.id}


async def test_one_browser_is_signed_out_and_the_others_stay(session: Session, bob: Session, sign_in: SignIn, owner):
    other, _ = await signed_in(sign_in, "alice")
    assert await people.sign_out(bob, session.user_id, other.id) == 1
    assert await store.are_open([session.id, other.id]) == {session.id}
    with pytest.raises(NothingToDo):  # somebody else's browser, by its id
        await people.sign_out(bob, session.user_id, bob.id)
    assert await store.are_open([bob.id]) == {bob.id}
    assert deeds(owner) == [("user.sign_out", str(session.user_id), {"device": str(other.id)})]


async def test_all_browsers_are_signed_out(session: Session, bob: Session, sign_in: SignIn):
    other, _ = await signed_in(sign_in, "alice")
    assert await people.sign_out(bob, session.user_id) == 2
    assert await store.are_open([session.id, other.id, bob.id]) == {bob.id}


async def test_an_account_that_is_deleted_goes_with_all_of_it_but_the_record(session: Session, bob: Session, owner):
    await join_waitlist(session.email)
    async with payments.reaching_stripe():
        await people.delete(bob, session.user_id)
    for table in ("auth.users", "profiles", "leads"):
        assert owner.execute(f"select from {table} where email = %s".encode(), [session.email]).fetchall() == []
    assert await store.are_open([session.id]) == set()
    assert deeds(owner) == [("user.delete", str(session.user_id), {})]
    assert not (await shown(UserState, bob, id=str(session.user_id))).found
    with pytest.raises(people.NobodyThere):
        await people.delete(bob, session.user_id)


@pytest.mark.parametrize("by_now", ["new@example.com", None], ids=["another", "gone"])
async def test_with_an_account_goes_nothing_of_an_address_that_it_has_no_more(
    session: Session, bob: Session, owner, monkeypatch: pytest.MonkeyPatch, by_now: str | None
):
    async def address_of(_: UUID) -> str | None:
        return by_now

    for address in (session.email, "new@example.com"):
        await join_waitlist(address)
    monkeypatch.setattr(people.identity, "address_of", address_of)
    async with payments.reaching_stripe():
        said = await people.delete(bob, session.user_id)
    assert f"What is kept by {session.email} stays".lower() in said.lower()
    assert said.startswith("Deleted. A mail tells them so, at the address" if by_now else "Deleted. No mail was sent")
    assert owner.execute("select from auth.users where id = %s", [session.user_id]).fetchall() == []
    left = [session.email, *([] if by_now else ["new@example.com"])]
    assert [email for (email,) in owner.execute("select email from leads order by email")] == left
    farewells = (
        "select args ->> 'sealed' from procrastinate.procrastinate_jobs where task_name = 'accounts:send_farewell'"
    )
    assert [unseal(sealed) for (sealed,) in owner.execute(farewells.encode())] == ([by_now] if by_now else [])


async def test_while_nobody_can_say_what_address_it_has_no_account_is_deleted(
    session: Session, bob: Session, owner, monkeypatch: pytest.MonkeyPatch
):
    async def away(_: UUID) -> None:
        raise IdentityUnavailable

    monkeypatch.setattr(people.identity, "address_of", away)
    with pytest.raises(IdentityUnavailable):
        await people.delete(bob, session.user_id)
    assert deeds(owner) == []
    assert await store.are_open([session.id]) == {session.id}


async def test_what_could_not_be_deleted_at_once_is_told_and_left_to_the_job(
    session: Session, bob: Session, owner, monkeypatch: pytest.MonkeyPatch
):
    async def away(_: object) -> None:
        raise SigmaError

    monkeypatch.setattr("sigma_app.features.accounts.leaving.pictures.remove_all", away)
    async with payments.reaching_stripe():
        with pytest.raises(SigmaError, match="Delete what is left of an account"):
            await people.delete(bob, session.user_id)
    jobs = owner.execute(
        "select args ->> 'user' from procrastinate.procrastinate_jobs where task_name = 'accounts:finish_leaving'"
    ).fetchall()
    assert jobs == [(str(session.user_id),)]
    assert deeds(owner) == [("user.delete", str(session.user_id), {})]
