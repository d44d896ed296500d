"""Compares what people were told with what is there afterwards: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from typing import Any

import httpx
import psycopg

from tests.faults.crowd import BOUND, Crowd
from tests.sigma import Sigma

# A worker that died is noticed after 20, and its jobs run within a minute; one that lives, and could not say what
# became of a job, is believed to be at it for ten.
CALM_SECONDS = 720


def calm(sigma: Sigma, *, long: bool) -> None:
    """Return when the queue is empty, but for what is due later than any retry of ours.

    Args:
        sigma: whose.
        long: whether the queue is left to itself; else workers that died are noticed sooner, and retries do not wait.

    Raises:
        AssertionError: it is not, in time, or a job has failed for good.
    """
    begun = hastened = time.monotonic()
    while left := _rows(sigma, _LEFT):
        assert not any(status == "failed" for _, status, *_ in left), left
        assert time.monotonic() - begun < CALM_SECONDS, left
        if not long and time.monotonic() >= hastened:
            hasten(sigma)
            hastened = time.monotonic() + 1
        time.sleep(0.2)


def hasten(sigma: Sigma) -> None:
    """Notice workers that died without waiting for their silence, and try again now what is to be tried later."""
    with sigma.database() as owner:
        owner.execute(
            "update procrastinate.procrastinate_workers set last_heartbeat = last_heartbeat - interval '1 minute'"
            " where last_heartbeat < now() - interval '8 seconds'"  # who lives says so every five
        )
        owner.execute(
            "update procrastinate.procrastinate_events set at = at - interval '11 minutes'"
            " where type = 'started' and at < now() - interval '20 seconds'"
        )
        owner.execute("select sigma.queue_job('core:retry_stalled_jobs', '{\"timestamp\": 0}')")
        owner.execute(
            "update procrastinate.procrastinate_jobs set scheduled_at = now()"
            " where status = 'todo' and attempts > 0 and scheduled_at > now()"
        )


def ready(sigma: Sigma, seconds: float = 60) -> None:
    """Return when /readyz says that everything works."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = httpx.get(f"{sigma.base_url}/readyz", timeout=2 * BOUND, trust_env=False)
            if answer.status_code == httpx.codes.OK:
                return
            said = answer.text
        except httpx.TransportError as error:
            said = repr(error)
        assert time.monotonic() < deadline, said
        time.sleep(0.1)


def all_well(crowd: Crowd, *, long: bool, cut: bool = False, silent: Collection[str] = ()) -> None:
    """Everything that the crowd was told is so, once and no more, and nobody was left without a word.

    Args:
        crowd: which has gone home.
        long: see `calm`.
        cut: whether connections to Sigma itself were to break.
        silent: kinds of wishes that may have had no answer, which the page's own script says then.
    """
    sigma = crowd.sigma
    ready(sigma)
    calm(sigma, long=long)
    _well_told(crowd, cut, silent)
    _joins(crowd)
    _accounts(crowd)
    _names(crowd)
    _payments(crowd)
    _events(crowd)


def _well_told(crowd: Crowd, cut: bool, silent: Collection[str]) -> None:
    for one in crowd.told:
        assert one.outcome != "hung" or one.what in silent, one
        assert cut or one.outcome != "cut", one
        if one.outcome == "later":
            assert one.words.endswith((".", "!")), one
            assert "Traceback" not in one.words, one
            assert "Error" not in one.words, one


def _joins(crowd: Crowd) -> None:
    acknowledged = _addresses(crowd, "join", done=True) | _addresses(crowd, "socket", done=True)
    tried = _addresses(crowd, "join") | _addresses(crowd, "socket")
    rows = Counter(email for (email,) in _rows(crowd.sigma, "select email from leads"))
    mails = _mails(crowd.sigma, "Confirm your place in line")
    assert acknowledged - rows.keys() == set(), "acknowledged, and not on the list"
    assert rows.keys() <= tried
    assert {email: count for email, count in rows.items() if count != 1} == {}
    assert mails == dict.fromkeys(rows, 1)


def _accounts(crowd: Crowd) -> None:
    acknowledged, tried = _addresses(crowd, "sign-up", done=True), _addresses(crowd, "sign-up")
    users = Counter(email for (email,) in _rows(crowd.sigma, "select email from auth.users") if email in tried)
    mails = _mails(crowd.sigma, "Confirm your address")
    assert acknowledged - users.keys() == set(), "acknowledged, and no account"
    assert {email: count for email, count in users.items() if count != 1} == {}
    assert {email: mails.get(email, 0) for email in acknowledged if mails.get(email, 0) != 1} == {}
    assert {email: count for email, count in mails.items() if email in tried and count > 1} == {}


def _names(crowd: Crowd) -> None:
    """Each profile has the last name that was acknowledged, or one that its owner tried after that."""
    stored = {name for (name,) in _rows(crowd.sigma, "select name from profiles") if name}
    ends: dict[str, list[str]] = {}
    for one in crowd.told:
        if one.what == "edit":
            names = ends.setdefault(one.who.split("-")[1], [])
            names[:] = [one.who] if one.outcome == "done" else [*names, one.who]
    for number, names in ends.items():
        assert stored & set(names), (number, names, stored)


def _payments(crowd: Crowd) -> None:
    acknowledged = crowd.done("pay")
    tried = {who for what, who in crowd.tried if what == "pay"}
    if not tried:
        return
    access = {str(user) for (user,) in _rows(crowd.sigma, "select id from profiles where has_access")}
    given = Counter(str(user) for (user,) in _rows(crowd.sigma, _GIVEN))
    purchases = Counter(str(user) for (user,) in _rows(crowd.sigma, _PURCHASES))
    charges = Counter(user for (user,) in _rows(crowd.sigma, _CHARGES))
    assert acknowledged - access == set(), "paid, and no access"
    assert access <= tried
    assert given == purchases == charges == dict.fromkeys(access, 1)


def _events(crowd: Crowd) -> None:
    acknowledged = {f"evt_{who}" for who in crowd.done("event")}
    handled = {event for (event,) in _rows(crowd.sigma, _HANDLED)}
    assert acknowledged - handled == set(), "acknowledged, and not applied"


def _addresses(crowd: Crowd, what: str, *, done: bool = False) -> set[str]:
    wishes = crowd.done(what) if done else {who for kind, who in crowd.tried if kind == what}
    return {f"{who}@example.com" for who in wishes}


def _mails(sigma: Sigma, subject: str) -> dict[str, int]:
    """How many mails with this subject each address got."""
    rows = _rows(sigma, "select unnest(recipients), subject from sigma.mailbox")
    return Counter(recipient for recipient, about in rows if about == subject)


def _rows(sigma: Sigma, statement: str) -> list[tuple[Any, ...]]:
    with sigma.database() as owner, psycopg.ClientCursor(owner) as cursor:
        return cursor.execute(statement.encode()).fetchall()


# What is to run at its own time, in minutes or at night, is not waited for; nor does it matter that what runs by the
# clock and is not tried again, since its next time comes anyhow, failed in the middle of a fault.
_LEFT = """
select task_name, status::text, attempts, scheduled_at, args from procrastinate.procrastinate_jobs
where status in ('todo', 'doing', 'failed') and coalesce(scheduled_at, now()) < now() + interval '10 minutes'
  and not (status = 'failed' and args ? 'timestamp')
"""
_GIVEN = "select user_id from billing.access_changes where after and not before"
_PURCHASES = """
select customer.user_id from billing.purchases as purchase join billing.customers as customer
on customer.id = purchase.customer_id where purchase.status = 'paid'
"""
_CHARGES = """
select customer.user_id::text from sigma.sandbox_objects as charge
join billing.customers as customer on customer.id = charge.body ->> 'customer'
where charge.kind = 'charge' and charge.body ->> 'status' = 'succeeded'
"""
_HANDLED = "select id from sigma.webhook_events where source = 'stripe' and handled_at is not null"
