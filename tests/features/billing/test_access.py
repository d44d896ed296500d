"""Access as a table: each state of a purchase and of a subscription, alone and together."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from sigma_app.features.billing import money
from sigma_app.features.billing.access import GRACE, NOTHING, RULES, decide
from sigma_app.models import Purchase, Subscription

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def bought(status: str = "paid", **columns) -> Purchase:
    known = {"id": "cs_1", "customer_id": "cus_1", "price_id": "price_once", "amount": 69_000, "currency": "usd"}
    return Purchase(**known | {"status": status, "created_at": NOW - 30 * DAY} | columns)


def subscribed(status: str = "active", **columns) -> Subscription:
    known = {"id": "sub_1", "customer_id": "cus_1", "price_id": "price_monthly", "created_at": NOW - 40 * DAY}
    known |= {"paid_once": True}
    return Subscription(**known | {"status": status, "current_period_end": NOW + 20 * DAY} | columns)


SUBSCRIPTIONS = [
    (subscribed("active"), True, "subscribed"),
    (subscribed("active", cancel_at=NOW + DAY), True, "subscribed"),
    (subscribed("trialing", trial_end=NOW + DAY), True, "trial"),
    (subscribed("past_due", past_due_since=NOW), True, "grace"),
    (subscribed("past_due", past_due_since=NOW - GRACE + SECOND), True, "grace"),
    (subscribed("past_due", past_due_since=NOW - GRACE), False, "overdue"),
    (subscribed("past_due", past_due_since=NOW - 300 * DAY), False, "overdue"),
    (subscribed("active", collecting=True), True, "collecting"),
    (subscribed("canceled", collecting=True), False, "ended"),
    (subscribed("past_due", past_due_since=NOW, paid_once=False), False, "bounced"),
    (subscribed("canceled", end_reason="payment_failed"), False, "lapsed"),
    (subscribed("canceled", end_reason="cancellation_requested"), False, "ended"),
    (subscribed("unpaid"), False, "unpaid"),
    (subscribed("canceled", ended_at=NOW - SECOND), False, "ended"),
    (subscribed("canceled", current_period_end=NOW + 20 * DAY), False, "ended"),
    (subscribed("incomplete"), False, "incomplete"),
    (subscribed("incomplete_expired"), False, "expired"),
    (subscribed("paused"), False, "paused"),
    (subscribed("gone"), False, "gone"),
    (subscribed("other"), False, "other"),
    (subscribed("a word that Stripe adds later"), False, "ended"),
]
PURCHASES = [
    (bought("paid"), True, "bought"),
    (bought("paid", amount=0), True, "bought"),
    (bought("paid", refunded=1), True, "bought"),
    (bought("paid", refunded=68_999), True, "bought"),
    (bought("paid", refunded=69_000), False, "refunded"),
    (bought("paid", dispute="open"), True, "disputed"),
    (bought("paid", dispute="won"), True, "bought"),
    (bought("paid", dispute="lost"), False, "charged back"),
    (bought("paid", dispute="open", refunded=69_000), False, "refunded"),
    (bought("processing"), False, "processing"),
    (bought("failed"), False, "failed"),
    (bought("gone"), False, "gone"),
]


@pytest.mark.parametrize(("one", "access", "rule"), SUBSCRIPTIONS)
def test_a_subscription_alone(one: Subscription, access: bool, rule: str):
    decision = decide([], [one], NOW)
    assert (decision.access, decision.rule, decision.subject, decision.price) == (access, rule, one.id, one.price_id)


@pytest.mark.parametrize(("one", "access", "rule"), PURCHASES)
def test_a_purchase_alone(one: Purchase, access: bool, rule: str):
    decision = decide([one], [], NOW)
    assert (decision.access, decision.rule, decision.subject, decision.price) == (access, rule, one.id, one.price_id)


@pytest.mark.parametrize(("purchase", "opens", "_"), PURCHASES)
@pytest.mark.parametrize(("subscription", "runs", "__"), SUBSCRIPTIONS)
def test_either_is_enough(purchase, opens, _, subscription, runs, __):
    assert decide([purchase], [subscription], NOW).access is (opens or runs)


def test_nothing_bought_is_no_access():
    assert decide([], [], NOW) == NOTHING
    assert not NOTHING.access


def test_of_several_grounds_the_running_subscription_counts_first():
    running, trial, once = subscribed("active"), subscribed("trialing", id="sub_2"), bought()
    late = subscribed("past_due", id="sub_3", past_due_since=NOW)
    for some in permutations([running, trial, late]):
        assert decide([once], some, NOW).subject == running.id
    assert decide([once], [late, trial], NOW).subject == trial.id
    assert decide([once], [late], NOW).subject == once.id


def test_without_access_the_youngest_says_why():
    ended = subscribed("canceled", created_at=NOW - 400 * DAY)
    failed = bought("failed", created_at=NOW - DAY)
    assert decide([failed], [ended], NOW).rule == "failed"
    failed.created_at = NOW - 500 * DAY
    assert decide([failed], [ended], NOW).rule == "ended"


def test_the_order_of_rows_does_not_matter():
    some = [one for one, _, _ in SUBSCRIPTIONS[3:9]]
    for number, one in enumerate(some):
        one.id = f"sub_{number}"
    expected = decide([], some, NOW)
    assert all(decide([], order, NOW) == expected for order in permutations(some, len(some)))


@pytest.mark.parametrize(
    ("purchase", "subscription", "held", "rule"),
    [
        # What gave access last says why there is none, whatever was bought beside it.
        (bought(dispute="lost"), subscribed("canceled", ended_at=NOW), "sub_1", "ended"),
        (bought(refunded=69_000), subscribed("canceled", ended_at=NOW - 35 * DAY), "cs_1", "refunded"),
        # What was begun since says how it stands itself.
        (bought("processing"), subscribed("canceled", ended_at=NOW - 31 * DAY), "sub_1", "processing"),
        (bought("processing"), subscribed("unpaid"), "sub_1", "processing"),
        # Nothing gave any, or what did is not there any more: the youngest.
        (bought("failed"), subscribed("incomplete_expired"), None, "failed"),
        (bought("failed"), subscribed("incomplete_expired"), "sub_gone", "failed"),
    ],
)
def test_what_gave_access_last_says_why_it_is_gone(purchase, subscription, held, rule):
    decision = decide([purchase], [subscription], NOW, held)
    assert (decision.access, decision.rule) == (False, rule)


def test_grace_is_seven_days():
    assert timedelta(days=7) == GRACE


def test_grace_says_when_it_ends_and_nothing_else_does():
    since = NOW - 3 * DAY
    assert decide([], [subscribed("past_due", past_due_since=since)], NOW).until == since + GRACE
    assert decide([], [subscribed("active")], NOW).until is None
    assert decide([], [subscribed("past_due", past_due_since=NOW - GRACE)], NOW).until is None


def test_every_rule_has_words():
    rules = {rule for _, _, rule in [*SUBSCRIPTIONS, *PURCHASES]} | {"nothing", "by hand", "profile deleted"}
    assert rules == set(RULES)


def test_amounts_in_words():
    assert doctest.testmod(money).failed == 0
    assert doctest.testmod(money).attempted
