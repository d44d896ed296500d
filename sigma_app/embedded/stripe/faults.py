"""What the sandbox is told to do wrong; kept with its books, so that every process does it.

Deliveries: each event several times over, later, out of order, not at all, or beside forged ones. The API: the next
requests are refused with 429, fail with 500, are not answered in time, or are done and their answer is lost.
"""

from __future__ import annotations

import random
import time
from typing import Any, Literal

from sigma_app.embedded.stripe.books import Books, opened

DELIVERIES, API = "faulty deliveries", "faulty answers"

Answer = Literal["429", "500", "silence", "lost"]
ANSWERS: dict[Answer, str] = {"429": "429, too many", "500": "500", "silence": "none", "lost": "lost, once done"}
"""In words."""

RIGHT = {"copies": 1, "delay": 0, "shuffle": 0, "drop": 0, "drop_next": 0, "forge": False}
"""Deliveries that nothing is wrong with, as `spoil_deliveries` would say it."""


async def spoil_deliveries(
    *,
    copies: int = 1,
    delay: float = 0,
    shuffle: float = 0,
    drop: float = 0,
    drop_next: int = 0,
    forge: bool = False,
    seed: int = 0,
) -> None:
    """Spoil the deliveries of all events from now on.

    Args:
        copies: how often each is delivered; 1 is right.
        delay: seconds that each waits.
        shuffle: seconds that each waits at most, at random, so that their order is another one.
        drop: the share that is never delivered, 0 to 1.
        drop_next: how many of the next are never delivered.
        forge: whether beside each go two that the application must refuse, one with another signature and one whose
            body was changed after it was signed.
        seed: makes what is random the same each time; 0 does not.
    """
    told = {"copies": copies, "delay": delay, "shuffle": shuffle, "drop": drop, "drop_next": drop_next}
    told |= {"forge": forge, "seed": seed, "count": 0}
    async with opened() as books:
        await books.set(DELIVERIES, told)


async def spoil_answers(how: Answer, times: int = 1, seconds: float = 0) -> None:
    """Spoil the answers to the next requests.

    Args:
        how: refused with 429; failing with 500, which is the answer under the request's idempotency key from then on;
            not answered for `seconds`; or done, and the answer lost.
        times: how many requests.
        seconds: of silence, or what Retry-After says.
    """
    async with opened() as books:
        await books.set(API, {"how": how, "times": times, "seconds": seconds})


async def stop() -> None:
    """Do everything right again."""
    async with opened() as books:
        await books.set(DELIVERIES, {})
        await books.set(API, {})


def in_words(deliveries: dict[str, Any], answers: dict[str, Any]) -> list[str]:
    """What goes wrong from now on; nothing where all goes right.

    Args:
        deliveries: the setting `DELIVERIES`.
        answers: the setting `API`.
    """
    told, times = RIGHT | deliveries, answers.get("times", 0)
    requests = "request" if times == 1 else f"{times} requests"
    said = (
        (times, f"answer to the next {requests}: {ANSWERS[answers['how']] if times else ''}"),
        (told["copies"] != 1, f"copies of each event: {told['copies']}"),
        (told["delay"], f"events late by {told['delay']:g} s"),
        (told["shuffle"], f"events out of order by up to {told['shuffle']:g} s"),
        (told["drop"], f"events dropped: {told['drop'] * 100:g} %"),
        (told["drop_next"], f"next events dropped: {told['drop_next']}"),
        (told["forge"], "forged events beside each"),
    )
    return [words for is_so, words in said if is_so]


async def next_answer(books: Books) -> dict[str, Any]:
    """What to do wrong with the request in hand, if anything; counts it."""
    told = await books.setting(API, {})
    if not told.get("times"):
        return {}
    await books.set(API, {**told, "times": told["times"] - 1})
    return told


async def queue(books: Books, told: dict[str, Any], event: str, endpoint: str) -> None:
    """Queue the deliveries of an event to an endpoint, as `told`, which counts them."""
    if told:
        told["count"] += 1
    chance = random.Random(f"{told['seed']}/{told['count']}" if told.get("seed") else None)  # noqa: S311 - no secret
    if told.get("drop_next"):
        told["drop_next"] -= 1
        return
    if chance.random() < told.get("drop", 0):
        return
    forgeries = ["signature", "body"] if told.get("forge") else []
    for forged in [*[""] * int(told.get("copies", 1)), *forgeries]:
        wait = told.get("delay", 0) + chance.random() * told.get("shuffle", 0)
        arguments = {"event": event, "endpoint": endpoint, "forged": forged}
        await books.queue_delivery(arguments, time.time() + wait if wait else None)
