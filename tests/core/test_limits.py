"""The limits on how often something may happen."""

from __future__ import annotations

import threading

import pytest

from sigma_app.core.limits import Limiter, _Counters

pytestmark = pytest.mark.anyio


async def test_one_too_many_waits_and_may_again_later(clock):
    limiter = Limiter("test", "2/minute")
    assert [await limiter.wait("alice"), await limiter.wait("alice")] == [0, 0]
    assert 0 < await limiter.wait("alice") <= 60
    assert await limiter.wait("bob") == 0
    clock(120)
    assert await limiter.wait("alice") == 0


async def test_every_rule_counts(clock):
    limiter = Limiter("test", "2/minute;3/hour")
    for _ in range(3):
        assert await limiter.wait("alice") == 0
        clock(120)
    assert await limiter.wait("alice") > 60


async def test_counters_are_forgotten_and_no_thread_is_left_to_do_it(clock):
    limiter = Limiter("test", "10/minute")
    (_, rule) = limiter._rules[0]
    before = set(threading.enumerate())
    for number in range(1000):
        await limiter.wait(f"visitor {number}")
    assert len(rule.storage.storage) == 1000  # pyright: ignore[reportAttributeAccessIssue]
    clock(180)
    await limiter.wait("the next visitor")
    assert len(rule.storage.storage) == 1  # pyright: ignore[reportAttributeAccessIssue]
    assert set(threading.enumerate()) <= before


async def test_what_no_text_can_hold_is_counted_as_well(clock):
    """Half of a surrogate pair, as JSON can say it."""
    limiter = Limiter("test", "1/minute")
    assert await limiter.wait("alice\ud800") == 0
    assert await limiter.wait("alice\ud800") > 0


def test_a_counter_that_is_used_again_lives_no_longer_for_it(clock):
    """Or it would be in front of others that expire before it, and keep them."""
    counters = _Counters()
    counters.incr("alice", 60)
    clock(30)
    assert counters.incr("alice", 60) == 2
    clock(31)
    counters.incr("bob", 60)
    assert list(counters.storage) == ["bob"]
