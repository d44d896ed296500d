"""Schema `billing`: who may see what of it, and the functions that give and take access."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from sigma_app.core.database import ANONYMOUS, SERVICE, Actor
from tests.conftest import Person

TABLES = ("products", "prices", "customers", "checkouts", "purchases", "subscriptions", "access_changes")
FOR_ALL = ("products", "prices")
OWN = ("customers", "purchases", "subscriptions", "access_changes")
WRITES = ("delete from billing.{}", "truncate billing.{} cascade", "insert into billing.{} default values")
ROWS = """
insert into billing.products (id, name, active) values ('prod_1', 'Sigma', true);
insert into billing.prices (id, product_id, active, currency, amount) values ('price_1', 'prod_1', true, 'usd', 100);
"""
ROWS_OF = """
insert into billing.customers (id, user_id) values ('cus_{name}', '{id}');
insert into billing.checkouts (id, customer_id, price_id, status, created_at)
  values ('cs_{name}', 'cus_{name}', 'price_1', 'open', now());
insert into billing.purchases (id, customer_id, price_id, status, amount, currency, created_at)
  values ('cs_{name}', 'cus_{name}', 'price_1', 'paid', 100, 'usd', now());
insert into billing.subscriptions (id, customer_id, price_id, status, current_period_end, created_at)
  values ('sub_{name}', 'cus_{name}', 'price_1', 'active', now(), now());
insert into billing.access_changes (user_id, before, after, rule, cause) values ('{id}', false, true, 'bought', 'test');
"""


def become(connection: psycopg.Connection, actor: Actor) -> None:
    connection.execute("select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                       [actor.role, actor.claims])  # fmt: skip


@pytest.fixture
def paying(owner: psycopg.Connection, alice: Person, bob: Person) -> None:
    owner.execute(ROWS.encode())
    for person in (alice, bob):
        owner.execute(ROWS_OF.format(name=person.email.partition("@")[0], id=person.id).encode())


def count(owner: psycopg.Connection, actor: Actor, table: str) -> int | None:
    with owner.transaction(force_rollback=True):
        become(owner, actor)
        try:
            found = owner.execute(sql.SQL("select count(*) from billing.{}").format(sql.Identifier(table))).fetchone()
        except InsufficientPrivilege:
            return None
    return found[0] if found else 0


def test_every_table_is_known_here_and_has_row_level_security(owner):
    rows = owner.execute(
        "select relname, relrowsecurity from pg_class where relnamespace = 'billing'::regnamespace and relkind = 'r'"
    ).fetchall()
    assert sorted(rows) == sorted((table, True) for table in TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_everybody_sees_what_is_theirs_and_prices_are_everybodys(owner, paying, alice, table):
    assert count(owner, SERVICE, table) == (1 if table in FOR_ALL else 2)
    assert count(owner, ANONYMOUS, table) == (1 if table in FOR_ALL else None)
    assert count(owner, alice.actor, table) == (1 if table in (*FOR_ALL, *OWN) else None)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", WRITES)
def test_nobody_but_the_service_writes(owner, paying, alice, table, statement):
    for actor in (ANONYMOUS, alice.actor):
        with owner.transaction(force_rollback=True):
            become(owner, actor)
            with pytest.raises(InsufficientPrivilege):
                owner.execute(sql.SQL(statement).format(sql.Identifier(table)))


def test_the_record_of_access_is_only_added_to(owner, paying):
    for statement in ("delete from billing.access_changes", "update billing.access_changes set after = false"):
        with owner.transaction(force_rollback=True):
            become(owner, SERVICE)
            with pytest.raises(InsufficientPrivilege):
                owner.execute(statement.encode())


def set_access(
    owner: psycopg.Connection,
    person: Person,
    granted: bool,
    rule: str,
    subject: str = "cs_1",
    price: str = "price_1",
) -> bool:
    with owner.transaction():
        become(owner, SERVICE)
        row = owner.execute(
            "select sigma.set_access(%s, %s, 'cus_1', %s, %s, %s, 'test', 'evt_1')",
            [person.id, granted, price, rule, subject],
        ).fetchone()
    return bool(row and row[0])


def changes(owner: psycopg.Connection, person: Person) -> list[tuple]:
    return owner.execute(
        "select before, after, rule, cause from billing.access_changes where user_id = %s order by id", [person.id]
    ).fetchall()


class TestAccess:
    def test_it_is_written_once_with_a_line_of_why(self, owner, alice):
        assert set_access(owner, alice, True, "bought")
        assert not set_access(owner, alice, True, "bought")
        written = "select has_access, customer_id, price_id from profiles where id = %s"
        assert owner.execute(written, [alice.id]).fetchone() == (True, "cus_1", "price_1")
        assert changes(owner, alice) == [(False, True, "bought", "test")]

    def test_another_rule_is_a_line_although_access_stays(self, owner, alice):
        set_access(owner, alice, True, "subscribed")
        assert not set_access(owner, alice, True, "grace")
        assert changes(owner, alice)[1:] == [(True, True, "grace", "test")]

    def test_what_takes_the_place_of_another_at_the_same_price_is_a_line(self, owner, alice):
        set_access(owner, alice, True, "subscribed", "sub_1")
        assert not set_access(owner, alice, True, "subscribed", "sub_2")
        subjects = owner.execute("select subject from billing.access_changes order by id").fetchall()
        assert subjects == [("sub_1",), ("sub_2",)]
        set_access(owner, alice, False, "ended", "sub_2")
        assert not set_access(owner, alice, False, "ended", "sub_1")  # of two that opened nothing, which is no matter
        assert len(changes(owner, alice)) == 3

    def test_another_price_is_a_line(self, owner, alice):
        set_access(owner, alice, True, "subscribed")
        assert not set_access(owner, alice, True, "subscribed", price="price_2")
        prices = owner.execute("select price_id from billing.access_changes order by id").fetchall()
        assert prices == [("price_1",), ("price_2",)]
        assert owner.execute("select price_id from profiles where id = %s", [alice.id]).fetchone() == ("price_2",)

    def test_a_profile_names_what_is_paid_for_and_not_what_was(self, owner, alice):
        set_access(owner, alice, True, "bought")
        assert set_access(owner, alice, False, "refunded")
        written = "select has_access, customer_id, price_id from profiles where id = %s"
        assert owner.execute(written, [alice.id]).fetchone() == (False, "cus_1", None)
        assert owner.execute("select price_id from billing.access_changes order by id").fetchall()[1] == ("price_1",)

    def test_two_at_once_write_one_line_and_one_of_them_changed_it(self, owner, owner_url, alice):
        with psycopg.connect(owner_url, autocommit=True) as other, ThreadPoolExecutor(1) as beside:
            with owner.transaction():
                owner.execute("select from profiles where id = %s for update", [alice.id])  # so that it comes second
                second = beside.submit(set_access, other, alice, True, "bought")
                waits = "select pid from pg_locks where pid = %s and not granted"
                with psycopg.connect(owner_url, autocommit=True) as watching:
                    while not watching.execute(waits, [other.info.backend_pid]).fetchone():
                        assert not second.done()
                assert set_access(owner, alice, True, "bought")
            assert not second.result(timeout=10)
        assert changes(owner, alice) == [(False, True, "bought", "test")]

    def test_nothing_bought_is_no_line(self, owner, alice):
        assert not set_access(owner, alice, False, "nothing")
        assert changes(owner, alice) == []

    def test_who_changes_it_otherwise_is_on_record(self, owner, alice):
        with owner.transaction():
            become(owner, SERVICE)
            owner.execute("update profiles set has_access = true where id = %s", [alice.id])
        ((before, after, rule, cause),) = changes(owner, alice)
        assert (before, after, rule) == (False, True, "by hand")
        (login, program) = owner.execute("select session_user, current_setting('application_name')").fetchone()
        assert cause.split(", ") == [login, "service_role", *([program] if program else [])]

    def test_a_profile_that_is_deleted_takes_access_along_on_record(self, owner, alice, bob):
        set_access(owner, alice, True, "bought")
        for person in (alice, bob):
            owner.execute("delete from profiles where id = %s", [person.id])
        ((*change, cause),) = changes(owner, alice)[1:]
        assert change == [True, False, "profile deleted"]
        assert cause.startswith(owner.info.user)
        assert changes(owner, bob) == []

    def test_an_account_that_is_deleted_takes_its_record_along(self, owner, alice):
        set_access(owner, alice, True, "bought")
        owner.execute("delete from auth.users where id = %s", [alice.id])
        assert changes(owner, alice) == []

    def test_a_line_by_hand_beside_one_of_ours_in_one_transaction(self, owner, alice, bob):
        with owner.transaction():
            become(owner, SERVICE)
            owner.execute("select sigma.set_access(%s, true, null, null, 'bought', null, 'test', null)", [alice.id])
            owner.execute("update profiles set has_access = true where id = %s", [bob.id])
        assert [rule for _, _, rule, _ in changes(owner, alice) + changes(owner, bob)] == ["bought", "by hand"]

    def test_without_a_profile_there_is_no_access(self, owner, alice):
        owner.execute("delete from profiles where id = %s", [alice.id])
        assert not set_access(owner, alice, True, "bought")
        assert changes(owner, alice) == []

    def test_has_access_says_it_of_whoever_asks(self, owner, alice, bob):
        set_access(owner, alice, True, "bought")
        for person, access in ((alice, True), (bob, False)):
            with owner.transaction(force_rollback=True):
                become(owner, person.actor)
                assert owner.execute("select has_access()").fetchone() == (access,)

    def test_a_policy_of_a_later_table_can_ask(self, owner, alice, bob):
        set_access(owner, alice, True, "bought")
        owner.execute(
            """
            create table public.plans (id int); insert into plans values (1);
            alter table plans enable row level security; grant select on plans to authenticated;
            create policy members on plans for select to authenticated using ((select has_access()));
            """
        )
        for person, seen in ((alice, 1), (bob, 0)):
            with owner.transaction(force_rollback=True):
                become(owner, person.actor)
                assert owner.execute("select count(*) from plans").fetchone() == (seen,)

    def test_the_sessions_of_whom_it_is_about_are_told(self, owner, owner_url, alice, bob):
        opened = (
            "insert into sigma.sessions (digest, user_id, email, tokens, tokens_end_at) values (%s, %s, '', '', now())"
        )
        for number, person in enumerate((alice, alice, bob)):
            owner.execute(opened.encode(), [bytes([number]), person.id])
        with psycopg.connect(owner_url, autocommit=True) as listening:
            listening.execute("listen sigma_billing")
            set_access(owner, alice, True, "bought")
            told = {notice.payload for notice in listening.notifies(timeout=10, stop_after=2)}
        hers = owner.execute("select id::text from sigma.sessions where user_id = %s", [alice.id]).fetchall()
        assert told == {row[0] for row in hers}

    def test_a_customers_profile_that_is_made_anew_is_looked_at_again(self, owner, paying, alice):
        owner.execute("delete from profiles where id = %s", [alice.id])
        owner.execute("insert into profiles (id) values (%s)", [alice.id])
        jobs = owner.execute(
            "select args ->> 'user' from procrastinate.procrastinate_jobs where task_name = 'billing:look_again'"
        ).fetchall()
        assert jobs == [(str(alice.id),)]


class TestCustomers:
    def test_nobody_is_two_customers_at_once(self, owner, alice):
        one = "insert into billing.customers (id, user_id, deleted_at) values (%s, %s, %s)"
        owner.execute(one, ["cus_1", alice.id, "2026-01-02 03:04:05+00"])
        owner.execute(one, ["cus_2", alice.id, "2026-01-02 03:04:05+00"])
        owner.execute(one, ["cus_3", alice.id, None])
        with pytest.raises(UniqueViolation, match="customers_user"):
            owner.execute(one, ["cus_4", alice.id, None])

    def test_with_an_account_goes_who_it_is_at_stripe_unless_they_have_gone_there(self, owner, paying, alice, bob):
        owner.execute("update billing.customers set deleted_at = now() where user_id = %s", [alice.id])
        for person in (alice, bob):
            owner.execute("delete from auth.users where id = %s", [person.id])
        closing = owner.execute(
            "select args ->> 'customer' from procrastinate.procrastinate_jobs"
            " where task_name = 'billing:close_customer'"
        ).fetchall()
        assert closing == [("cus_bob",)]

    def test_of_each_reason_to_look_again_one_waits(self, owner, alice, bob):
        look = "select sigma.queue_look_again(%s, %s, now() + interval '1 day')"
        for person, cause in ((alice, "a"), (alice, "a"), (alice, "b"), (bob, "a")):
            owner.execute(look, [person.id, cause])
        waiting = "select count(*) from procrastinate.procrastinate_jobs where task_name = 'billing:look_again'"
        assert owner.execute(waiting).fetchone() == (3,)
        owner.execute("update procrastinate.procrastinate_jobs set status = 'doing'")  # what comes now, it may not see
        owner.execute(look, [alice.id, "a"])
        assert owner.execute(waiting).fetchone() == (4,)


class TestEvents:
    KEEP = "select sigma.keep_stripe_event(%s, 'invoice.paid', 'cus_1', now(), '{}')"

    def test_one_is_kept_once_with_one_job(self, owner):
        kept = [owner.execute(self.KEEP.encode(), ["evt_1"]).fetchone() for _ in range(3)]
        assert kept == [(True,), (False,), (False,)]
        jobs = owner.execute("select task_name, args from procrastinate.procrastinate_jobs").fetchall()
        assert jobs == [("billing:apply_event", {"event_id": "evt_1"})]
