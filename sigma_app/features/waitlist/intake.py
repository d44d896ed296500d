"""What both doors do with a filled-in form, the websocket's (state.py) and the plain POST's (http.py).

Reads the fields, holds back robots, keeps the limits, opens the transaction and puts the outcome into words. A first
and a repeat join give the same answer, so that nobody can ask the form who is on the list.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Literal

import psycopg

from sigma_app.core.batches import Batches
from sigma_app.core.database import ANONYMOUS, SERVICE, Step, get_database
from sigma_app.core.errors import DatabaseUnavailable, without_message
from sigma_app.core.limits import Limiter
from sigma_app.core.origin import network_of
from sigma_app.features.waitlist import service
from sigma_app.features.waitlist.consent import agreed_version
from sigma_app.settings import get_settings

HONEYPOT = "company_website"
MINIMUM_FILL = timedelta(seconds=1)  # join.js waits this long before it sends, so only robots are faster

_MILLISECONDS = re.compile(r"[0-9]{1,9}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a try to join."""

    outcome: Literal["joined", "invalid", "limited", "automated", "unavailable"]
    message: str
    status: int
    """The HTTP status that says the same."""
    retry_after: int = 0
    """Seconds; 0 where waiting changes nothing."""


JOINED = Answer("joined", "You're on the list. Your place is in your inbox.", 200)
AUTOMATED = Answer("automated", "That was faster than anyone types. Please press the button again.", 422)
UNAVAILABLE = Answer("unavailable", "We could not save that just now. Please try again in a moment.", 503, 5)


async def accept(form: Mapping[str, Any], client: str) -> Answer:
    """Try to put the sender of `form` on the list.

    Args:
        form: the fields as sent; missing ones count as empty, other ones are ignored.
        client: the visitor's network address, for the limits.
    """
    if wait := await _network_limiter().wait(network_of(client)):
        return _limited(wait)
    if _is_automated(form):
        return AUTOMATED
    try:
        address = service.read_address(_text(form, "email"), allow_test_domains=get_settings().env != "production")
    except service.InvalidAddress as error:
        return Answer("invalid", str(error), 422)
    if wait := await _address_limiter().wait(address.mailbox):
        return _limited(wait)
    answer = await _store(address, form)
    if answer is UNAVAILABLE:  # a try that was ours to lose costs nobody their next one
        await _address_limiter().forget(address.mailbox)
    return answer


async def founders() -> int:
    """How many founders are on the list; how old that may be, `FounderCount` says.

    Raises:
        DatabaseUnavailable: and no earlier count is known.
    """
    return await _founder_count.get()


async def _store(address: service.Address, form: Mapping[str, Any]) -> Answer:
    arrival = service.read_arrival(_text(form, "landing_url"), _text(form, "referrer"))
    consent = agreed_version(_text(form, "consent_version"))
    try:
        await _joins.add((service.new_lead(address, arrival, consent), address.is_disposable))
    except (DatabaseUnavailable, psycopg.Error) as error:
        logger.error("A visitor could not join: %s", without_message(error))
        return UNAVAILABLE
    _founder_count.expire()
    return JOINED


async def _write(joins: Sequence[tuple[service.NewLead, bool]]) -> None:
    """Store leads; each comes with whether its address is a disposable one."""
    leads = [lead for lead, _ in joins]
    steps = [
        Step(ANONYMOUS, *service.joining(leads)),  # whose trigger queues the mail that asks to confirm
        Step(SERVICE, *service.consenting(leads)),
        Step(SERVICE, *service.sending_again(leads)),
    ]
    # A visitor may not set the mark, nor choose to be without it
    if disposable := [str(lead["email"]) for lead, is_disposable in joins if is_disposable]:
        steps.append(Step(SERVICE, *service.marking_disposable(disposable)))
    await get_database().run(*steps)


_joins = Batches(_write)


def _is_automated(form: Mapping[str, Any]) -> bool:
    if _text(form, HONEYPOT):
        return True
    elapsed = _text(form, "elapsed_ms")  # empty without JavaScript, which is no sign of anything
    return bool(_MILLISECONDS.fullmatch(elapsed)) and int(elapsed) < MINIMUM_FILL.total_seconds() * 1000


def _limited(wait: int) -> Answer:
    minutes = math.ceil(wait / 60)
    when = "a minute" if minutes == 1 else f"{minutes} minutes"
    message = f"That was a lot of tries. Please wait {when}. If you have joined already, your place is kept."
    return Answer("limited", message, 429, wait)


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


@cache
def _network_limiter() -> Limiter:
    return Limiter("join-network", get_settings().join_limit_per_network)


@cache
def _address_limiter() -> Limiter:
    return Limiter("join-address", get_settings().join_limit_per_address)


class FounderCount:
    """The count of founders, read from the database at most once a second, however many join or look.

    Who looks after somebody joined here waits for the next reading, a second at most and as long as it takes, and
    shares it with everybody who waits: so who joined sees themselves counted. Without a join here the count is up to
    five seconds old; while the database is away it is asked as rarely, and the last known count stands in.
    """

    PACE = timedelta(seconds=1)
    FRESH = timedelta(seconds=5)

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        self._clock = clock
        self._sleep = sleep
        self._value: int | None = None
        self._read_at = float("-inf")  # when the last reading began
        self._begun = 0  # readings so far
        self._expired = False
        self._reading = asyncio.Lock()

    async def get(self) -> int:
        """The count; an older one when the database is away.

        Raises:
            DatabaseUnavailable: and there is no older one.
        """
        begun = self._begun
        if self._is_stale():
            async with self._reading:
                # A reading that began since is new enough, even if others have joined by now: nobody waits for two.
                if self._is_stale() and self._begun == begun:
                    await self._read()
        if self._value is None:
            raise DatabaseUnavailable
        return self._value

    def expire(self) -> None:
        """Have the next one who asks see those who joined just now."""
        self._expired = True

    def _is_stale(self) -> bool:
        return self._expired or self._clock() - self._read_at >= self.FRESH.total_seconds()

    async def _read(self) -> None:
        await self._sleep(max(0.0, self._read_at + self.PACE.total_seconds() - self._clock()))
        self._begun += 1
        self._read_at = self._clock()
        self._expired = False  # not afterwards: who joins during the reading may not be in it
        try:
            async with get_database().transaction(ANONYMOUS) as session:
                self._value = await service.count_founders(session)
        except (DatabaseUnavailable, psycopg.Error):
            pass  # the count of before stands in, if there is one


_founder_count = FounderCount()
