"""How often something may happen: sliding windows from the `limits` library, in this process's memory.

With several backends each counts for itself, so a limit is then up to that many times as wide.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from hashlib import blake2b

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter


class Limiter:
    """Counts uses of a thing by key, and says how long to wait when there were too many."""

    def __init__(self, name: str, rules: str):
        """Name what is limited.

        Args:
            name: what the counters belong to.
            rules: in the notation of `limits`, such as "60/minute;600/hour".
        """
        self._name = name
        self._rules: list[tuple[RateLimitItem, SlidingWindowCounterRateLimiter]] = [
            (rule, SlidingWindowCounterRateLimiter(_Counters())) for rule in parse_many(rules)
        ]

    def wait(self, key: str) -> int:
        """Count one use of `key`; the seconds to wait when that is one too many, else 0.

        Keys are hashed, so that a memory dump holds no address of a person.
        """
        digest = self._digest(key)
        for rule, limiter in self._rules:
            if not limiter.hit(rule, self._name, digest):
                reset = limiter.get_window_stats(rule, self._name, digest).reset_time
                return max(1, math.ceil(reset - time.time()))
        return 0

    def forget(self, key: str) -> None:
        """Take back every use of `key`."""
        digest = self._digest(key)
        for rule, limiter in self._rules:
            limiter.clear(rule, self._name, digest)

    @staticmethod
    def _digest(key: str) -> str:
        return blake2b(key.encode("utf-8", "replace"), digest_size=16).hexdigest()


class _Counters(MemoryStorage):
    """The counters of one rule, forgotten in the order in which they expire.

    The storage's own way is a thread, started up to a hundred times a second, that looks at every key it knows: with
    50,000 addresses that cost more than a millisecond for each join. Here all keys live equally long, so those that
    expire first are always in front. Only for use from one thread, as an event loop is.
    """

    def __init__(self):
        super().__init__()
        self.expirations = OrderedDict()  # finds its first at once, whatever left before it

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        while self.expirations and self.expirations[first := next(iter(self.expirations))] <= now:
            self.clear(first)
        count = self.storage[key] = self.storage[key] + amount
        self.expirations.setdefault(key, now + expiry)
        return count
