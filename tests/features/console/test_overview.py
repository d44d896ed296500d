"""What the first page says: what is wrong, and numbers each of which leads to what it counts."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from sigma_app.features.console.events import EventsState
from sigma_app.features.console.leads_page import LeadsState
from sigma_app.features.console.mail import MailState
from sigma_app.features.console.overview import OverviewState
from sigma_app.features.console.queue import JobsState
from sigma_app.features.console.users import UsersState
from sigma_app.features.operations import health
from sigma_app.features.operations import service as operations
from sigma_app.features.operations.service import QueueNow, checks
from sigma_app.session.store import Session
from tests.features.console.operators import shown

pytestmark = pytest.mark.anyio

LISTS = {
    "/admin/leads": LeadsState,
    "/admin/users": UsersState,
    "/admin/jobs": JobsState,
    "/admin/events": EventsState,
    "/admin/mail": MailState,
}


@pytest.fixture
async def busy(operator: Session, stranger: Session, lead: Callable, owner: psycopg.Connection) -> None:
    """One of each thing that is counted, two where one could be another's; a worker."""
    for name in ("ann", "ben"):
        lead(f"{name}@example.com", confirmed=True)
    lead("old@example.com", created_at="2026-01-01")
    owner.execute("update profiles set has_access = true where id = %s", [stranger.user_id])
    owner.execute("delete from procrastinate.procrastinate_jobs")
    owner.execute("insert into procrastinate.procrastinate_workers default values")
    for status, at in (("todo", None), ("todo", "2100-01-01"), ("doing", None), ("failed", None), ("failed", None)):
        owner.execute(
            "insert into procrastinate.procrastinate_jobs (queue_name, task_name, status, args, scheduled_at)"
            " values ('default', 'core:x', %s, '{}', %s)",
            [status, at],
        )
    for identity, error, handled in (("e1", None, None), ("e2", "No", None), ("e3", "No", "2026-11-01")):
        owner.execute(
            "insert into sigma.webhook_events (source, id, type, body, error, handled_at)"
            " values ('stripe', %s, 'x', '{}', %s, %s)",
            [identity, error, handled],
        )
    for key, state in (("a", "bounced_at"), ("b", "refused_at"), ("c", "complained_at"), ("d", "delivered_at")):
        owner.execute(
            f"insert into sigma.messages (key, kind, recipient, digest, {state})"
            " values (%s, 'x', 'ann@example.com', sha256('x'), now())".encode(),
            [key],
        )


async def test_every_number_leads_to_as_many_as_it_says(operator: Session, busy: None):
    page = await shown(OverviewState, operator)
    told = {one.name: one.value for one in (*page.people, *page.work)}
    assert told == {
        "on the list": "3",
        "joined today (UTC)": "2",
        "wait in line": "2",
        "have access": "1",
        "jobs failed for good": "2",
        "jobs due now": "1",
        "jobs running": "1",
        "jobs scheduled for later": "1",
        "events failed": "1",
        "events waiting": "1",
        "mails with a problem": "3",
    }
    for one in (*page.people, *page.work):
        address = urlsplit(one.href)
        listed = await shown(LISTS[address.path], operator, **dict(parse_qsl(address.query)))
        assert str(len(listed.rows)) == one.value, one.name


async def test_the_queue_is_counted_once(operator: Session, monkeypatch: pytest.MonkeyPatch):
    asked: list[QueueNow] = []
    now = health.queue_now

    async def counted() -> QueueNow:
        asked.append(await now())
        return asked[-1]

    for module in (health, operations):
        monkeypatch.setattr(module, "queue_now", counted)
    await shown(OverviewState, operator)
    assert len(asked) == 1


async def test_what_is_wrong_is_said_with_the_way_there(operator: Session, busy: None, owner: psycopg.Connection):
    well = {check.name for check in (await checks()).checks if check.ok}
    page = await shown(OverviewState, operator)
    assert [(row.cells[1], row.href) for row in page.wrong if row.id not in well] == [
        ("2 jobs failed for good.", "/admin/jobs?state=failed"),
        ("1 event could not be worked so far.", "/admin/events?state=failed"),
    ]
    owner.execute("delete from procrastinate.procrastinate_jobs")
    owner.execute("delete from sigma.webhook_events")
    assert (await shown(OverviewState, operator)).wrong == []
    owner.execute("delete from procrastinate.procrastinate_workers")
    page = await shown(OverviewState, operator)
    assert [(row.cells[1], row.href) for row in page.wrong] == [("Nothing in the queue is done.", "/admin/jobs")]


async def test_the_latest_deeds_are_sentences(operator: Session, stranger: Session, owner: psycopg.Connection):
    owner.execute(
        "insert into sigma.audit_log (operator_name, action, subject)"
        " values ('the command line', 'operator.grant', %s)",
        [str(stranger.user_id)],
    )
    (deed,) = (await shown(OverviewState, operator)).deeds
    assert (deed.what, deed.whom) == ("made somebody an operator", stranger.email)
