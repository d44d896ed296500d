"""/admin/event: one event: what it says, what became of it, whom it is about; and working it once more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, NamedTuple
from urllib.parse import urlencode

import reflex as rx
from psycopg import AsyncCursor
from sqlalchemy import text

from sigma_app.core.errors import SigmaError
from sigma_app.core.words import counted
from sigma_app.features.billing import service as billing
from sigma_app.features.billing.service import Change
from sigma_app.features.console import asked as asks
from sigma_app.features.console.deeds import Deeds, asking, outcome
from sigma_app.features.console.events import ONE, SOURCES, STATES, state_of
from sigma_app.features.console.events import ROUTE as LIST
from sigma_app.features.console.mail import STATES as MAIL_STATES
from sigma_app.features.console.paid import paid, paid_table
from sigma_app.features.console.parts import QUIET, Fact, Row, console_page, facts, nothing_here, page, part, when
from sigma_app.features.console.service import acting
from sigma_app.features.console.state import ConsolePage
from sigma_app.features.mail import service as mail
from sigma_app.session.state import SessionState
from sigma_app.session.store import Session

_REPLAY = {"stripe": billing.replay, "resend": mail.replay}


class NoEvent(SigmaError):
    """There is no such event any more."""

    status = 404


class SoFar(NamedTuple):
    """What an event had come to before it was put back into the queue."""

    tries: int
    """How many had failed."""
    changes: int
    """How many changes of its customer's access it had made."""


async def replay(session: Session, source: str, event: str) -> SoFar:
    """Have an event worked once more; what it had come to by then.

    Raises:
        NotAnOperator, NoEvent, DatabaseUnavailable: nothing was done.
    """
    async with acting(session, "event.replay", event, source=source) as transaction:
        if source not in _REPLAY or not await _REPLAY[source](transaction, event):
            raise NoEvent
        connection = await transaction.connection()
        return SoFar(*(await connection.execute(_SO_FAR, {"source": source, "id": event})).one())


class EventState(ConsolePage, Deeds, SessionState):
    """One event. `found` is whether there is one by the source and the id in the address."""

    found: bool = False
    name: str = ""
    became: str = ""
    about: list[Fact] = []  # noqa: RUF012 - a Var, copied for each state
    paid: list[Row] = []  # noqa: RUF012 - a Var, copied for each state
    payer: bool = False
    payload: str = ""
    size: str = ""

    _topics = frozenset({"events", "jobs"})
    _event: tuple[str, str] = ("", "")
    _before: SoFar | None = None

    async def _read(self, cursor: AsyncCursor[dict[str, Any]], asked: Mapping[str, str], session: Session) -> None:
        self._event = asks.words(asked, "source"), asks.words(asked, "id")
        await cursor.execute(_ONE, self._event)
        event = await cursor.fetchone()
        self.found = event is not None
        self.name, self.became, self.about, self.paid, self.payload = "", "", [], [], ""
        if event is None:
            return
        self.name, self.about = event["type"] or "An event without a type", _about(event)
        self.payload = json.dumps(event["body"], indent=2, ensure_ascii=False)
        self.size = f"{len(self.payload):,} characters"
        changes: Sequence[Change] = []
        self.payer = bool(event["user_id"]) and event["source"] == "stripe"
        if self.payer:
            self.paid = await paid(cursor, event["user_id"])
            known = await billing.access_changes(cursor, event["user_id"])
            changes = [one for one in known if one.event == event["id"]]
        self.became = _became(event, changes)
        self._tell_of_replay(event, changes)

    def _tell_of_replay(self, event: Mapping[str, Any], changes: Sequence[Change]) -> None:
        """Say what working it once more has come to, when it has."""
        if self._before is None:
            return
        if event["handled_at"]:
            fresh = changes[self._before.changes :]
            self.outcome = f"It was worked again at {event['handled_at'].astimezone(UTC):%H:%M:%S} UTC. "
            self.outcome += _changed(fresh) if fresh or event["source"] == "stripe" else _of_mail(event)
            self._before = None
        elif event["tries"] > self._before.tries:
            self.outcome, self.refusal = "", f"It failed again: {event['error']}"
            self._before = None

    @rx.event
    async def replay(self):
        """Have it worked once more."""

        async def do(session: Session) -> str:
            self._before = await replay(session, *self._event)
            return "It is in the queue once more. What comes of it shows here by itself."

        async for _ in self._do("replay", do):
            yield


def _became(event: Mapping[str, Any], changes: Sequence[Change]) -> str:
    """What became of it, in a sentence or two."""
    tries = event["tries"]
    failed = counted(tries, "failed try", "failed tries")
    if event["handled_at"] is None:
        if event["job"] not in _GOES_ON:
            given_up = "its job failed for good" if event["job"] else "no job of it is in the queue any more"
            return f"It was not worked, and is not tried again by itself: {given_up}. See why, and work it again."
        if event["error"] is None:
            return "It waits for its turn."
        return f"It could not be worked so far, after {failed}. {_GOES_ON[event['job']]}"
    worked = f"It was worked, after {failed}. " if tries else "It was worked at the first try. "
    return worked + (_changed(changes) if event["source"] == "stripe" else _of_mail(event))


_GOES_ON = {"todo": "Its job tries again by itself.", "doing": "Its job is at it right now."}


def _changed(changes: Sequence[Change]) -> str:
    """What an event of Stripe's did to somebody's access."""
    if not changes:
        return "It changed nobody's access."
    last = changes[-1]
    opened = {(False, True): "opened", (True, False): "closed"}.get((last.before, last.after))
    return f"It {opened} their access: {last.words}" if opened else f"Their access stays as it was: {last.words}"


def _of_mail(event: Mapping[str, Any]) -> str:
    """What an event of Resend's said of a mail."""
    return (
        f"The mail is {MAIL_STATES[event['mail_state']]}." if event["mail_state"] else "No mail of ours is known by it."
    )


def _about(event: Mapping[str, Any]) -> list[Fact]:
    worked = when(event["handled_at"])
    known = [
        Fact("Id", event["id"]),
        Fact("Source", SOURCES.get(event["source"], str(event["source"]))),
        Fact("State", STATES[state_of(event)]),
        Fact("Received", f"{when(event['received_at'])} UTC"),
        Fact("Happened", f"{when(event['created_at'])} UTC" if event["created_at"] else "not said"),
        Fact("Worked", f"{worked} UTC" if worked else "not yet"),
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


# All jobs are looked through for that of an event, and the page listens to them: only for one that may still have any.
_ONE = """
select event.source, event.id, event.type, event.body, event.received_at, event.created_at, event.handled_at,
  event.customer, event.tries, event.error, known.user_id, account.email, message.id as message, message.recipient,
  message.state as mail_state, case when event.handled_at is null then (
    select job.status::text from procrastinate.procrastinate_jobs as job
    where job.task_name = case event.source when 'stripe' then 'billing:apply_event' else 'mail:apply_event' end
      and job.args ->> 'event_id' = event.id and job.status in ('todo', 'doing', 'failed')
    order by job.status = 'failed', job.status limit 1
  ) end as job
from sigma.webhook_events as event
  left join billing.customers as known on known.id = event.customer
  left join sigma.accounts as account on account.id = known.user_id
  left join sigma.messages as message
    on event.source = 'resend' and message.provider_id = event.body #>> '{data,email_id}'
where event.source = %s and event.id = %s
limit 1
"""
_SO_FAR = text("""
select event.tries, (
  select count(*) from billing.access_changes as change join billing.customers as known using (user_id)
  where known.id = event.customer and change.event_id = event.id
) as changes
from sigma.webhook_events as event where event.source = :source and event.id = :id
""")
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
                part(EventState.name, rx.el.p(EventState.became, class_name="console-became"), facts(EventState.about)),
                rx.cond(EventState.payer, part("What they pay for", paid_table(EventState.paid))),
                part(
                    "What it says",
                    rx.el.details(
                        rx.el.summary("The payload, ", EventState.size, class_name=QUIET),
                        rx.el.pre(
                            EventState.payload,
                            class_name="console-payload",
                            role="region",
                            aria_label="What it says",
                            custom_attrs={"tabIndex": 0},
                        ),
                        class_name="console-fold",
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
        of_one=True,
    )


PAGES = [page(event, ONE, "Event", EventState)]
