"""`expand`: ids give way to the objects that they name (https://docs.stripe.com/expand)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sigma_app.embedded.stripe.books import Books, Thing, listed
from sigma_app.embedded.stripe.errors import Refused

_DEEPEST = 4


async def expanded(books: Books, answer: Thing, paths: Sequence[str]) -> Thing:
    """A copy of an answer, with what the paths lead to in it.

    Raises:
        Refused: a path leads nowhere, or too deep.
    """
    answer = json.loads(json.dumps(answer))
    for path in paths:
        steps = path.split(".")
        if len(steps) > _DEEPEST:
            raise Refused(f"You cannot expand more than {_DEEPEST} levels of a property.", param="expand")
        await _expand(books, answer, steps, path)
    return answer


async def _expand(books: Books, thing: Any, steps: Sequence[str], path: str) -> None:
    if isinstance(thing, list):
        for one in thing:
            await _expand(books, one, steps, path)
        return
    if not steps or not isinstance(thing, dict):
        return
    name, *rest = steps
    if make := _MADE.get((thing.get("object"), name)):
        thing[name] = await make(books, thing)
    if name not in thing:
        raise Refused(f"This property cannot be expanded ({path}).", param="expand")
    thing[name] = await _named(books, thing[name])
    await _expand(books, thing[name], rest, path)


async def _named(books: Books, value: Any) -> Any:
    """What an id names, or the ids of a list; else the value."""
    if isinstance(value, list):
        return [await _named(books, one) for one in value]
    found = await books.any(value) if isinstance(value, str) else None
    if found is None:
        return value
    if found.get("deleted"):
        return {name: found[name] for name in ("id", "object", "deleted")}
    return json.loads(json.dumps(found))


async def _lines(books: Books, session: Thing) -> Thing:
    return listed(session.get("_lines", []), f"/v1/checkout/sessions/{session['id']}/line_items")


async def _payments(books: Books, invoice: Thing) -> Thing:
    return listed(await books.all("invoice_payment", invoice=invoice["id"]), "/v1/invoice_payments")


async def _refunds(books: Books, charge: Thing) -> Thing:
    return listed(await books.all("refund", charge=charge["id"]), f"/v1/charges/{charge['id']}/refunds")


# Lists that are in an object only when they are asked for.
_MADE: dict[tuple[str | None, str], Callable[[Books, Thing], Awaitable[Thing]]] = {
    ("checkout.session", "line_items"): _lines,
    ("invoice", "payments"): _payments,
    ("charge", "refunds"): _refunds,
}
