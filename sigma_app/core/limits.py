"""How often something may happen: sliding windows from the `limits` library, in this process's memory.

With several backends each counts for itself, so a limit is then up to that many times as wide.
"""

from __future__ import annotations

import math
import time
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
        self._rules: list[RateLimitItem] = parse_many(rules)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def wait(self, key: str) -> int:
        """Count one use of `key`; the seconds to wait when that is one too many, else 0.

        Keys are hashed, so that a memory dump holds no address of a person.
        """
        digest = blake2b(key.encode(), digest_size=16).hexdigest()
        for rule in self._rules:
            if not self._limiter.hit(rule, self._name, digest):
                reset = self._limiter.get_window_stats(rule, self._name, digest).reset_time
                return max(1, math.ceil(reset - time.time()))
        return 0
