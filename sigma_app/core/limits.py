"""How often something may happen: sliding windows from the `limits` library.

The counters are in Redis where REFLEX_REDIS_URL names one, and all processes share them; else in this process's memory.
While Redis does not answer each process begins to count for itself, so a limit is then up to that many times as wide:
nobody is locked out for it, and nobody gets in for long. Redis is asked again every few seconds.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections import OrderedDict
from functools import cache
from hashlib import blake2b

from limits import RateLimitItem, parse_many
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter as SharedWindow
from limits.errors import StorageError
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter as OwnWindow
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sigma_app.core.metrics import LIMITS_SHARED
from sigma_app.settings import get_settings

_ANSWER_SECONDS = 0.25  # that Redis may take; nobody waits longer for a counter
_AWAY_SECONDS = 5  # for which it is not asked again, once it gave no answer
_PREFIX = "sigma:limit"

logger = logging.getLogger(__name__)


class Limiter:
    """Counts uses of a thing by key, and says how long to wait when there were too many."""

    def __init__(self, name: str, rules: str):
        """Name what is limited.

        Args:
            name: what the counters belong to.
            rules: in the notation of `limits`, such as "60/minute;600/hour".
        """
        self._name = name
        self._rules: list[tuple[RateLimitItem, OwnWindow]] = [
            (rule, OwnWindow(_Counters())) for rule in parse_many(rules)
        ]

    async def wait(self, key: str) -> int:
        """Count one use of `key`; the seconds to wait when that is one too many, else 0.

        Keys are hashed, so that neither a memory dump nor Redis holds an address of a person.
        """
        digest = self._digest(key)
        if (shared := _shared_counters()) and shared.is_worth_asking():
            try:
                wait = await self._wait_shared(shared.window, digest)
            except StorageError as error:
                shared.note_absence(error)
            else:
                shared.note_answer()
                return wait
        return self._wait_here(digest)

    async def forget(self, key: str) -> None:
        """Take back every use of `key`."""
        digest = self._digest(key)
        for rule, window in self._rules:
            window.clear(rule, self._name, digest)
        if (shared := _shared_counters()) and shared.is_worth_asking():
            try:
                for rule, _ in self._rules:
                    await shared.window.clear(rule, self._name, digest)
            except StorageError as error:
                shared.note_absence(error)

    async def _wait_shared(self, window: SharedWindow, digest: str) -> int:
        for rule, _ in self._rules:
            if not await window.hit(rule, self._name, digest):
                return _seconds_until((await window.get_window_stats(rule, self._name, digest)).reset_time)
        return 0

    def _wait_here(self, digest: str) -> int:
        for rule, window in self._rules:
            if not window.hit(rule, self._name, digest):
                return _seconds_until(window.get_window_stats(rule, self._name, digest).reset_time)
        return 0

    @staticmethod
    def _digest(key: str) -> str:
        return blake2b(key.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _seconds_until(time_of_day: float) -> int:
    return max(1, math.ceil(time_of_day - time.time()))


class _Shared:
    """The counters in Redis, and whether it answers."""

    def __init__(self, address: str):
        """Name Redis; nothing is asked of it yet."""
        storage = RedisStorage(
            f"async+{re.sub('^unix:', 'redis+unix:', address)}",  # as `limits` writes it
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix=_PREFIX,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # pyright: ignore[reportArgumentType] - passed on to redis-py as it is
        )
        self.window = SharedWindow(storage)
        self._away_until = 0.0
        self._away = False
        LIMITS_SHARED.set(1)

    def is_worth_asking(self) -> bool:
        """Whether it answered the last time, or that was a while ago."""
        return time.monotonic() >= self._away_until

    def note_absence(self, error: StorageError) -> None:
        """Ask no more for a while; say so once."""
        self._away_until = time.monotonic() + _AWAY_SECONDS
        if not self._away:
            cause = type(error.storage_error).__name__  # its message may repeat the address, and with it a password
            logger.warning("Redis does not answer (%s): for now each process counts its limits for itself.", cause)
        self._away = True
        LIMITS_SHARED.set(0)

    def note_answer(self) -> None:
        """It is there; said once after it was not."""
        if self._away:
            logger.warning("Redis answers again: the limits are counted there, for all processes.")
            self._away = False
            LIMITS_SHARED.set(1)


@cache
def _shared_counters() -> _Shared | None:
    address = get_settings().redis_url
    return _Shared(address.get_secret_value()) if address else None


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
