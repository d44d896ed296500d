"""The sandbox's books: Stripe's objects as JSON in Postgres, read and written in one transaction, one at a time.

`opened()` gives the books for the length of a block. What is changed in them is written at its end together with the
events that tell of it, or not at all. A lock of the transaction lets one change them at a time, in whichever process.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncCursor
from psycopg.types.json import Jsonb

from sigma_app.core.database import SERVICE, get_database
from sigma_app.embedded.stripe.errors import Refused, missing
from sigma_app.embedded.stripe.form import whole

Thing = dict[str, Any]
"""An object of Stripe's."""

_AT_ONCE = 3  # who wait for the lock in one process, each with a connection; pages need some, too
LOCK = 0x5169_7374  # any number that no other lock of ours has
API_VERSION = "2026-10-28.endive"  # which the pinned SDK asks for; a test holds them equal
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MOST, _USUAL = 100, 10  # objects of a page
_OLDER = (
    "select id, number, body from sigma.sandbox_objects where kind = %s and body @> %s"
    " and (%s::bigint is null or number < %s) order by number desc limit %s"
)
_NEWER = _OLDER.replace("number <", "number >").replace("desc", "asc")


class Books:
    """The objects, as one transaction sees them."""

    def __init__(self, cursor: AsyncCursor[dict[str, Any]]):
        self._cursor = cursor
        self._known: dict[str, Thing] = {}
        self._changed: dict[str, Thing] = {}
        self._events: list[Thing] = []
        self.request: Thing = {"id": None, "idempotency_key": None}
        """The API request that is worked on, as events name it."""

    async def find(self, kind: str, identity: str | None) -> Thing | None:
        """An object of a kind, or None; changes to it count once it is `put`."""
        found = await self.any(identity)
        return found if found and found["object"] == kind else None

    async def any(self, identity: str | None) -> Thing | None:
        """An object of whichever kind, or None."""
        if not identity:
            return None
        if identity not in self._known:
            query = "select body from sigma.sandbox_objects where id = %s"
            row = await (await self._cursor.execute(query, [identity])).fetchone()
            if row is None:
                return None
            self._known[identity] = row["body"]
        return self._known[identity]

    async def get(self, kind: str, identity: Any, param: str = "id") -> Thing:
        """An object.

        Raises:
            Refused: there is none.
        """
        found = await self.find(kind, identity if isinstance(identity, str) else None)
        if found is None:
            raise missing(kind, str(identity), param)
        return found

    async def customer(self, identity: Any) -> Thing:
        """A customer who was not deleted.

        Raises:
            Refused: there is none.
        """
        found = await self.get("customer", identity, "customer")
        if found.get("deleted"):
            raise missing("customer", str(identity), "customer")
        return found

    async def put(self, thing: Thing) -> Thing:
        """Keep an object, new or changed."""
        self._known[thing["id"]] = self._changed[thing["id"]] = thing
        return thing

    async def remove(self, thing: Thing) -> None:
        """Take an object out of the books."""
        self._known.pop(thing["id"], None)
        self._changed.pop(thing["id"], None)
        await self._cursor.execute("delete from sigma.sandbox_objects where id = %s", [thing["id"]])

    async def all(self, kind: str, **where: Any) -> list[Thing]:
        """Every object of a kind that has these values, newest first."""
        await self._write()
        query = "select id, body from sigma.sandbox_objects where kind = %s and body @> %s order by number desc"
        rows = await (await self._cursor.execute(query, [kind, Jsonb(where)])).fetchall()
        return [self._known.setdefault(row["id"], row["body"]) for row in rows]

    async def page(
        self, kind: str, params: Mapping[str, Any], url: str, where: Mapping[str, Any], keep: Callable[[Thing], bool]
    ) -> Thing:
        """A page of a list (https://docs.stripe.com/api/pagination).

        Args:
            kind: of what.
            params: `limit`, `starting_after`, `ending_before`.
            url: what the list says of where it is from.
            where: values that its objects have.
            keep: what else they must be like.

        Raises:
            Refused: the page is none, or begins at an object that is not there.
        """
        limit = whole(params, "limit", _USUAL) or 0
        if not 1 <= limit <= _MOST:
            raise Refused("Invalid limit: must be between 1 and 100", param="limit")
        after, before = params.get("starting_after"), params.get("ending_before")
        start = await self._number(kind, before or after, "ending_before" if before else "starting_after")
        data: list[Thing] = []
        async for thing in self._from(kind, where, start, newer=bool(before)):
            if keep(thing):
                data.append(thing)
            if len(data) > limit:
                break
        more, data = len(data) > limit, data[:limit]
        return {"object": "list", "url": url, "has_more": more, "data": data[::-1] if before else data}

    async def now(self, customer: str | None = None) -> int:
        """The time, in seconds since 1970: that of the customer's test clock, if it has one."""
        owner = await self.find("customer", customer)
        clock = await self.find("test_helpers.test_clock", owner.get("test_clock")) if owner else None
        return clock["frozen_time"] if clock else int(time.time())

    async def emit(self, kind: str, about: Thing, before: Mapping[str, Any] | None = None) -> None:
        """Tell of something, with the object as it is now.

        Args:
            kind: the event's type.
            about: the object.
            before: of an update, what had other values, with these.
        """
        data: Thing = {"object": shown(json.loads(json.dumps(about)))}
        if before is not None:
            data["previous_attributes"] = dict(before)
        customer = about.get("id") if about["object"] == "customer" else about.get("customer")
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": await self.now(customer),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": dict(self.request),
            "type": kind,
        }
        self._events.append(event)

    async def setting(self, name: str, default: Any) -> Any:
        """What is set by a name."""
        query = "select value from sigma.sandbox_settings where name = %s"
        row = await (await self._cursor.execute(query, [name])).fetchone()
        return row["value"] if row else default

    async def set(self, name: str, value: Any) -> None:
        """Set something by a name."""
        query = (
            "insert into sigma.sandbox_settings (name, value) values (%s, %s)"
            " on conflict (name) do update set value = excluded.value"
        )
        await self._cursor.execute(query, [name, Jsonb(value)])

    async def remembered(self, key: str) -> Thing | None:
        """What was answered to an idempotency key within a day: `fingerprint`, `status`, `body`."""
        await self._cursor.execute("delete from sigma.sandbox_requests where created_at < now() - interval '24 hours'")
        query = "select fingerprint, status, body from sigma.sandbox_requests where key = %s"
        return await (await self._cursor.execute(query, [key])).fetchone()

    async def remember(self, key: str, fingerprint: bytes, status: int, body: Thing) -> None:
        """Keep what was answered to an idempotency key."""
        query = "insert into sigma.sandbox_requests (key, fingerprint, status, body) values (%s, %s, %s, %s)"
        await self._cursor.execute(query, [key, fingerprint, status, Jsonb(body)])

    async def queue_delivery(self, arguments: Thing, at: int | float | None = None) -> None:
        """Queue the delivery of an event, in seconds since 1970 or now."""
        when = datetime.fromtimestamp(at, UTC) if at else None
        await self._cursor.execute("select sigma.queue_delivery(%s, %s)", [Jsonb(arguments), when])

    async def close(self) -> list[Thing]:
        """Write what was changed, and keep the events; these."""
        events, self._events = self._events, []
        for event in events:
            await self.put(event)
        await self._write()
        return events

    async def _number(self, kind: str, identity: str | None, param: str) -> int | None:
        """The place of an object in the lists of its kind."""
        if not identity:
            return None
        query = "select number from sigma.sandbox_objects where id = %s and kind = %s"
        row = await (await self._cursor.execute(query, [identity, kind])).fetchone()
        if row is None:
            raise missing(kind, identity, param)
        return row["number"]

    async def _from(self, kind: str, where: Mapping[str, Any], number: int | None, newer: bool) -> AsyncIterator[Thing]:
        """What is older than a place, newest first, or newer, oldest first."""
        await self._write()
        while True:
            rows = await (
                await self._cursor.execute(_NEWER if newer else _OLDER, [kind, Jsonb(where), number, number, _MOST + 1])
            ).fetchall()
            for row in rows:
                yield self._known.setdefault(row["id"], row["body"])
            if len(rows) <= _MOST:
                return
            number = rows[-1]["number"]

    async def _write(self) -> None:
        changed, self._changed = self._changed, {}
        if changed:
            await self._cursor.executemany(
                "insert into sigma.sandbox_objects (id, kind, body) values (%s, %s, %s)"
                " on conflict (id) do update set body = excluded.body",
                [(thing["id"], thing["object"], Jsonb(thing)) for thing in changed.values()],
            )


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def opened(key: str | None = None) -> AsyncIterator[Books]:
    """The books, to read and to change; leaving the block writes, an exception leaves them as they were.

    Args:
        key: of the request that has them open, where it has one; no other with the same may at the same time.

    Raises:
        Refused: another one has.
        DatabaseUnavailable: they cannot be had.
    """
    from sigma_app.embedded.stripe.events import deliver  # which reads the books itself

    turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE))
    async with turns, get_database().cursor(SERVICE) as cursor:
        if key and not await _is_free(cursor, key):
            message = "There is currently another in-progress request using this Idempotent Key."
            raise Refused(message, status=409, kind="idempotency_error", code="idempotency_key_in_use")
        await cursor.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        books = Books(cursor)
        yield books
        await deliver(books, await books.close())
        await books.close()


async def _is_free(cursor: AsyncCursor[dict[str, Any]], key: str) -> bool:
    row = await (
        await cursor.execute("select pg_try_advisory_xact_lock(%s, hashtext(%s)) as it", [LOCK, key])
    ).fetchone()
    return bool(row and row["it"])


def shown(thing: Any) -> Any:
    """An object as the API shows it: without the sandbox's own notes, whose names begin with "_"."""
    if isinstance(thing, dict):
        return {name: shown(value) for name, value in thing.items() if not name.startswith("_")}
    return [shown(one) for one in thing] if isinstance(thing, list) else thing


def nulls(names: str) -> Thing:
    """Fields that an object has and nothing stands in, their names with spaces between."""
    return dict.fromkeys(names.split())


def new_id(prefix: str) -> str:
    """An id as Stripe makes them."""
    return f"{prefix}_{''.join(secrets.choice(_ALPHABET) for _ in range(24))}"


def listed(things: list[Thing], url: str) -> Thing:
    """A list inside of an object, whole."""
    return {"object": "list", "data": things, "has_more": False, "url": url}
