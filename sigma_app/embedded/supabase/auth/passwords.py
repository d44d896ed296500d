"""Passwords as GoTrue keeps them: bcrypt at cost 10, off the event loop, with a line that may only grow so long.

A hash is 50 ms and more of one core. As many are made at a time as there are cores, and whoever would wait for longer
than `LONGEST_WAIT` is sent away at once, to come back: the server answers everything else meanwhile.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt

from sigma_app.core.errors import SigmaError
from sigma_app.settings import Settings

COST = 10  # what GoTrue hashes at
MOST_BYTES = 72  # bcrypt reads no more; GoTrue takes no longer password
LONGEST_WAIT = 5.0  # seconds, of the last in line
_GUESS = 0.1  # seconds for a hash, until one was measured
_WEIGHT = 0.1  # of the newest measurement against all before

_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|1[0-2])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
"""Any cost up to four times ours: what pgcrypto makes by itself, 6, is in many a project's seeds."""
_NOBODYS = "$2a$10$y5SBdZc7IZQ5Lga23zMzKuXae78BbAxdS9Odtxw9K20ovj6Hy2XCi"  # of no password; costs the same
_SURROGATES = re.compile("[\ud800-\udfff]")

Result = TypeVar("Result")


class Busy(SigmaError):
    """Too many people are signing in at this moment. Please try again shortly."""

    status = 503

    def __init__(self, retry_after: int):
        super().__init__()
        self.retry_after = retry_after
        """Seconds after which there may be room."""


class Passwords:
    """Hashes, compares and judges passwords. For use from one event loop."""

    def __init__(self, settings: Settings):
        """Start no thread yet."""
        self._shortest = settings.auth_password_length
        self._classes = _classes(settings.auth_password_classes)
        self._threads = _cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="bcrypt")
        self._seconds = _GUESS
        self._in_hand = 0

    async def hash(self, password: str) -> str:
        """What is stored of `password`, which is not `too_long`, in the form that a hosted project takes.

        Raises:
            Busy: the line is full.
        """
        return await self._off_the_loop(_hash, password)

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether `hashed` is of this password; after the same work where there is none, or one of another kind.

        As with GoTrue, what follows the 72nd byte does not count.

        Raises:
            Busy: the line is full.
        """
        return await self._off_the_loop(_matches, password, hashed or "")

    def check_strength(self, password: str) -> list[str]:
        """Why `password` is too weak: "length" (in bytes of UTF-8), "characters"; empty if it is not."""
        reasons = []
        if len(_encoded(password)) < self._shortest:
            reasons.append("length")
        if any(set(password).isdisjoint(each) for each in self._classes):
            reasons.append("characters")
        return reasons

    def explain(self, reasons: list[str]) -> str:
        """The reasons of `check_strength` as GoTrue tells them."""
        told = {
            "length": f"Password should be at least {self._shortest} characters.",
            "characters": f"Password should contain at least one character of each: {', '.join(self._classes)}.",
        }
        return " ".join(told[reason] for reason in reasons)

    @staticmethod
    def too_long(password: str) -> bool:
        """Whether it has more than 72 bytes of UTF-8."""
        return len(_encoded(password)) > MOST_BYTES

    async def _off_the_loop(self, work: Callable[..., Result], *arguments: str) -> Result:
        wait = self._in_hand * self._seconds / self._threads
        if wait >= LONGEST_WAIT:
            raise Busy(math.ceil(wait))
        self._in_hand += 1
        try:
            loop = asyncio.get_running_loop()
            seconds, result = await loop.run_in_executor(self._pool, _timed, work, *arguments)
        finally:
            self._in_hand -= 1  # a waiter that is cancelled leaves the pool's line as well
        self._seconds += _WEIGHT * (seconds - self._seconds)
        return result


def is_hash(text: str) -> bool:
    """Whether `text` is a hash of bcrypt that `Passwords.matches` goes by."""
    return _HASH.fullmatch(text) is not None


def _timed(work: Callable[..., Result], *arguments: str) -> tuple[float, Result]:
    start = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - start, result


def _hash(password: str) -> str:
    return bcrypt.hashpw(_encoded(password), bcrypt.gensalt(COST, prefix=b"2a")).decode()


def _matches(password: str, hashed: str) -> bool:
    is_known = is_hash(hashed)
    is_same = bcrypt.checkpw(_encoded(password)[:MOST_BYTES], (hashed if is_known else _NOBODYS).encode())
    return is_known and is_same


def _encoded(password: str) -> bytes:
    """UTF-8, with U+FFFD for what has none, as Go reads JSON. NUL bytes count, and end nothing: so does Go's bcrypt."""
    return _SURROGATES.sub("\ufffd", password).encode()


def _classes(setting: str) -> list[str]:
    r"""The sets of characters of GOTRUE_PASSWORD_REQUIRED_CHARACTERS, which ":" separates and "\:" holds."""
    return [each.replace("\\:", ":") for each in re.split(r"(?<!\\):", setting) if each]


def _cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
