"""The commands around payments, as an operator types them."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.sigma import Sigma


@pytest.fixture
def laid(owner_url: str, tmp_path: Path) -> Sigma:
    """A Sigma whose sandbox has the plans; its database is the test's, so that nothing has to be started."""
    sigma = Sigma(tmp_path / "data", variables={"DATABASE_URL": owner_url})
    done = sigma.run("stripe-setup")
    assert done.returncode == 0, done.stderr
    assert "price sigma_monthly: made as price_" in done.stdout
    assert "whsec_" not in done.stdout  # the sandbox needs no endpoint
    return sigma


def test_laying_twice_changes_nothing_and_comparing_finds_nothing(laid: Sigma):
    again = laid.run("stripe-setup").stdout
    assert "made" not in again
    assert again.count("as it should be") == 5
    done = laid.run("reconcile")
    assert done.returncode == 0
    assert done.stdout.endswith("and everybody's access, 5 in all; none had to be repaired.\n")


def test_what_differs_is_said_and_repaired(laid: Sigma, owner: psycopg.Connection):
    owner.execute("update billing.prices set amount = 1 where lookup_key = 'sigma_monthly'")
    owner.execute("insert into auth.users (id, email) values (%s, 'alice@example.com')", [uuid4()])
    owner.execute("update profiles set has_access = true")
    done = laid.run("reconcile")
    assert "amount was 1, is 2900" in done.stdout
    assert "had access, and has no access by what was paid" in done.stdout
    assert "2 differed, and are repaired." in done.stdout
    why = laid.run("access-why", "ALICE@example.com")
    assert "no access, customer none" in why.stdout
    assert "by hand" in why.stdout
    assert "compared with Stripe" in why.stdout


def test_what_somebody_pays_for_is_shown(laid: Sigma, owner: psycopg.Connection):
    alice = uuid4()
    owner.execute("insert into auth.users (id, email) values (%s, 'alice@example.com')", [alice])
    owner.execute("insert into billing.customers (id, user_id) values ('cus_1', %s)", [alice])
    owner.execute(
        "insert into billing.purchases"
        " (id, customer_id, price_id, status, amount, refunded, currency, dispute, created_at)"
        " values ('cs_1', 'cus_1', 'price_gone', 'paid', 69000, 100, 'usd', 'open', '2026-01-02 03:04:05+00')"
    )
    owner.execute(
        "insert into billing.subscriptions"
        " (id, customer_id, price_id, status, current_period_end, cancel_at, created_at)"
        " select 'sub_1', 'cus_1', id, 'active', '2026-03-01+00', '2026-03-01+00', '2026-02-01+00' from billing.prices"
        " where lookup_key = 'sigma_monthly'"
    )
    for who in ("cus_1", str(alice)):
        shown = laid.run("access-why", who).stdout.splitlines()
        assert shown[1:3] == [
            "2026-01-02 03:04:05 UTC  purchase cs_1 (price_gone): paid, $690.00 in all, $1.00 given back, dispute open",
            "2026-02-01 00:00:00 UTC  subscription sub_1 (sigma_monthly, $29.00 a month): active,"
            " period ends 2026-03-01, canceled for 2026-03-01",
        ]


def test_nobody_by_that_name(laid: Sigma):
    done = laid.run("access-why", "nobody@example.com")
    assert (done.returncode, done.stderr) == (1, "nobody@example.com: nobody with an account.\n")


def test_events_that_failed_are_listed_and_replayed(laid: Sigma, owner: psycopg.Connection):
    owner.execute("select sigma.keep_stripe_event('evt_1', 'invoice.paid', 'cus_1', now(), '{}')")
    owner.execute("update sigma.webhook_events set tries = 10, error = 'PaymentsRefused: no'")
    owner.execute("delete from procrastinate.procrastinate_jobs")
    listed = laid.run("stripe-events").stdout
    assert "0 worked, 0 waiting, 1 failed." in listed
    assert "PaymentsRefused" in listed
    done = laid.run("stripe-events", "--replay", "evt_1")
    assert "1 event put back into the queue." in done.stdout
    assert laid.run("stripe-events", "--replay", "evt_2").returncode == 1
    jobs = owner.execute("select args ->> 'event_id' from procrastinate.procrastinate_jobs").fetchall()
    assert jobs == [("evt_1",)]


def test_an_event_that_was_worked_is_worked_again_when_it_is_asked_for_by_name(laid: Sigma, owner: psycopg.Connection):
    for event in ("evt_1", "evt_2"):
        owner.execute("select sigma.keep_stripe_event(%s, 'invoice.paid', 'cus_1', now(), '{}')", [event])
    owner.execute("update sigma.webhook_events set handled_at = now()")
    owner.execute("delete from procrastinate.procrastinate_jobs")
    assert "0 events put back into the queue." in laid.run("stripe-events", "--replay-all").stdout
    done = laid.run("stripe-events", "--replay", "evt_1")
    assert "1 event put back into the queue." in done.stdout
    waiting = owner.execute("select id from sigma.webhook_events where handled_at is null").fetchall()
    assert waiting == [("evt_1",)]
    jobs = owner.execute("select args ->> 'event_id' from procrastinate.procrastinate_jobs").fetchall()
    assert jobs == [("evt_1",)]
