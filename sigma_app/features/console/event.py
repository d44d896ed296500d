"""/admin/event: one event: what it says, what became of it, whom it is about; and working it once more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import reflex as rx
from psycopg import AsyncCursor

from sigma_app.core.errors import SigmaError
from sigma_app.features.billing import service as billing
from sigma_app.features.console import asked as asks
from sigma_app.features.console.deeds import Deeds, asking, outcome
from sigma_app.features.console.events import ONE, SOURCES, state_of
from sigma_app.features.console.events import ROUTE as LIST
from sigma_app.features.console.parts import Fact, console_page, facts, nothing_here, page, part, when
from sigma_app.features.console.service import acting
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.mail import service as mail
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session

_REPLAY = {"stripe": billing.replay, "resend": mail.replay}


class NoEvent(SigmaError):
    """There is no such event any more."""

    status = 404


async def replay(session: Session, source: str, event: str) -> None:
    """Have an event worked once more.

    Raises:
        NotAnOperator, NoEvent, DatabaseUnavailable: nothing was done.
    """
    async with acting(session, "event.replay", event, source=source) as transaction:
        if source not in _REPLAY or not await _REPLAY[source](transaction, event):
            raise NoEvent


class EventState(ConsolePage, Deeds, SessionState):
    """One event. `found` is whether there is one by the source and the id in the address."""

    found: bool = False
    name: str = ""
    about: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    payload: str = ""

    _topics = frozenset({"events"})
    _event: tuple[str, str] = ("", "")

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self._event = asks.words(asked, "source"), asks.words(asked, "id")
        await cursor.execute(_ONE, self._event)
        event = await cursor.fetchone()
        self.found = event is not None
        self.name, self.about, self.payload = "", [], ""
        if event:
            self.name, self.about = event["type"] or "An event without a type", _about(event)
            self.payload = json.dumps(event["body"], indent=2, ensure_ascii=False)

    @rx.event
    async def replay(self):
        """Have it worked once more."""

        async def do(session: Session) -> str:
            await replay(session, *self._event)
            return "It is in the queue again; what becomes of it shows here."

        async for _ in self._do("replay", do):
            yield


def _about(event: Mapping[str, Any]) -> list[Fact]:
    handled = when(event["handled_at"])
    known = [
        Fact("Id", event["id"]),
        Fact("Source", SOURCES.get(event["source"], str(event["source"]))),
        Fact("State", state_of(event)),
        Fact("Received", f"{when(event['received_at'])} UTC"),
        Fact("Happened", f"{when(event['created_at'])} UTC" if event["created_at"] else "not said"),
        Fact("Handled", f"{handled} UTC" if handled else "not yet"),
        Fact("Tries that failed", str(event["tries"])),
    ]
    if event["error"]:
        known.append(Fact("Last error", event["error"]))
    if event["customer"]:
        query = urlencode({"customer": event["customer"]})
        known.append(Fact("Customer at Stripe", event["customer"], f"{LIST}?{query}"))
    if event["user_id"]:
        known.append(Fact("Whose", event["email"] or str(event["user_id"]), f"/admin/user?id={event['user_id']}"))
    if event["message"]:
        known.append(Fact("Mail", event["recipient"], f"/admin/message?id={event['message']}"))
    return known


_ONE = """
select event.source, event.id, event.type, event.body, event.received_at, event.created_at, event.handled_at,
  event.customer, event.tries, event.error, known.user_id, account.email, message.id as message, message.recipient
from sigma.webhook_events as event
  left join billing.customers as known on known.id = event.customer
  left join sigma.accounts as account on account.id = known.user_id
  left join sigma.messages as message
    on event.source = 'resend' and message.provider_id = event.body #>> '{data,email_id}'
where event.source = %s and event.id = %s
limit 1
"""


_REPLAYING = (
    "It goes into the queue and is worked once more, also if it was before. Of Stripe's that is safe: Stripe is asked "
    "how things stand now. One of Resend's may put an address back on the list of those that get no mail."
)


def event() -> rx.Component:
    """One event."""
    return console_page(
        EventState,
        "Event",
        outcome(EventState),
        rx.cond(
            EventState.found,
            rx.el.div(
                part(EventState.name, facts(EventState.about)),
                part(
                    "What it says",
                    rx.el.pre(
                        EventState.payload,
                        class_name="console-payload",
                        role="region",
                        aria_label="What it says",
                        custom_attrs={"tabIndex": 0},
                    ),
                    intro="As it is kept: of Stripe's, what it takes to ask Stripe how things stand.",
                ),
                part(
                    "What can be done",
                    asking(
                        EventState,
                        "replay",
                        "Work it again",
                        _REPLAYING,
                        EventState.replay,
                        yes="Work it again",
                    ),
                ),
            ),
            nothing_here("There is no such event, or it was removed: they are kept for a month.", LIST, "All events"),
        ),
        here=LIST,
    )


PAGES = [page(event, ONE, "Event", EventState)]
