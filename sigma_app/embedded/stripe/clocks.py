"""Time: test clocks (https://docs.stripe.com/api/test_clocks), and what is due by then, one thing after the other.

Customers without a clock live by the real one; `advance_all`, which a job calls every minute, does what is due for
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sigma_app.embedded.stripe import checkout, customers, renewals
from sigma_app.embedded.stripe.books import Books, Thing, new_id, opened
from sigma_app.embedded.stripe.errors import Refused, required
from sigma_app.embedded.stripe.form import whole

_DAYS_KEPT = 30 * 86400  # seconds
_MOST_STEPS = 5000


async def create(books: Books, params: Thing) -> Thing:
    """A clock that stands still at `frozen_time`."""
    frozen = whole(params, "frozen_time")
    if frozen is None:
        raise required("frozen_time")
    now = await books.now()
    clock: Thing = {
        "id": new_id("clock"),
        "object": "test_helpers.test_clock",
        "created": now,
        "livemode": False,
        "deletes_after": now + _DAYS_KEPT,
        "frozen_time": frozen,
        "name": params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    await books.put(clock)
    await books.emit("test_helpers.test_clock.created", clock)
    return clock


async def put_on_clock(books: Books, customer: Thing) -> str:
    """Give a customer a clock of their own, which begins now; what they subscribe to goes by it. Its id."""
    clock = await create(books, {"frozen_time": await books.now()})
    customer["test_clock"] = clock["id"]
    await books.put(customer)
    for subscription in await books.all("subscription", customer=customer["id"]):
        subscription["test_clock"] = clock["id"]
        await books.put(subscription)
    return clock["id"]


async def advance(books: Books, params: Thing, identity: str) -> Thing:
    """Turn a clock forward, and do everything that falls due on the way."""
    clock = await books.get("test_helpers.test_clock", identity)
    until = whole(params, "frozen_time")
    if until is None:
        raise required("frozen_time")
    if until <= clock["frozen_time"]:
        raise Refused("Test clocks can only be advanced forward in time.", param="frozen_time")
    await _let_pass(books, until, lambda customer: customer.get("test_clock") == identity, clock)
    await books.emit("test_helpers.test_clock.ready", clock)
    return clock


async def delete(books: Books, params: Thing, identity: str) -> Thing:
    """A clock goes, and its customers with it."""
    clock = await books.get("test_helpers.test_clock", identity)
    for customer in await books.all("customer", test_clock=identity):
        if not customer.get("deleted"):
            await customers.delete(books, {}, customer["id"])
    await books.remove(clock)
    return {"id": identity, "object": "test_helpers.test_clock", "deleted": True}


async def advance_all() -> None:
    """Do what is due by now for customers without a test clock."""
    async with opened() as books:
        await _let_pass(books, await books.now(), lambda customer: not customer.get("test_clock"), None)


async def _let_pass(books: Books, until: int, ours: Callable[[Thing], bool], clock: Thing | None) -> None:
    """Do what is due up to `until`, in the order in which it falls due, for the customers that are `ours`."""
    whose: set[str | None] = {one["id"] for one in await books.all("customer") if ours(one)}
    if clock is None:
        whose.add(None)  # of checkouts that make their customer
    for _ in range(_MOST_STEPS):
        due = [one for one in await _due(books, whose) if one[0] <= until]
        if not due:
            break
        at, _, act, about = min(due, key=lambda one: one[:2])
        if clock:
            clock["frozen_time"] = max(clock["frozen_time"], at)
            await books.put(clock)
        await act(books, about)
    if clock:
        clock["frozen_time"] = until
        await books.put(clock)


async def _due(books: Books, whose: set[str | None]) -> list[tuple[int, str, Any, Thing]]:
    """What is next for each subscription and each open checkout: when, of what, and what is to be done."""
    found: list[tuple[int, str, Any, Thing]] = [
        (step[0], one["id"], step[1], one)
        for one in await books.all("subscription")
        if one["customer"] in whose and (step := await renewals.next_step(books, one))
    ]
    sessions = [one for one in await books.all("checkout.session", status="open") if one["customer"] in whose]
    return found + [(one["expires_at"], one["id"], checkout.run_out, one) for one in sessions]
